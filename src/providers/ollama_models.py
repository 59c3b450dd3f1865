"""What the models of Ollama's library can do, by their names.

Follows the tags (``tools``, ``thinking``, ``vision``) that the families have at
https://ollama.com/library. The server itself refuses tools and thinking for a model whose template
lacks them, which would end a call that another candidate could have served. What a name does not
tell (a model of one's own, a new family) is judged cautiously: it calls tools, as nearly every
newer one does, but neither thinks nor sees. A provider's ``models`` table says otherwise.
"""

from __future__ import annotations

import functools
import re

import msgspec

from .base import Capabilities

__all__ = ["capabilities_of", "is_cloud_model", "thinks_in_levels"]

_BASE = Capabilities(
    tool_choice=False,
    parallel_tool_calls=False,
    schema="native",
    json_object=True,
    images=False,
    files=False,
    audio=False,
    reasoning=False,
)

# Families whose templates know no tools: a request with tools is a 400.
_NO_TOOLS = re.compile(
    r"(?:alfred|aya|bakllava|codegemma|codellama|codestral|codeup|deepseek-(?:coder|llm|ocr|v2)"
    r"|dolphin|everythinglm|exaone|falcon|gemma|gemma3n|glm4|granite-code|llama2|llama3"
    r"|llama3\.2-vision|llava|meditron|medgemma|minicpm-v|moondream|neural-chat|nous-hermes|olmo"
    r"|openchat|openhermes|orca|phi|phi3\.5|qwen|qwen2\.5vl|smollm|solar|stable-|stablelm"
    r"|starcoder|starling|tinydolphin|tinyllama|vicuna|wizard|wizardlm|wizardcoder|yi|zephyr)"
    r"(?:[-\d].*)?"
)
# Names that begin like one of those and have them after all.
_TOOLS = re.compile(r"(?:gemma[4-9]|llama3-groq|olmo3|phi4-mini|qwen[2-9](?!\.5vl)|smollm[23]).*")
_THINKS = re.compile(
    r"(?:cogito|deepseek-r1|deepseek-v3\.[1-9]|deepseek-v4|exaone-deep|gemma4|gemini-3|glm-[45]"
    r"|gpt-oss|kimi-k2-thinking|magistral|minimax-m2|nemotron-3|nemotron3|qwen3(?!-coder|-embedding)"
    r"|smallthinker|smollm3).*"
)
_SEES = re.compile(
    r"(?:bakllava|deepseek-ocr|devstral-small-2|gemini-3|gemma4|granite3\.2-vision|kimi-k2\.5"
    r"|llama3\.2-vision|llama4|llava|medgemma|minicpm-v|ministral-3|mistral-large-3"
    r"|mistral-small3\.[12]|moondream|qwen2\.5vl|qwen3-vl|qwen3\.5|translategemma).*"
)
# Of gemma3 the two smallest are blind.
_GEMMA3 = re.compile(r"gemma3(?:n)?")
_BLIND_TAG = re.compile(r"(?:270m|1b)(?:-.*)?")


@functools.lru_cache(maxsize=256)  # pure, and asked several times a call
def capabilities_of(model: str) -> Capabilities:
    """What a model can do, by its name as Ollama takes it.

    Args:
        model: ``llama3``, ``qwen3:8b``, ``someone/llava:7b``, ``hf.co/someone/some-GGUF:Q4_K_M``.
    """
    family, tag = _family(model)
    sees = _SEES.fullmatch(family) is not None
    if _GEMMA3.fullmatch(family):
        sees = family == "gemma3" and _BLIND_TAG.fullmatch(tag) is None
    tools = _TOOLS.fullmatch(family) is not None or _NO_TOOLS.fullmatch(family) is None
    return msgspec.structs.replace(
        _BASE, tools=tools, reasoning=_THINKS.fullmatch(family) is not None, images=sees
    )


def thinks_in_levels(model: str) -> bool:
    """The model takes ``think`` as ``low``, ``medium`` or ``high``, and can't be kept from it."""
    return _family(model)[0].startswith("gpt-oss")


def is_cloud_model(model: str) -> bool:
    """The server forwards the model's requests to Ollama's own service."""
    return _family(model)[1].endswith("cloud")


def _family(model: str) -> tuple[str, str]:
    name, _, tag = model.lower().rpartition("/")[2].partition(":")
    return name, tag
