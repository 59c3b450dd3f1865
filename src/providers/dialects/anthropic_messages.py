"""A conversation in the common form as Anthropic's ``system`` and ``messages``.

The API is strict about the shape: turns alternate, the first is the user's, the results of tool
calls come together, at once and before anything else, no text is blank. Whatever vendor's history
comes in, this puts it into that shape without losing what was said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from ...errors import InvalidRequestError
from ...messages import Message, NativeBlock, Reasoning, Refusal, Text, ToolCall
from .. import history
from ..anthropic_models import Traits
from ..unsupported import Unexpressed
from .anthropic_blocks import AUTHOR, Block, input_block, tool_use_block

__all__ = ["Conversation", "conversation"]

_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_THINKING = frozenset({"thinking", "redacted_thinking"})
_BEGIN = "(The conversation begins with your message.)"
_CONTINUE = "Continue your last message from exactly where it ends."


class Conversation(msgspec.Struct):
    """What goes into the body.

    Attributes:
        system: Blocks of the system prompt.
        turns: The messages, alternating.
        has_tools: Tool calls or results are among them.
        prefilled: The last turn is an answer that the model is to continue.
        unsigned_loop: The tool loop at the end was not begun with the vendor's signed reasoning.
        marked: Something carries a cache mark.
    """

    system: list[Block]
    turns: list[Block]
    has_tools: bool = False
    prefilled: bool = False
    unsigned_loop: bool = False
    marked: bool = False


def conversation(messages: Sequence[Message], traits: Traits, notes: Unexpressed) -> Conversation:
    """Shape a conversation for a model."""
    builder = _Builder(traits, notes)
    for message in history.with_valid_ids(messages, valid=_TOOL_ID, prefix="toolu_"):
        builder.add(message)
    return builder.finish()


class _Builder:
    def __init__(self, traits: Traits, notes: Unexpressed) -> None:
        self._traits = traits
        self._notes = notes
        self._system: list[Block] = []
        self._turns: list[Block] = []
        self._results: list[Block] = []
        self._others: list[Block] = []
        self._instructions: list[Block] = []
        self._asked: list[str] = []
        self._marked = False
        self._has_tools = False

    def add(self, message: Message) -> None:
        """Take one message."""
        if message.name is not None and message.role != "tool":
            self._notes.knob("name", "Anthropic has no names of participants")
        if message.role == "assistant":
            self._assistant(message)
        elif message.role == "tool":
            self._results.append(self._result(message))
            self._has_tools = True
        elif message.role == "user":
            self._others += self._blocks(message)
        elif self._turns or self._results or self._others:
            self._later_system(message)
        else:
            self._system += self._blocks(message)

    def finish(self) -> Conversation:
        """Close the last turn and check the ends."""
        self._close_user()
        turns = self._turns
        if not turns and self._system:
            self._notes.note("messages: only instructions: sent as the user's message")
            turns.append({"role": "user", "content": self._system})
            self._system = []
        if not turns:
            message = "messages: nothing to say: all are empty, or left out for this vendor"
            raise InvalidRequestError(message, param="messages")
        if turns[0]["role"] != "user":
            self._notes.note("messages: a user message put before the first, which is the model's")
            turns.insert(0, {"role": "user", "content": [{"type": "text", "text": _BEGIN}]})
        prefilled = turns[-1]["role"] == "assistant" and self._finish_prefill()
        return Conversation(
            system=self._system,
            turns=turns,
            has_tools=self._has_tools,
            prefilled=prefilled,
            unsigned_loop=_unsigned_loop(turns),
            marked=self._marked,
        )

    # --- the user's side --------------------------------------------------------------------------

    def _blocks(self, message: Message) -> list[Block]:
        content = message.content
        if isinstance(content, str):
            return [{"type": "text", "text": content}] if content and not content.isspace() else []
        blocks = []
        for part in content:
            block = input_block(part, self._notes)
            if block is not None:
                self._marked = self._marked or "cache_control" in block
                blocks.append(block)
        return blocks

    def _result(self, message: Message) -> Block:
        blocks = self._blocks(message)
        result: Block = {"type": "tool_result", "tool_use_id": message.tool_call_id}
        if blocks and "cache_control" in blocks[-1]:
            # The prefix ends here either way, and the API's own place for the mark is the result.
            last = dict(blocks[-1])
            result["cache_control"] = last.pop("cache_control")
            blocks[-1] = last
        if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
            result["content"] = blocks[0]["text"]
        elif blocks:
            result["content"] = blocks
        if message.is_error:
            result["is_error"] = True
        return result

    def _close_user(self) -> None:
        if self._asked and (self._results or self._others):
            answered = {result["tool_use_id"] for result in self._results}
            for missing in (call for call in self._asked if call not in answered):
                self._notes.note(
                    f"messages: tool call {missing} has no result; said so to the model"
                )
                self._results.append(
                    {
                        "type": "tool_result",
                        "tool_use_id": missing,
                        "content": "The tool was not run.",
                        "is_error": True,
                    }
                )
        content = [*self._results, *self._others]
        instructions, self._instructions = self._instructions, []
        self._results, self._others = [], []
        if instructions and not content:
            # The API takes an instruction only right behind a user's turn.
            content, instructions = self._as_user(instructions), []
        if content:
            self._asked = []
            self._append("user", content)
        if instructions:
            self._turns.append({"role": "system", "content": instructions})

    def _append(self, role: str, content: list[Block]) -> None:
        if self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["content"] += content
        else:
            self._turns.append({"role": role, "content": content})

    # --- the model's side -------------------------------------------------------------------------

    def _assistant(self, message: Message) -> None:
        content: list[Block] = []
        calls: list[str] = []
        for part in message.parts:
            if isinstance(part, Reasoning):
                block = self._reasoning(part)
            elif isinstance(part, ToolCall):
                block = tool_use_block(part, self._notes)
                calls.append(part.id)
            elif isinstance(part, Text) and part.native is not None:
                block = self._cited(part)
            elif isinstance(part, Text | Refusal | NativeBlock):
                block = input_block(part, self._notes)
            else:
                self._notes.note("history: what the model showed is left out: Anthropic takes none")
                block = None
            if block is not None:
                self._marked = self._marked or "cache_control" in block
                content.append(block)
        if not content:
            return
        self._close_user()
        self._append("assistant", content)
        self._asked += calls
        self._has_tools = self._has_tools or bool(calls)

    def _reasoning(self, part: Reasoning) -> Block | None:
        if part.native is None or not history.own(part.native, AUTHOR):
            self._notes.note(history.foreign("reasoning", part.native))
            return None
        if self._traits.thinking is None:
            self._notes.note("history: reasoning left out: this model does not think")
            return None
        if part.native.data.get("type") == "redacted_thinking":
            return part.native.data
        return {"type": "thinking", "thinking": part.text} | part.native.data

    def _cited(self, part: Text) -> Block | None:
        block = input_block(part, self._notes)
        if part.native is None or not history.own(part.native, AUTHOR):
            self._notes.note(history.foreign("annotations of a text", part.native))
            return block
        return block and block | part.native.data

    # --- special places ---------------------------------------------------------------------------

    def _later_system(self, message: Message) -> None:
        """An instruction inside the conversation holds from there on, and must stay there."""
        blocks = self._blocks(message)
        if not blocks:
            return
        if self._traits.mid_system:
            self._instructions += blocks
        else:
            self._others += self._as_user(blocks)

    def _as_user(self, blocks: list[Block]) -> list[Block]:
        self._notes.approximate(
            "messages",
            "a system message inside the conversation is sent in the user's turn, marked as such",
        )
        return [
            block | {"text": f"<system>\n{block['text']}\n</system>"}
            if block["type"] == "text"
            else block
            for block in blocks
        ]

    def _finish_prefill(self) -> bool:
        """Mend an answer begun for the model; whether the last turn still is one."""
        content = self._turns[-1]["content"]
        while content and content[-1]["type"] in _THINKING:
            content.pop()
        if content and content[-1]["type"] == "text":
            text = content[-1]["text"]
            if text != text.rstrip():
                self._notes.note("messages: white space at the end of the begun answer left out")
                content[-1] = content[-1] | {"text": text.rstrip()}
        elif content:
            return False  # a paused turn of a server tool, which the model resumes
        else:
            self._turns.pop()
            return False
        if self._traits.prefill:
            return True
        self._notes.approximate(
            "messages", "this model continues no begun answer by itself; a user turn asks it to"
        )
        self._append("user", [{"type": "text", "text": _CONTINUE}])
        return False


def _unsigned_loop(turns: list[Block]) -> bool:
    """Whether the turn after the last real user message lacks thinking that its author signed."""
    first = None
    for turn in reversed(turns):
        if turn["role"] == "assistant":
            first = turn
        elif turn["role"] == "user" and not any(
            block["type"] == "tool_result" for block in turn["content"]
        ):
            break
    if first is None or turns[-1]["role"] == "assistant":
        return False
    return first["content"][0]["type"] not in _THINKING
