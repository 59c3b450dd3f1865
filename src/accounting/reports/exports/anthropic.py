"""Anthropic's exports.

* The Admin API's usage report, ``GET /v1/organizations/usage_report/messages``:
  https://platform.claude.com/docs/en/api/admin/usage_report/retrieve_messages. Its input tokens
  exclude the cached ones; the sum is made here. It has no requests.
* Its cost report, ``GET /v1/organizations/cost_report``, amounts in cents as decimal text:
  https://platform.claude.com/docs/en/api/admin/cost_report/retrieve. Costs of the Priority tier
  are not in it: https://platform.claude.com/docs/en/build-with-claude/usage-cost-api
* The Console's CSV exports of usage (``claude_api_tokens_….csv``) and cost
  (``claude_api_cost_….csv``, rounded to cents, models by their display names):
  https://support.claude.com/en/articles/9534590-cost-and-usage-reporting-in-the-claude-console.
  That page does not list the columns; they are those of files in public repositories, from 2025-06
  to 2026-09.

All times are UTC. Checked on 2026-11-23.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .values import DAY, Export, ExportLine, amount_of, count_of, day_of, text_of, unreadable

__all__ = [
    "VENDOR",
    "is_bucket",
    "is_table",
    "model_name",
    "read_buckets",
    "read_table",
    "span_of",
]

VENDOR: Final = "anthropic"

_CENTS: Final = -2
_API_ROUNDING: Final = 50_000
"""Half of the report's last digit, 10⁻⁵ cents."""
_CONSOLE_ROUNDING: Final = 5_000_000_000
"""Half a cent."""
_FEES: Final = {"web_search": "web_searches", "code_execution": "code_sessions"}
_MEASURES: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "web_searches",
)
_DATE: Final = re.compile(r"-(\d{4})-(\d{2})-(\d{2})$")
_CONSOLE_COUNTS: Final = (
    "usage_input_tokens_no_cache",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
    "usage_input_tokens_cache_read",
    "usage_output_tokens",
)


def is_bucket(bucket: Mapping[str, Any]) -> bool:
    """Whether a bucket of a JSON report is Anthropic's."""
    return "starting_at" in bucket


def is_table(columns: Sequence[str]) -> bool:
    """Whether a CSV file with these columns is Anthropic's."""
    return "usage_date_utc" in columns


def model_name(shown: str) -> str:
    """A display name as the API writes it: ``Claude Haiku 4.5`` is ``claude-haiku-4-5``."""
    plain = re.sub(r"[\s.]+", "-", shown.strip().lower())
    return _DATE.sub(r"-\1\2\3", plain)


def span_of(bucket: Mapping[str, Any]) -> tuple[dt.datetime, dt.datetime]:
    """The time that a bucket, which has been read, is about."""
    return _span(bucket, "a bucket")


def read_buckets(buckets: Sequence[Mapping[str, Any]]) -> Export:
    """The buckets of a usage or cost report.

    Raises:
        InvalidRequestError: They are not what the API documents.
    """
    lines: list[ExportLine] = []
    covered = []
    split = True
    for number, bucket in enumerate(buckets, start=1):
        place = f"bucket {number}"
        start, end = _span(bucket, place)
        covered.append((start, end))
        for result in bucket.get("results") or ():
            if not isinstance(result, Mapping):
                raise unreadable(place, "a result is not an object")
            line = _cost(result, start, end, place) if "amount" in result else None
            line = line or _usage(result, start, end, place)
            split = split and (line.model is not None or line.fee is not None)
            lines.append(line)
    cost = any(line.cost is not None for line in lines)
    kind = ("cost" if cost else "usage") if lines else "usage or cost"
    notes = ["costs of the Priority tier are not in it"] if cost else []
    if lines and not split:
        by = "description" if cost else "model"
        notes.append(f"not split by model: group_by[]={by} would allow a closer look")
    return Export(
        vendor=VENDOR,
        form=f"Anthropic's {kind} report",
        lines=tuple(lines),
        covered=tuple(covered),
        expected=(*_MEASURES, "cost"),
        notes=tuple(notes),
    )


