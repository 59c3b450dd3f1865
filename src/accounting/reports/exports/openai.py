"""OpenAI's exports.

* The Usage API, ``GET /v1/organization/usage/completions`` and its siblings for embeddings, web
  searches, file searches and code interpreter sessions, and the Costs API,
  ``GET /v1/organization/costs``: https://platform.openai.com/docs/api-reference/usage. The fields
  are also in the official SDK, ``openai.types.admin.organization``. Input tokens include cached
  and cache-write ones. "Usage may not always reconcile perfectly with costs", says OpenAI; for
  money the Costs API is the one that matches the invoice.
* The dashboard's CSV exports (``completions_usage_….csv``, ``cost_….csv``), which have the same
  fields as columns, the amount as ``amount_value`` and ``amount_currency``:
  https://platform.openai.com/usage. Their columns are those of files in public repositories, from
  2025-10 to 2026-09; whole numbers may be written ``59200.0``.

Line items of costs are ``gpt-4o-2024-08-06, cached input``: the model, then the kind. Times are
seconds since 1970, days begin in UTC. Checked on 2026-11-23.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..figures import times
from .values import (
    REQUESTS,
    Export,
    ExportLine,
    amount_of,
    count_of,
    text_of,
    unreadable,
)

__all__ = ["VENDOR", "is_bucket", "is_table", "read_buckets", "read_table", "span_of"]

VENDOR: Final = "openai"

_ROUNDING: Final = 10_000
"""10⁻⁸ USD: amounts are binary floating-point numbers, and sums of such."""
_USAGE: Final = "organization.usage."
_COSTS: Final = "organization.costs.result"
_COUNTS: Final = {
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "cache_read_tokens": ("input_cached_tokens",),
    "cache_write_tokens": ("input_cache_write_tokens",),
    "audio_input_tokens": ("input_audio_tokens", "input_cached_audio_tokens"),
    "audio_output_tokens": ("output_audio_tokens",),
    REQUESTS: ("num_model_requests",),
}
_EXPECTED: Final = {
    "costs": ("cost",),
    "completions": tuple(_COUNTS),
    "embeddings": ("input_tokens", REQUESTS),
}
_FEES: Final = {
    "web search": "web_searches",
    "file search": "file_searches",
    "code interpreter": "code_sessions",
    "container": "code_sessions",
}


def is_bucket(bucket: Mapping[str, Any]) -> bool:
    """Whether a bucket of a JSON report is OpenAI's."""
    return "start_time" in bucket


def is_table(columns: Sequence[str]) -> bool:
    """Whether a CSV file with these columns is OpenAI's."""
    known = {"amount_value", "num_model_requests", "input_tokens", "num_requests", "num_sessions"}
    return "start_time" in columns and bool(known & set(columns))


def span_of(bucket: Mapping[str, Any]) -> tuple[dt.datetime, dt.datetime]:
    """The time that a bucket, which has been read, is about."""
    return _times(bucket, "a bucket")


def read_buckets(buckets: Sequence[Mapping[str, Any]]) -> Export:
    """The buckets of a usage or cost report.

    Raises:
        InvalidRequestError: They are not what the API documents.
    """
    found: list[tuple[Mapping[str, Any], str]] = []
    covered = []
    empty = False
    for number, bucket in enumerate(buckets, start=1):
        place = f"bucket {number}"
        start, end = _times(bucket, place)
        before = len(found)
        covered.append((start, end))
        for result in bucket.get("results") or bucket.get("result") or ():
            if not isinstance(result, Mapping):
                raise unreadable(place, "a result is not an object")
            times = {"start_time": bucket["start_time"], "end_time": bucket.get("end_time")}
            found.append(({**result, **times}, place))
        if len(found) == before:
            empty = True
    # Each report has one bucket for each time. Where there are more of these than kinds of results,
    # one report has none, and an empty bucket does not say which it is of.
    reports = max(Counter(covered).values(), default=0)
    untold = empty and reports > len({_kind(result) for result, _ in found})
    return _export("OpenAI's", found, covered, untold=untold)


def read_table(rows: Sequence[Mapping[str, str]]) -> Export:
    """The rows of one of the dashboard's CSV files.

    Raises:
        InvalidRequestError: A value is not what its column's name says.
    """
    found: list[tuple[Mapping[str, Any], str]] = []
    covered = []
    kind = _kind(dict.fromkeys(set(rows[0]) - {"object"})) if rows else None
    for number, row in enumerate(rows, start=2):
        place = f"line {number}"
        covered.append(_times(row, place))
        # A day without any usage has a row of its own, with nothing but the day in it.
        said = {name: value for name, value in row.items() if value not in {"", None}}
        if set(said) - {"start_time", "end_time", "start_time_iso", "end_time_iso"}:
            found.append((said, place))
    return _export("the dashboard's", found, covered, kind)


