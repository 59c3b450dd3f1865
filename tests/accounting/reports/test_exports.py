"""Reading vendors' exports: what each format means, and what is wrong with one that is not."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from switchgear import InvalidRequestError
from switchgear.accounting.reports.exports.anthropic import model_name
from switchgear.accounting.reports.exports.reader import read_export
from tests.accounting.reports import exports as made

DAY = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
NEXT = DAY + dt.timedelta(days=1)


def test_anthropics_input_becomes_an_inclusive_total() -> None:
    result = made.usage(fresh=1500, short=500, hour=1000, read=200, output=50, searches=10)
    export = read_export(made.anthropic(("2026-11-22", [result])))
    (line,) = export.lines
    assert (export.vendor, line.start, line.end) == ("anthropic", DAY, NEXT)
    assert line.counts == {
        "input_tokens": 3200,
        "output_tokens": 50,
        "cache_read_tokens": 200,
        "cache_write_tokens": 1500,
        "cache_write_1h_tokens": 1000,
        "web_searches": 10,
    }
    assert export.measures == tuple(line.counts)


def test_anthropics_costs_are_in_cents() -> None:
    export = read_export(made.anthropic(("2026-11-22", [made.cost("123.78912")])))
    assert export.lines[0].cost == 1_237_891_200_000
    assert export.measures == ("cost",)
    assert any("Priority" in note for note in export.notes)


def test_a_charge_without_a_model_is_a_fee_or_has_its_own_name() -> None:
    results = [made.cost("50", None, "web_search"), made.cost("2", None, "session_usage")]
    search, session = read_export(made.anthropic(("2026-11-22", results))).lines
    assert (search.fee, search.model) == ("web_searches", None)
    assert (session.fee, session.model) == (None, "Something about session_usage")


def test_the_consoles_usage() -> None:
    data = made.table(
        made.CONSOLE_USAGE,
        {
            "usage_date_utc": "2026-11-22 14:00",
            "model_version": "claude-opus-5",
            "api_key": "prod",
            "workspace": "Default, Inc.",
            "context_window": "≤ 200k",
            "usage_input_tokens_no_cache": 10,
            "usage_input_tokens_cache_write_5m": 20,
            "usage_input_tokens_cache_write_1h": 30,
            "usage_input_tokens_cache_read": 40,
            "usage_output_tokens": 50,
            "web_search_count": 1,
        },
        bom=True,
    )
    export = read_export(data)
    (line,) = export.lines
    assert (line.model, line.api_key, line.project) == ("claude-opus-5", "prod", "Default, Inc.")
    assert (line.counts["input_tokens"], line.counts["cache_write_tokens"]) == (100, 50)
    assert export.covered == ((DAY, NEXT),)


def test_the_consoles_costs_are_rounded_to_cents_and_name_models_for_people() -> None:
    rows = [
        {
            "usage_date_utc": f"2026-11-{day}",
            "model": "Claude Haiku 4.5",
            "token_type": "output",
            "cost_usd": "0.19",
            "cost_type": "token",
        }
        for day in (20, 22)
    ]
    export = read_export(made.table(made.CONSOLE_COST, *rows))
    assert export.lines[0].model == "claude-haiku-4-5"
    assert export.lines[0].cost == 190_000_000_000
    assert export.lines[0].rounding == 5_000_000_000
    # The day between had no usage, and is spoken of all the same.
    assert len(export.covered) == 3


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        ("Claude Haiku 4.5", "claude-haiku-4-5"),
        ("Claude Sonnet 4", "claude-sonnet-4"),
        ("Claude 3.5 Sonnet 2024-10-22", "claude-3-5-sonnet-20241022"),
    ],
)
def test_display_names_become_model_names(shown: str, name: str) -> None:
    assert model_name(shown) == name


def test_openais_usage() -> None:
    result = made.completions(
        input_tokens=1000,
        input_cached_tokens=800,
        output_tokens=500,
        num_model_requests=5,
        input_audio_tokens=7,
        input_cached_audio_tokens=3,
        api_key_id="key_1",
        project_id="proj_1",
    )
    export = read_export(made.openai(("2026-11-22", [result]), ("2026-11-23", [])))
    (line,) = export.lines
    assert (export.vendor, line.model) == ("openai", "gpt-5-2025-08-07")
    assert line.counts == {
        "input_tokens": 1000,
        "output_tokens": 500,
        "cache_read_tokens": 800,
        "audio_input_tokens": 10,
        "requests": 5,
    }
    assert (line.api_key, line.project) == ("key_1", "proj_1")
    assert (export.answers, export.embeddings) == (True, False)
    assert [start for start, _ in export.covered] == [DAY, NEXT]


def test_openais_costs_are_exact_and_by_model() -> None:
    results = [
        made.charge(0.1, "gpt-4o-2024-08-06, cached input"),
        made.charge("0.000000000001", "gpt-4o-2024-08-06, output"),
        made.charge(2.5, "web search tool calls"),
        made.charge(0.5, None),
    ]
    export = read_export(made.openai(("2026-11-22", results)))
    cached, output, search, rest = export.lines
    assert (cached.model, cached.cost) == ("gpt-4o-2024-08-06", 100_000_000_000)
    assert (output.model, output.cost) == ("gpt-4o-2024-08-06", 1)
    assert (search.model, search.fee) == (None, "web_searches")
    assert (rest.model, rest.fee) == (None, None)
    assert any("line_item" in note for note in export.notes)


def test_openais_other_usage() -> None:
    usage = "organization.usage."
    results = [
        {"object": f"{usage}embeddings.result", "input_tokens": 5, "num_model_requests": 1},
        {"object": f"{usage}web_searches.result", "num_requests": 3, "model": "gpt-5"},
        {"object": f"{usage}file_searches.result", "num_requests": 4},
        {"object": f"{usage}code_interpreter_sessions.result", "num_sessions": 2},
        {"object": f"{usage}images.result", "images": 9},
    ]
    export = read_export(made.openai(("2026-11-22", results)))
    _, web, file, code = export.lines
    assert (web.model, dict(web.counts)) == ("gpt-5", {"web_searches": 3})
    assert (file.fee, dict(file.counts)) == ("file_searches", {"file_searches": 4})
    assert (code.fee, dict(code.counts)) == ("code_sessions", {"code_sessions": 2})
    assert "left out: 1 line about images" in export.notes


def test_the_dashboards_usage_with_a_day_of_none() -> None:
    start = made.seconds("2026-11-22")
    data = made.table(
        made.DASHBOARD_USAGE,
        {
            "start_time": start,
            "end_time": start + 86_400,
            "model": "gpt-5-2025-08-07",
            "num_model_requests": "10.0",
            "input_tokens": "59200.0",
            "output_tokens": "10646.0",
            "input_cached_tokens": "5760.0",
            "api_key_id": "key_1",
        },
        {"start_time": start + 86_400, "end_time": start + 172_800},
        delimiter="\t",
    )
    export = read_export(data)
    (line,) = export.lines
    assert line.counts["input_tokens"] == 59_200
    assert line.counts["requests"] == 10
    assert len(export.covered) == 2


def test_the_dashboards_costs() -> None:
    start = made.seconds("2026-11-22")
    days = {"start_time": start, "end_time": start + 86_400, "amount_currency": "usd"}
    data = made.table(
        made.DASHBOARD_COST,
        {**days, "amount_value": "0.8958740000000000", "line_item": "gpt-5-2025-08-07, input"},
        {**days, "amount_value": "4E-7", "line_item": "gpt-5-2025-08-07, output"},
    )
    first, second = read_export(data).lines
    assert (first.model, first.cost) == ("gpt-5-2025-08-07", 895_874_000_000)
    assert second.cost == 400_000


def test_pages_may_follow_each_other_or_stand_in_a_list() -> None:
    one = made.anthropic(("2026-11-22", [made.usage(output=1)]), more=True)
    two = made.anthropic(("2026-11-23", [made.usage(output=2)]))
    listed = json.dumps([json.loads(one), json.loads(two)]).encode()
    for data in (one + b"\n" + two, listed):
        export = read_export(data)
        assert [line.counts["output_tokens"] for line in export.lines] == [1, 2]
        assert export.notes == ()
    assert any("more pages" in note for note in read_export(one).notes)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"\xff\xfe\xff", "not text"),
        (b"{", "line 1: it is not JSON"),
        (b'{"data": []}', "no buckets"),
        (b'{"data": [1]}', "no list of buckets"),
        (b'{"rows": []}', "known are Anthropic's"),
        (b'{"data": [{"day": 1}]}', "no known vendor"),
        (b"a,b\n1,2\n", "its columns are of no known export"),
        (b"usage_date_utc,model_version\n2026-11-22,x\n", "line 2: the column usage_input"),
        (b"usage_date_utc,cost_usd\n2026-11-22,much\n", "line 2: cost_usd: 'much' is not"),
        (b"usage_date_utc,cost_usd\nsoon,1\n", "line 2: usage_date_utc: 'soon' is not a time"),
        (b"usage_date_utc,cost_usd\n2026-11-22\n", "line 2: it has not 2 cells"),
        (b"start_time,input_tokens\n1,1.5\n", "line 2: input_tokens: '1.5' is not a count"),
        (b"start_time,input_tokens\n1,-1\n", "'-1' is not a count"),
        (b"start_time,input_tokens\n1,1E999999\n", "'1E999999' is not a count"),
        (b"start_time,amount_value\n1,NaN\n", "'NaN' is not an amount"),
        (b"start_time,amount_value,amount_currency\n1,1,eur\n", "'eur', the ledger's is USD"),
        (
            made.anthropic(("2026-11-22", [{"model": "x"}])),
            "bucket 1: a result has neither amount nor output_tokens",
        ),
    ],
)
def test_what_can_not_be_read_says_where(data: bytes, told: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_export(data)
    assert told in caught.value.message
    assert caught.value.param == "FILE"