def read_table(rows: Sequence[Mapping[str, str]]) -> Export:
    """The rows of one of the Console's CSV files.

    Raises:
        InvalidRequestError: A value is not what its column's name says, or a column is missing.
    """
    lines: list[ExportLine] = []
    for number, row in enumerate(rows, start=2):
        place = f"line {number}"
        at = _instant(row.get("usage_date_utc"), f"{place}: usage_date_utc")
        start = day_of(at)
        lines.append(_console_line(row, start, place))
    days = sorted({line.start for line in lines})
    # Days without a line had no usage: the Console leaves them out.
    length = (days[-1] - days[0]).days + 1 if days else 0
    covered = tuple((days[0] + DAY * place, days[0] + DAY * (place + 1)) for place in range(length))
    cost = any(line.cost is not None for line in lines)
    return Export(
        vendor=VENDOR,
        form=f"the Console's {'cost' if cost else 'usage'} export",
        lines=tuple(lines),
        covered=covered,
        notes=("its costs are rounded to cents, line by line",) if cost else (),
    )


def _usage(
    result: Mapping[str, Any], start: dt.datetime, end: dt.datetime, place: str
) -> ExportLine:
    if "output_tokens" not in result:
        raise unreadable(place, "a result has neither amount nor output_tokens")
    written = result.get("cache_creation") or {}
    tools = result.get("server_tool_use") or {}

    def counted(of: Mapping[str, Any], name: str) -> int:
        return count_of(of.get(name), f"{place}: {name}")

    return ExportLine(
        start=start,
        end=end,
        model=text_of(result.get("model")),
        api_key=text_of(result.get("api_key_id")),
        project=text_of(result.get("workspace_id")),
        counts=_counts(
            fresh=counted(result, "uncached_input_tokens"),
            short=counted(written, "ephemeral_5m_input_tokens"),
            hour=counted(written, "ephemeral_1h_input_tokens"),
            read=counted(result, "cache_read_input_tokens"),
            output=counted(result, "output_tokens"),
            searches=counted(tools, "web_search_requests"),
        ),
    )


def _cost(
    result: Mapping[str, Any], start: dt.datetime, end: dt.datetime, place: str
) -> ExportLine:
    currency = result.get("currency")
    if currency not in {None, "USD", "usd"}:
        raise unreadable(place, f"its currency is {currency!r}, the ledger's is USD")
    model = text_of(result.get("model"))
    kind = text_of(result.get("cost_type"))
    fee = _FEES.get(kind or "") if model is None else None
    return ExportLine(
        start=start,
        end=end,
        model=text_of(result.get("description")) if model is None and fee is None else model,
        fee=fee,
        project=text_of(result.get("workspace_id")),
        cost=amount_of(result.get("amount"), f"{place}: amount", scale=_CENTS),
        rounding=_API_ROUNDING,
    )


def _console_line(row: Mapping[str, str], start: dt.datetime, place: str) -> ExportLine:
    labels: dict[str, Any] = {
        "start": start,
        "end": start + DAY,
        "api_key": text_of(row.get("api_key")),
        "project": text_of(row.get("workspace")),
    }
    if "cost_usd" in row:
        shown = text_of(row.get("model"))
        kind = (text_of(row.get("cost_type")) or "other").replace(" ", "_").lower()
        fee = _FEES.get(kind)
        return ExportLine(
            model=None if fee is not None else model_name(shown) if shown is not None else kind,
            fee=fee,
            cost=amount_of(row["cost_usd"], f"{place}: cost_usd"),
            rounding=_CONSOLE_ROUNDING,
            **labels,
        )
    missing = [name for name in _CONSOLE_COUNTS if name not in row]
    if missing:
        raise unreadable(place, f"the column {missing[0]} is missing")
    counts = (count_of(row[name], f"{place}: {name}") for name in _CONSOLE_COUNTS)
    fresh, short, hour, read, output = counts
    return ExportLine(
        model=text_of(row.get("model_version")),
        counts=_counts(
            fresh=fresh,
            short=short,
            hour=hour,
            read=read,
            output=output,
            searches=count_of(row.get("web_search_count"), f"{place}: web_search_count"),
        ),
        **labels,
    )


def _counts(
    *, fresh: int, short: int, hour: int, read: int, output: int, searches: int
) -> dict[str, int]:
    counts = (fresh + short + hour + read, output, read, short + hour, hour, searches)
    return dict(zip(_MEASURES, counts, strict=True))


def _span(bucket: Mapping[str, Any], place: str) -> tuple[dt.datetime, dt.datetime]:
    start = _instant(bucket.get("starting_at"), f"{place}: starting_at")
    return start, _instant(bucket.get("ending_at"), f"{place}: ending_at")


def _instant(value: Any, place: str) -> dt.datetime:
    try:
        at = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise unreadable(place, f"{value!r} is not a time") from None
    return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at