def _export(
    whose: str,
    found: Sequence[tuple[Mapping[str, Any], str]],
    covered: Sequence[tuple[dt.datetime, dt.datetime]],
    heading: str | None = None,
    *,
    untold: bool = False,
) -> Export:
    """An export of these results.

    Args:
        whose: Where it was made.
        found: The results, each with its place.
        covered: The times that it speaks of.
        heading: What it is about by its heading, should it have no result.
        untold: There are several reports in it, and one of them has nothing to tell it by.
    """
    lines: list[ExportLine] = []
    left_out: Counter[str] = Counter()
    kinds = set()
    for result, place in found:
        kind = _kind(result)
        if kind == "costs":
            lines.append(_cost(result, place))
        elif kind in {"completions", "embeddings"}:
            lines.append(_tokens(result, place))
        elif kind in {"web_searches", "file_searches", "code_interpreter_sessions"}:
            lines.append(_tool(kind, result, place))
        else:
            left_out[kind] += 1
            continue
        kinds.add(kind)
    if not found and heading in _EXPECTED:
        kinds.add(heading)
    unknown = not (found or heading)
    notes = [f"left out: {times(count, 'line')} about {kind}" for kind, count in left_out.items()]
    if any(line.model is None and line.fee is None for line in lines):
        by = "line_item" if "costs" in kinds else "model"
        notes.append(f"not split by model: group_by={by} would allow a closer look")
    if found and untold:
        notes.append(
            "one of its reports is empty and does not say what it is about: compared as if it were "
            "about everything"
        )
    about = "usage or cost" if unknown else "cost" if "costs" in kinds else "usage"
    every = dict.fromkeys((*_COUNTS, *_FEES.values(), "cost"))
    said = [measure for kind in sorted(kinds) for measure in _EXPECTED.get(kind, ())]
    return Export(
        vendor=VENDOR,
        form=f"{whose} {about} {'export' if 'dash' in whose else 'report'}",
        lines=tuple(lines),
        covered=tuple(sorted(set(covered))),
        embeddings=unknown or untold or not kinds.isdisjoint({"costs", "embeddings"}),
        answers=unknown or untold or bool(kinds - {"embeddings"}),
        expected=tuple(every if unknown else dict.fromkeys(said)),
        notes=tuple(notes),
    )


def _kind(result: Mapping[str, Any]) -> str:
    named = result.get("object")
    if isinstance(named, str):
        if named == _COSTS:
            return "costs"
        return named.removeprefix(_USAGE).removesuffix(".result")
    if "amount_value" in result or "amount" in result:
        return "costs"
    if "output_tokens" in result:
        return "completions"
    return "embeddings" if "input_tokens" in result else "something else"


def _tokens(result: Mapping[str, Any], place: str) -> ExportLine:
    counts = {}
    for measure, names in _COUNTS.items():
        said = [name for name in names if result.get(name) is not None]
        if said:
            counts[measure] = sum(count_of(result[name], f"{place}: {name}") for name in said)
    return ExportLine(**_labels(result, place), model=text_of(result.get("model")), counts=counts)


def _tool(kind: str, result: Mapping[str, Any], place: str) -> ExportLine:
    measure = "code_sessions" if kind == "code_interpreter_sessions" else kind
    name = "num_sessions" if measure == "code_sessions" else "num_requests"
    model = text_of(result.get("model"))
    return ExportLine(
        **_labels(result, place),
        model=model,
        fee=measure if model is None else None,
        counts={measure: count_of(result.get(name), f"{place}: {name}")},
    )


def _cost(result: Mapping[str, Any], place: str) -> ExportLine:
    amount = result.get("amount")
    nested = amount if isinstance(amount, Mapping) else {}
    value = nested.get("value", result.get("amount_value"))
    currency = nested.get("currency", result.get("amount_currency", result.get("currency")))
    if isinstance(currency, str) and currency.lower() != "usd":
        raise unreadable(place, f"its currency is {currency!r}, the ledger's is USD")
    item = text_of(result.get("line_item"))
    fee = next((fee for words, fee in _FEES.items() if words in (item or "").lower()), None)
    return ExportLine(
        **_labels(result, place),
        model=item.partition(", ")[0] if item is not None and fee is None else None,
        fee=fee,
        cost=0 if value is None else amount_of(value, f"{place}: amount"),
        rounding=_ROUNDING,
    )


def _labels(result: Mapping[str, Any], place: str) -> dict[str, Any]:
    start, end = _times(result, place)
    return {
        "start": start,
        "end": end,
        "api_key": text_of(result.get("api_key_id")),
        "project": text_of(result.get("project_id")),
    }


def _times(bucket: Mapping[str, Any], place: str) -> tuple[dt.datetime, dt.datetime]:
    start = count_of(bucket.get("start_time"), f"{place}: start_time")
    end = count_of(bucket.get("end_time"), f"{place}: end_time") or start + 86_400
    try:
        return dt.datetime.fromtimestamp(start, dt.UTC), dt.datetime.fromtimestamp(end, dt.UTC)
    except (ValueError, OverflowError, OSError):
        raise unreadable(f"{place}: start_time", f"{start} is not a time") from None
