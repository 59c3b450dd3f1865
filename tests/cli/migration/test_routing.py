"""What came out of a LiteLLM file routes calls, in the order that the file meant."""

from __future__ import annotations

from decimal import Decimal

from switchgear import Config, Router
from switchgear.testing import Answer, Fault, SimulatedProviders
from tests.cli.migration.values import as_mapping, migrated

FILE = """
model_list:
  - model_name: smart
    litellm_params:
      model: openai/gpt-4o
      api_base: os.environ/OPENAI_URL
      api_key: os.environ/KEY
    model_info: {input_cost_per_token: 1e-6, output_cost_per_token: 2e-6}
  - model_name: careful
    litellm_params:
      model: anthropic/claude-sonnet-4-5
      api_base: os.environ/ANTHROPIC_URL
      api_key: os.environ/KEY
  - model_name: cheap
    litellm_params: {model: ollama/llama3.1, api_base: os.environ/OLLAMA_URL}
router_settings:
  fallbacks: [{smart: [careful]}, {careful: [cheap]}]
  num_retries: 0
"""


async def test_a_call_goes_on_to_the_fallbacks_of_the_fallbacks(
    simulated_providers: SimulatedProviders,
) -> None:
    found = migrated(
        FILE,
        OPENAI_URL=simulated_providers.openai.base_url,
        ANTHROPIC_URL=simulated_providers.anthropic.base_url,
        OLLAMA_URL=simulated_providers.ollama.base_url,
    )
    config = Config.from_dict(as_mapping(found), environ={"KEY": "sk-test-0123456789"})
    simulated_providers.openai.script(Answer(text="first"), Fault.status(503))
    simulated_providers.anthropic.always(Fault.status(503))
    simulated_providers.ollama.always(Answer(text="last"))
    async with Router(config) as router:
        first = await router.complete("smart", "Hi")
        last = await router.complete("smart", "Hi")
    assert (first.text, first.provider) == ("first", "server")
    tokens = first.usage.input_tokens + 2 * first.usage.output_tokens
    assert first.cost == Decimal(tokens) / 10**6
    assert (last.text, last.provider) == ("last", "ollama")
