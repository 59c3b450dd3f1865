"""Which vendor's export a file is, by what is in it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec

from ..coverage import Span, shown_moment
from . import anthropic, openai
from .values import Export, unreadable

__all__ = ["read_export"]


class _Format(Protocol):
    def is_bucket(self, bucket: Mapping[str, Any], /) -> bool: ...
    def is_table(self, columns: Sequence[str], /) -> bool: ...
    def read_buckets(self, buckets: Sequence[Mapping[str, Any]], /) -> Export: ...
    def span_of(self, bucket: Mapping[str, Any], /) -> Span: ...
    def read_table(self, rows: Sequence[Mapping[str, str]], /) -> Export: ...


_FORMATS: Final[tuple[_Format, ...]] = (anthropic, openai)
_KNOWN: Final = (
    "known are Anthropic's usage_report/messages and cost_report (JSON) and the Console's usage "
    "and cost exports (CSV), OpenAI's organization/usage/… and organization/costs (JSON) and the "
    "dashboard's exports (CSV)"
)


def read_export(data: bytes) -> Export:
    """Read an export; several pages of JSON may follow each other or stand in a list.

    Raises:
        InvalidRequestError: It is of no format that is known, or not what its format should be;
            the message says where.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError:
            raise unreadable("the file", "it is not text") from None
    if not text.strip():
        raise unreadable("the file", "it is empty")
    return _json(text) if text.lstrip()[0] in "[{" else _table(text)


def _json(text: str) -> Export:
    pages = _pages(text)
    buckets: list[Mapping[str, Any]] = []
    for page in pages:
        data = page.get("data") if isinstance(page, Mapping) else None
        if not isinstance(data, list) or not all(isinstance(each, Mapping) for each in data):
            raise unreadable("the file", f"it has no list of buckets named data; {_KNOWN}")
        buckets += data
    for vendor in _FORMATS:
        if buckets and all(vendor.is_bucket(bucket) for bucket in buckets):
            export = vendor.read_buckets(buckets)
            missing = _missing(pages, vendor)
            if not missing:
                return export
            notes = (*export.notes, *missing)
            return msgspec.structs.replace(export, complete=False, notes=notes)
    what = "it has no buckets" if not buckets else "its buckets are of no known vendor"
    raise unreadable("the file", f"{what}; {_KNOWN}")


def _missing(pages: Sequence[Mapping[str, Any]], vendor: _Format) -> list[str]:
    """A note for each page that another one says there is, and that is not in the file.

    Whatever the order of the pages: the one that follows begins when the other ends. They are
    counted, since a file may hold the pages of several reports about the same time.
    """
    starts: Counter[dt.datetime] = Counter()
    awaited: Counter[dt.datetime] = Counter()
    silent = False
    for page in pages:
        spans = [vendor.span_of(bucket) for bucket in page["data"]]
        if spans:
            starts[min(start for start, _ in spans)] += 1
        if page.get("has_more"):
            if spans:
                awaited[max(end for _, end in spans)] += 1
            else:
                silent = page is pages[-1]
    notes = []
    for at in sorted((awaited - starts).keys()):
        following = min((start for start in starts if start > at), default=None)
        if following is None:
            silent = True
        else:
            notes.append(
                "a page says that there are more, and the one that follows is not in the file: it "
                f"begins at {shown_moment(at)} UTC, and of what is there the next at "
                f"{shown_moment(following)}"
            )
    if silent:
        notes.append("its last page says that there are more pages, which are not in the file")
    return notes


def _pages(text: str) -> list[Any]:
    # Amounts stay as they are written: no float touches money.
    decoder = json.JSONDecoder(parse_float=Decimal)
    pages: list[Any] = []
    place = 0
    try:
        while place < len(text):
            page, place = decoder.raw_decode(text, place)
            pages += page if isinstance(page, list) else [page]
            place += len(text[place:]) - len(text[place:].lstrip())
    except (ValueError, RecursionError) as exc:
        line = text.count("\n", 0, getattr(exc, "pos", place)) + 1
        raise unreadable(f"line {line}", "it is not JSON") from None
    return pages


def _table(text: str) -> Export:
    head = text.lstrip().partition("\n")[0]
    delimiter = max(",\t;", key=head.count)
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as exc:
        raise unreadable("the file", f"it is not CSV: {exc}") from None
    columns = [name.strip() for name in rows[0] if isinstance(name, str)] if rows else []
    if not rows:
        columns = [name.strip() for name in head.split(delimiter)]
    for vendor in _FORMATS:
        if vendor.is_table(columns):
            plain = []
            for number, row in enumerate(rows, start=2):
                if None in row or None in row.values():
                    message = f"it has not {len(columns)} cells, like the heading"
                    raise unreadable(f"line {number}", message)
                plain.append({name.strip(): value for name, value in row.items()})
            return vendor.read_table(plain)
    raise unreadable("the file", f"its columns are of no known export; {_KNOWN}")
