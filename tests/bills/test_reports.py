"""What providers' reports say: rows in the shapes of their SDKs, to the token and the cent."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from quota_scheduler.bills import anthropic, openai
from quota_scheduler.bills.pages import Ask, NotThis
from quota_scheduler.core.observations.bill import BillLine, Ceiling, Report
from quota_scheduler.core.observations.observation import Observation, ProviderWindow, Standing
from quota_scheduler.core.units import MICRO, PICO
from quota_scheduler.core.usage import Usage

NOW = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TEN, MIDNIGHT = datetime(2026, 11, 27, 10, tzinfo=UTC), datetime(2026, 11, 27, tzinfo=UTC)
AN_HOUR = {"starting_at": "2026-11-27T10:00:00Z", "ending_at": "2026-11-27T11:00:00Z"}
A_DAY = {"starting_at": "2026-11-27T00:00:00Z", "ending_at": "2026-11-28T00:00:00Z"}
COUNTS = {
    "uncached_input_tokens": 120,
    "cache_read_input_tokens": 20_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 1_500},
    "output_tokens": 412,
}
GROUP = {"model": "claude-opus-5", "workspace_id": "wrkspc_1", "service_tier": None}
OPUS = Usage(120, 20_000, 7, 1_500, 412)


def reader(readers, name):
    return next(one for one in readers if one.name == name)


def line(report=Report.USAGE, usage=OPUS, **changes):
    fields = {"provider": "anthropic", "account": "org", "model": "claude-opus-5", "group": "workspace_id=wrkspc_1"}
    span = (TEN, TEN + HOUR) if report is Report.USAGE else (MIDNIGHT, MIDNIGHT + DAY)
    fields = fields | {"starts_at": span[0], "ends_at": span[1]} | changes
    return BillLine(report=report, usage=usage, **fields)


def dollars(amount):
    return Usage().costing(int(amount * MICRO * PICO))


@pytest.mark.parametrize(
    ("api", "name", "rows", "lines", "garbled"),
    [
        pytest.param(
            "analytics", "usage",
            [AN_HOUR | {"group": GROUP, "usage": COUNTS | {"requests": 3, "total_tokens": 22_039}}],
            [line(usage=OPUS._replace(requests=3))], 0,
            id="an hour of a model, five kinds",
        ),
        pytest.param(
            "analytics", "usage",
            [AN_HOUR | {"group": {}, "usage": {"output_tokens": 5}}],
            [line(usage=Usage(output=5), model="", group="")], 0,
            id="what is not grouped, and kinds that are not there",
        ),
        pytest.param(
            "analytics", "cost",
            [A_DAY | {"group": GROUP, "cost": {"amount": "123.45", "list_amount": "150.00", "currency": "USD"}}],
            [line(Report.COST, dollars(1.2345))], 0,
            id="cents as text, after the discount",
        ),
        pytest.param(
            "analytics", "cost",
            [A_DAY | {"group": GROUP, "cost": {"amount": "0.000001", "currency": "USD"}}],
            [line(Report.COST, Usage(cost_rest=10_000))], 0,
            id="a millionth of a cent is kept",
        ),
        pytest.param(
            "usage_report", "usage",
            [AN_HOUR | {"results": [COUNTS | GROUP]}, AN_HOUR | {"results": []}],
            [line()], 0,
            id="buckets of the older report, one of them empty",
        ),
        pytest.param(
            "usage_report", "cost",
            [A_DAY | {"results": [
                {"amount": "100", "currency": "USD", "model": "claude-opus-5", "cost_type": "tokens",
                 "token_type": "output_tokens", "workspace_id": None, "description": "x"},
                {"amount": "1.5", "currency": "USD", "model": None, "cost_type": "web_search", "workspace_id": None},
            ]}],
            [line(Report.COST, dollars(1), group="cost_type=tokens token_type=output_tokens"),
             line(Report.COST, dollars(0.015), model="", group="cost_type=web_search")], 0,
            id="tokens and searches are charged apart",
        ),
        pytest.param(
            "analytics", "usage",
            [
                7, AN_HOUR | {"group": GROUP}, AN_HOUR | {"group": GROUP, "usage": COUNTS | {"output_tokens": -1}},
                AN_HOUR | {"group": GROUP, "usage": COUNTS | {"output_tokens": "many"}},
                {"starting_at": "yesterday", "ending_at": "today", "group": GROUP, "usage": COUNTS},
                AN_HOUR | {"group": GROUP, "usage": COUNTS},
            ],
            [line()], 5,
            id="rows that cannot be understood keep the good one not out",
        ),
        pytest.param(
            "analytics", "cost",
            [A_DAY | {"group": GROUP, "cost": {"amount": "9", "currency": "EUR"}},
             A_DAY | {"group": GROUP, "cost": {"amount": "NaN", "currency": "USD"}}],
            [], 2,
            id="euros and what is no number",
        ),
        pytest.param(
            "analytics", "cost",
            [A_DAY | {"group": GROUP, "cost": {"amount": "-0.5", "currency": "USD"}},
             A_DAY | {"group": GROUP, "cost": {"amount": "100", "currency": "USD"}}],
            [line(Report.COST, dollars(1))], 1,
            id="a charge below zero is counted and keeps the good one not out",
        ),
    ],
)  # fmt: skip
def test_anthropic_reports(api, name, rows, lines, garbled):
    page = reader(anthropic.readers(api), name).read({"data": rows, "has_more": False}, "org", NOW)
    assert (list(page.lines), page.garbled, page.next) == (lines, garbled, "")


SPENT = {"actor": {"type": "user", "user_id": "user_1"}, "amount": "5000", "currency": "USD", "period": "monthly",
         "period_to_date_spend": "1250.5", "scope": {"type": "user"}}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "seen"),
    [
        pytest.param(SPENT, (0.2501, Standing.ALLOWED), id="a quarter of fifty dollars"),
        pytest.param(SPENT | {"period_to_date_spend": "5000"}, (1.0, Standing.REJECTED), id="all of it"),
        pytest.param(SPENT | {"amount": None}, None, id="nobody limits it"),
        pytest.param(SPENT | {"period_to_date_spend": "0"}, None, id="0 also means that nobody knows"),
        pytest.param(SPENT | {"period": "weekly"}, None, id="a week has no window of ours"),
    ],
)
def test_spend_limits_are_observations(row, seen):
    page = anthropic.spend_page({"data": [row]}, "org", NOW)
    december = datetime(2026, 12, 1, tzinfo=UTC)
    said = [
        Observation("anthropic", "org", ProviderWindow.MONTHLY_SPEND, NOW, "spend_limits", seen[0], december, "user_1",
                    seen[1])
    ] if seen else []  # fmt: skip
    assert (list(page.observations), page.garbled) == (said, 0)


ALLOWED = {
    "type": "rate_limit",
    "group_type": "model_group",
    "models": ["claude-sonnet-5", "claude-opus-5"],
    "limits": [{"type": "requests_per_minute", "value": 4_000}, {"type": "output_tokens_per_minute", "value": 80_000}],
}


@pytest.mark.parametrize(
    ("row", "ceilings", "garbled"),
    [
        pytest.param(
            ALLOWED,
            [
                Ceiling("anthropic", "org", "claude-opus-5 claude-sonnet-5", "requests_per_minute", 4_000),
                Ceiling("anthropic", "org", "claude-opus-5 claude-sonnet-5", "output_tokens_per_minute", 80_000),
            ],
            0,
            id="a group of models",
        ),
        pytest.param(
            ALLOWED | {"group_type": "batch", "models": None, "limits": [{"type": "enqueued", "value": 9}]},
            [Ceiling("anthropic", "org", "batch", "enqueued", 9)],
            0,
            id="what is about no model",
        ),
        pytest.param(ALLOWED | {"limits": [{"type": "requests_per_minute", "value": "many"}]}, [], 1, id="no number"),
        pytest.param(ALLOWED | {"limits": None}, [], 1, id="no limits"),
    ],
)
def test_rate_limits_are_ceilings(row, ceilings, garbled):
    page = anthropic.ceiling_page({"data": [row], "next_page": "p2"}, "org", NOW)
    assert (list(page.ceilings), page.garbled, page.next) == (ceilings, garbled, "p2")


def bucket(*results, start=TEN, length=HOUR):
    return {"object": "bucket", "start_time": int(start.timestamp()), "end_time": int((start + length).timestamp()),
            "results": list(results)}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "buckets", "lines", "garbled"),
    [
        pytest.param(
            "usage",
            [bucket({"model": "gpt-5.5", "project_id": "proj_1", "input_tokens": 1_000, "input_cached_tokens": 600,
                     "input_cache_write_tokens": 100, "output_tokens": 50, "num_model_requests": 2})],
            [line(usage=Usage(300, 600, 100, 0, 50, 2), provider="openai", model="gpt-5.5", group="project_id=proj_1")],
            0,
            id="input includes the cache",
        ),
        pytest.param(
            "cost",
            [bucket({"amount": {"value": 0.06, "currency": "usd"}, "line_item": "gpt-5.5, input", "project_id": None},
                    start=MIDNIGHT, length=DAY)],
            [line(Report.COST, dollars(0.06), provider="openai", model="", group="line_item=gpt-5.5, input")],
            0,
            id="dollars as a number",
        ),
        pytest.param(
            "cost", [bucket({"amount": {"value": -1, "currency": "usd"}}, start=MIDNIGHT, length=DAY)], [], 1,
            id="a charge below zero",
        ),
        pytest.param(
            "usage",
            [bucket({"model": "gpt-5.5", "input_tokens": 5, "input_cached_tokens": 6}), {"object": "bucket"},
             bucket({"model": "gpt-5.5", "input_tokens": 5})],
            [line(usage=Usage(5), provider="openai", model="gpt-5.5", group="")],
            2,
            id="more from the cache than went in, and a bucket without its time",
        ),
    ],
)  # fmt: skip
def test_openai_reports(name, buckets, lines, garbled):
    page = reader(openai.readers(""), name).read({"object": "page", "data": buckets, "has_more": False}, "org", NOW)
    assert (list(page.lines), page.garbled) == (lines, garbled)


@pytest.mark.parametrize("answer", [{}, [], {"data": 3}, {"error": {"message": "no"}}])
def test_another_answer_is_no_report(answer):
    with pytest.raises(NotThis, match="it has no list `data`"):
        reader(anthropic.readers("analytics"), "usage").read(answer, "org", NOW)


@pytest.mark.parametrize(
    ("readers", "name", "path", "query"),
    [
        pytest.param(
            anthropic.readers("analytics"), "usage", "/v1/organizations/analytics/usage",
            {"starting_at": ["2026-11-27T10:00:00Z"], "ending_at": ["2026-11-27T11:00:00Z"],
             "time_bucket_width": ["1h"], "group_by[]": ["model", "workspace_id", "service_tier"], "limit": ["1000"],
             "page": ["p2"]},
            id="analytics",
        ),
        pytest.param(
            anthropic.readers("usage_report"), "cost", "/v1/organizations/cost_report",
            {"starting_at": ["2026-11-27T10:00:00Z"], "ending_at": ["2026-11-27T11:00:00Z"], "bucket_width": ["1d"],
             "group_by[]": ["workspace_id", "description"], "limit": ["31"], "page": ["p2"]},
            id="the older cost report",
        ),
        pytest.param(
            openai.readers(""), "usage", "/v1/organization/usage/completions",
            {"start_time": ["1795773600"], "end_time": ["1795777200"], "bucket_width": ["1h"],
             "group_by": ["model", "project_id"], "limit": ["168"], "page": ["p2"]},
            id="OpenAI's",
        ),
    ],
)  # fmt: skip
def test_what_is_asked_for(readers, name, path, query):
    asked = urlsplit(reader(readers, name).path(Ask(TEN, TEN + HOUR, "p2")))
    assert (asked.path, parse_qs(asked.query)) == (path, query)
