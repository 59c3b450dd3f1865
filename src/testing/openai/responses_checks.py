"""What OpenAI's Responses API refuses, with its own messages, parameters and codes."""

from __future__ import annotations

from typing import Any

from ..faults import ErrorReply, Fault
from ..rendering import Json
from ..seals import verify
from .models import is_reasoning, takes_sampling
from .refusals import bad, missing
from .responses import Store
from .schema import check_strict_schema
from .tool_checks import check_function

__all__ = ["check_responses"]

_FIELDS = frozenset(
    [
        "access_programs",
        "background",
        "background_options",
        "context_management",
        "conversation",
        "image",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "moderation",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ]
)
_INCLUDABLE = frozenset(
    {
        "reasoning.encrypted_content",
        "message.output_text.logprobs",
        "message.input_image.image_url",
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
    }
)
_MIN_OUTPUT_TOKENS = 16
_MAX_CALL_ID = 64
_CIPHER = "gAAAAAB"
_ID_PREFIXES = {
    "function_call": "fc",
    "reasoning": "rs",
    "message": "msg",
    "function_call_output": "fc",
}
_PARTS = {
    "user": {"input_text", "input_image", "input_file", "input_audio"},
    "assistant": {"output_text", "refusal"},
}


def check_responses(body: Any, store: Store) -> ErrorReply | None:
    """The vendor's refusal of a responses request, None where it would accept it."""
    if not isinstance(body, dict):
        return bad("We could not parse the JSON body of your request.")
    problem = (
        _check_fields(body) or _check_model_rules(body) or _check_tools(body) or _check_format(body)
    )
    if problem is not None:
        return problem
    previous = body.get("previous_response_id")
    earlier: list[Json] = []
    if previous is not None:
        if previous not in store.responses:
            return bad(
                f"Previous response with id '{previous}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        earlier = store.responses[previous]
    if isinstance(body["input"], str):
        return None
    for index, item in enumerate(body["input"]):
        problem = _check_item(item, f"input[{index}]", store)
        if problem is not None:
            return problem
    return _check_order(body["input"], earlier, store)


def _check_fields(body: Json) -> ErrorReply | None:
    for name in body:
        if name not in _FIELDS:
            return bad(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    if not isinstance(body.get("model"), str):
        return missing("model")
    if "input" not in body:
        return missing("input")
    if not isinstance(body["input"], str | list):
        return bad(
            "Invalid type for 'input': expected one of a string or array of input items.",
            param="input",
            code="invalid_type",
        )
    for index, wanted in enumerate(body.get("include") or ()):
        if wanted not in _INCLUDABLE:
            return bad(
                f"Invalid value: '{wanted}'.", param=f"include[{index}]", code="invalid_value"
            )
    limit = body.get("max_output_tokens")
    if limit is not None and (not isinstance(limit, int) or limit < _MIN_OUTPUT_TOKENS):
        return bad(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= "
            f"{_MIN_OUTPUT_TOKENS}, but "
            f"got {limit} instead.",
            param="max_output_tokens",
            code="integer_below_min_value",
        )
    return None


def _check_model_rules(body: Json) -> ErrorReply | None:
    model = body["model"]
    effort = (body.get("reasoning") or {}).get("effort")
    if not is_reasoning(model):
        if effort is not None:
            return _unsupported("reasoning.effort")
        if "reasoning.encrypted_content" in (body.get("include") or ()):
            return bad("Encrypted content is not supported with this model.", param="include")
        return None
    for name in ("temperature", "top_p"):
        if body.get(name) is not None and not takes_sampling(model, effort):
            return _unsupported(name)
    return None


def _unsupported(param: str) -> ErrorReply:
    return bad(
        f"Unsupported parameter: '{param}' is not supported with this model.",
        param=param,
        code="unsupported_parameter",
    )


def _check_tools(body: Json) -> ErrorReply | None:
    for index, tool in enumerate(body.get("tools") or ()):
        path = f"tools[{index}]"
        if not isinstance(tool, dict) or "type" not in tool:
            return missing(f"{path}.type")
        if tool["type"] != "function":
            continue
        if "function" in tool:
            # The chat format's nesting, the commonest mistake.
            return missing(f"{path}.name")
        problem = check_function(tool, path)
        if problem is not None:
            return problem
    return None


def _check_format(body: Json) -> ErrorReply | None:
    wanted = (body.get("text") or {}).get("format")
    if wanted is None or wanted.get("type") != "json_schema":
        return None
    for name in ("name", "schema"):
        if name not in wanted:
            return missing(f"text.format.{name}")
    problem = check_strict_schema(wanted["schema"]) if wanted.get("strict") else None
    if problem is None:
        return None
    return bad(
        f"Invalid schema for response_format '{wanted['name']}': {problem}",
        param="text.format.schema",
        code="invalid_json_schema",
    )


def _check_item(item: Any, path: str, store: Store) -> ErrorReply | None:
    if not isinstance(item, dict):
        return bad(
            f"Invalid type for '{path}': expected an input item.", param=path, code="invalid_type"
        )
    kind = item.get("type", "message")
    prefix = _ID_PREFIXES.get(kind)
    identifier = item.get("id")
    if prefix is not None and identifier is not None and not str(identifier).startswith(prefix):
        return bad(
            f"Invalid '{path}.id': '{identifier}'. Expected an ID that begins with '{prefix}'.",
            param=f"{path}.id",
            code="invalid_value",
        )
    match kind:
        case "message":
            return _check_message(item, path)
        case "function_call":
            return _check_strings(item, path, ("call_id", "name", "arguments"))
        case "function_call_output":
            if not isinstance(item.get("output"), str | list):
                return missing(f"{path}.output")
            return _check_strings(item, path, ("call_id",))
        case "reasoning":
            return _check_reasoning(item, path, store)
        case "item_reference":
            return None if identifier in store.items else _not_found(identifier)
    return None


def _check_strings(item: Json, path: str, names: tuple[str, ...]) -> ErrorReply | None:
    for name in names:
        if name not in item:
            return missing(f"{path}.{name}")
        if not isinstance(item[name], str):
            return bad(
                f"Invalid type for '{path}.{name}': expected a string, but got an object instead.",
                param=f"{path}.{name}",
                code="invalid_type",
            )
    if len(item["call_id"]) > _MAX_CALL_ID:
        return bad(
            f"Invalid '{path}.call_id': string too long. Expected a string with maximum length "
            f"{_MAX_CALL_ID}, but got "
            f"a string with length {len(item['call_id'])} instead.",
            param=f"{path}.call_id",
            code="string_above_max_length",
        )
    return None


def _check_message(item: Json, path: str) -> ErrorReply | None:
    role = item.get("role")
    if role not in {"user", "assistant", "system", "developer"}:
        return bad(
            f"Invalid value: '{role}'. Supported values are: 'assistant', 'system', "
            "'developer', and 'user'.",
            param=path,
            code="invalid_value",
        )
    content = item.get("content")
    if content is None:
        return missing(f"{path}.content")
    allowed = _PARTS["assistant" if role == "assistant" else "user"]
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(part, dict) or part.get("type") not in allowed:
            got = part.get("type") if isinstance(part, dict) else part
            return bad(
                f"Invalid value: '{got}'. Supported values are: "
                f"{', '.join(repr(kind) for kind in sorted(allowed))}.",
                param=f"{path}.content[{index}]",
                code="invalid_value",
            )
        if part["type"] == "input_image" and not isinstance(
            part.get("image_url") or part.get("file_id"), str
        ):
            return bad(
                f"Invalid type for '{path}.content[{index}].image_url': expected an image URL, "
                "but got an object "
                "instead.",
                param=f"{path}.content[{index}].image_url",
                code="invalid_type",
            )
    return None


def _check_reasoning(item: Json, path: str, store: Store) -> ErrorReply | None:
    for name in ("id", "summary"):
        if name not in item:
            return missing(f"{path}.{name}")
    sealed = item.get("encrypted_content")
    if sealed is None:
        return None if item["id"] in store.items else _not_found(item["id"])
    sealed = str(sealed)
    if not sealed.startswith(_CIPHER) or not verify(
        sealed.removeprefix(_CIPHER), "reasoning", item["id"]
    ):
        return bad(
            f"The encrypted content for item {item['id']} could not be verified. Reason: "
            "Encrypted content could not "
            "be decrypted or parsed.",
            code="invalid_encrypted_content",
        )
    return None


def _not_found(identifier: object) -> ErrorReply:
    return Fault.status(
        404,
        reason="invalid_request",
        message=f"Item with id '{identifier}' not found. Items are not persisted when `store` "
        "is set to false. Try "
        "again with `store` set to true, or remove this item from your input.",
        param="input",
    )


def _check_order(items: list[Json], earlier: list[Json], store: Store) -> ErrorReply | None:
    everything = [*earlier, *items]
    asked = [item["call_id"] for item in everything if item.get("type") == "function_call"]
    answered = {item["call_id"] for item in items if item.get("type") == "function_call_output"}
    for item in items:
        if item.get("type") == "function_call_output" and item["call_id"] not in asked:
            return bad(
                f"No tool call found for function call output with call_id {item['call_id']}.",
                param="input",
            )
    for identifier in asked:
        if identifier not in answered:
            return bad(f"No tool output found for function call {identifier}.", param="input")
    for index, item in enumerate(items):
        following = items[index + 1] if index + 1 < len(items) else {}
        kind = item.get("type", "message")
        if kind == "reasoning" and not _continues(following):
            return bad(
                f"Item '{item['id']}' of type 'reasoning' was provided without its required "
                "following item.",
                param="input",
            )
        needed = store.reasoning_before.get(str(item.get("id")))
        if needed is not None and needed not in {
            other.get("id") for other in everything[: len(earlier) + index]
        }:
            return bad(
                f"Item '{item['id']}' of type '{kind}' was provided without its required "
                f"'reasoning' item: '{needed}'.",
                param="input",
            )
    return None


def _continues(item: Json) -> bool:
    kind = item.get("type", "message" if "role" in item else None)
    return kind in {"function_call", "reasoning", "custom_tool_call"} or (
        kind == "message" and item.get("role") == "assistant"
    )
