"""From a :class:`Call` to the body of Anthropic's ``/v1/messages``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ...messages import Tool, ToolChoice
from ...request import ChatRequest
from ..anthropic_models import Traits
from ..base import Call, Capabilities
from ..denied import without_denied
from ..history import own
from ..unsupported import Unexpressed
from .anthropic_answer import AnswerForm, answer_form
from .anthropic_blocks import AUTHOR, Block, cache_control
from .anthropic_cache import limit_marks
from .anthropic_messages import Conversation, conversation
from .anthropic_schema import InexpressibleError, closed, object_schema
from .anthropic_thinking import Thinking, thinking_for

__all__ = ["Encoded", "Platform", "encode", "encode_count"]

Platform = Literal["anthropic", "bedrock", "vertex"]

_OLD_VERSION: Mapping[Platform, str] = {
    "anthropic": "2023-06-01",
    "bedrock": "bedrock-2023-05-31",
    "vertex": "vertex-2023-10-16",
}
_SAMPLERS = frozenset({"temperature", "top_p", "top_k"})
_UNCOUNTED = frozenset({"max_tokens", "stop_sequences", "metadata", "service_tier"}) | _SAMPLERS
_LEAST_TOP_P_WITH_THINKING = 0.95


class Encoded(msgspec.Struct, frozen=True):
    """A request, ready to be sent.

    Attributes:
        body: Its JSON.
        headers: What it needs beside the client's own.
        answer_tool: The tool whose arguments are the answer's text; ``None`` without one.
        warnings: What was dropped or changed.
    """

    body: dict[str, Any]
    headers: dict[str, str]
    answer_tool: str | None
    warnings: tuple[str, ...]


def encode(
    call: Call,
    *,
    provider: str,
    traits: Traits,
    capabilities: Capabilities,
    platform: Platform = "anthropic",
    display: str | None = None,
    stream: bool = False,
) -> Encoded:
    """Encode a call.

    Args:
        call: What is asked.
        provider: The provider's name in the configuration, for errors.
        traits: What the model takes.
        capabilities: The same for the router, the user's overrides included; they win.
        platform: Who serves the model.
        display: ``thinking.display``: whether thinking can be read.
        stream: Ask for a stream.

    Raises:
        UnsupportedParameterError: The request asks for something that this model can't do.
        InvalidRequestError: The request can't be put into the API's form.
    """
    notes = Unexpressed(call.unsupported, provider, call.model)
    request = without_denied(call.request, capabilities, notes)
    talk = conversation(request.messages, traits, notes)
    form = answer_form(request, capabilities, notes)
    body: dict[str, Any] = {"model": call.model, "messages": talk.turns}
    choice = _choice(request, form, capabilities, notes)
    tools = _tools(request.tools, form, traits, talk, notes)
    if tools:
        body["tools"] = tools
        if choice is not None:
            body["tool_choice"] = choice
        elif not request.tools:
            body["tool_choice"] = {"type": "none"}
    _system(body, talk.system, form.words)
    forced = choice is not None and choice["type"] in {"any", "tool"}
    thinking = thinking_for(request, traits, talk, forced=forced, display=display, notes=notes)
    if thinking.type is not None:
        body["thinking"] = thinking.type
    if thinking.effort is not None:
        body["output_config"] = {"effort": thinking.effort}
    if form.native is not None:
        body.setdefault("output_config", {})["format"] = form.native
    body["max_tokens"] = _max_tokens(request, traits, capabilities, thinking, notes)
    _stops(body, request, notes)
    samplers = capabilities.sampling
    _sampling(body, request, samplers, traits, thinks=thinking.active, notes=notes)
    if talk.marked or any(tool.cache for tool in request.tools):
        limit_marks(body, notes)
    if stream:
        body["stream"] = True
    body.update(call.extra)
    headers = dict(call.headers)
    _version(body, headers, traits, platform)
    return Encoded(body, headers, form.tool_name, notes.warnings)


def encode_count(encoded: Encoded) -> dict[str, Any]:
    """The body of ``/v1/messages/count_tokens`` for the same request."""
    return {key: value for key, value in encoded.body.items() if key not in _UNCOUNTED}


def _system(body: dict[str, Any], blocks: list[Block], words: str | None) -> None:
    if words is not None:
        blocks = [*blocks, {"type": "text", "text": words}]
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        body["system"] = blocks[0]["text"]
    elif blocks:
        body["system"] = blocks


# --- tools ----------------------------------------------------------------------------------------


def _tools(
    tools: tuple[Tool, ...],
    form: AnswerForm,
    traits: Traits,
    talk: Conversation,
    notes: Unexpressed,
) -> list[Block]:
    blocks = [block for tool in tools if (block := _tool(tool, traits, notes)) is not None]
    if form.tool is not None:
        blocks.append(form.tool)
    if not blocks and talk.has_tools:
        # A history with tool calls is refused unless its tools are declared.
        used = {
            block["name"]: None
            for turn in talk.turns
            for block in turn["content"]
            if block["type"] == "tool_use"
        }
        blocks = [{"name": name, "input_schema": {"type": "object"}} for name in used]
    return blocks


def _tool(tool: Tool, traits: Traits, notes: Unexpressed) -> Block | None:
    if tool.native is not None:
        if not own(tool.native, AUTHOR):
            notes.meaning("tools", f"{tool.name} is a tool of {tool.native.author}'s own")
            return None
        block = dict(tool.native.data)
    else:
        schema = object_schema(tool.parameters)
        if schema is None:
            notes.meaning("tools", f"the parameters of {tool.name} are not a JSON schema object")
            return None
        block = {"name": tool.name, "input_schema": schema}
        if tool.description:
            block["description"] = tool.description
        if tool.strict:
            _make_strict(block, tool, traits, notes)
    if tool.cache is not None:
        block["cache_control"] = cache_control(tool.cache)
    return block


def _make_strict(block: Block, tool: Tool, traits: Traits, notes: Unexpressed) -> None:
    if not traits.native_schema:
        notes.knob("strict", "this model has no strict tools")
        return
    try:
        schema, lost = closed(block["input_schema"])
    except InexpressibleError as exc:
        notes.knob("strict", f"of {tool.name}: {exc}")
        return
    if lost:
        notes.approximate("strict", f"of {tool.name}: not enforced, only told: {', '.join(lost)}")
    block["input_schema"] = schema
    block["strict"] = True


def _choice(
    request: ChatRequest, form: AnswerForm, capabilities: Capabilities, notes: Unexpressed
) -> Block | None:
    """``tool_choice``; ``None`` leaves it to the API, whose default is auto."""
    serial = request.parallel_tool_calls is False
    if form.tool_name is not None:
        choice = {"type": "tool", "name": form.tool_name}
        if request.tools and (request.tool_choice or ToolChoice()).mode == "auto":
            choice = {"type": "any"}
        return choice | {"disable_parallel_tool_use": True} if serial else choice
    if not request.tools:
        return None
    wanted = request.tool_choice
    kind = {"auto": "auto", "required": "any", "none": "none"}[wanted.mode] if wanted else "auto"
    name = wanted.name if wanted else None
    if (name is not None or kind == "any") and not capabilities.tool_choice:
        notes.meaning("tool_choice", "this model can't be made to use a tool")
        kind, name = "auto", None
    choice = {"type": "tool", "name": name} if name is not None else {"type": kind}
    if serial and kind != "none":
        return choice | {"disable_parallel_tool_use": True}
    return choice if wanted is not None else None


# --- numbers --------------------------------------------------------------------------------------


def _max_tokens(
    request: ChatRequest,
    traits: Traits,
    capabilities: Capabilities,
    thinking: Thinking,
    notes: Unexpressed,
) -> int:
    limit = capabilities.max_output_tokens
    wanted = request.max_tokens
    if wanted is None:
        default = traits.default_output + thinking.budget
        return default if limit is None else min(default, limit)
    if limit is not None and wanted > limit:
        notes.approximate("max_tokens", f"lowered to {limit}, the most that this model takes")
        return limit
    return wanted


def _stops(body: dict[str, Any], request: ChatRequest, notes: Unexpressed) -> None:
    stops = [stop for stop in request.stop if stop.strip()]
    if len(stops) < len(request.stop):
        notes.knob("stop", "Anthropic takes no stop sequence of white space only")
    if stops:
        body["stop_sequences"] = stops


def _sampling(
    body: dict[str, Any],
    request: ChatRequest,
    taken: frozenset[str],
    traits: Traits,
    *,
    thinks: bool,
    notes: Unexpressed,
) -> None:
    if request.seed is not None:
        notes.knob("seed", "Anthropic has none")
    for name in ("temperature", "top_p"):
        value = getattr(request, name)
        if value is None:
            continue
        if name not in taken:
            notes.knob(name)
        elif name == "top_p" and traits.one_sampler and "temperature" in body:
            notes.knob(name, "this model takes temperature or top_p, not both")
        elif thinks and not _fits_thinking(name, value):
            notes.knob(name, "not while the model thinks")
        elif value > 1:
            notes.approximate(name, "lowered to 1, the largest that Anthropic takes")
            body[name] = 1.0
        else:
            body[name] = value


def _fits_thinking(name: str, value: float) -> bool:
    return value == 1 if name == "temperature" else value >= _LEAST_TOP_P_WITH_THINKING


def _version(
    body: dict[str, Any], headers: dict[str, str], traits: Traits, platform: Platform
) -> None:
    """Ask for the API's first version where the second would refuse the request."""
    samples = not _SAMPLERS.isdisjoint(body)
    if platform == "anthropic":
        if samples and "anthropic-version" not in headers:
            headers["anthropic-version"] = _OLD_VERSION[platform]
    elif samples or (platform == "bedrock" and traits.old_bedrock):
        body.setdefault("anthropic_version", _OLD_VERSION[platform])
