"""OpenAI's usage and cost reports of an organisation.

Amounts are dollars as numbers, instants Unix seconds; input includes what was read from the cache and written to it.
Shapes: the vendor's SDK 2.54.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from quota_scheduler.bills.pages import (
    Ask,
    NotThis,
    ReportPage,
    ReportReader,
    cost_of,
    count_of,
    group_of,
    instant_of,
    next_page,
    rows_of,
    text_of,
)
from quota_scheduler.core.instants import EPOCH
from quota_scheduler.core.observations.bill import BillLine, Report, added_up
from quota_scheduler.core.usage import Usage

PROVIDER = "openai"
BASE = "https://api.openai.com"
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
HOURS_A_PAGE = 168
DAYS_A_PAGE = 180
SETTLES = timedelta(hours=3)
COSTS_SETTLE = timedelta(days=3)
"""How long a day's cost may still change; the vendor names no time."""


def headers(key: str) -> dict[str, str]:
    """What goes with each request."""
    return {"Authorization": f"Bearer {key}"}


def readers(_api: str) -> tuple[ReportReader, ...]:
    """The reports: completions and embeddings by hour, and what everything costs by day."""
    week, half_year = timedelta(days=7), timedelta(days=DAYS_A_PAGE)
    return (
        ReportReader("usage", lambda ask: _usage("completions", ask), usage_page, HOUR, week, SETTLES),
        ReportReader("embeddings", lambda ask: _usage("embeddings", ask), usage_page, HOUR, week, SETTLES),
        ReportReader("cost", _costs, cost_page, DAY, half_year, COSTS_SETTLE),
    )


def _query(path: str, ask: Ask, *pairs: tuple[str, object]) -> str:
    span = [("start_time", (ask.start - EPOCH) // SECOND), ("end_time", (ask.end - EPOCH) // SECOND)]
    page = [("page", ask.page)] if ask.page else []
    return f"{path}?{urlencode([*span, *pairs, *page])}"


def _usage(kind: str, ask: Ask) -> str:
    groups = [("group_by", name) for name in ("model", "project_id")]
    path = f"/v1/organization/usage/{kind}"
    return _query(path, ask, ("bucket_width", "1h"), *groups, ("limit", HOURS_A_PAGE))


def _costs(ask: Ask) -> str:
    groups = [("group_by", name) for name in ("project_id", "line_item")]
    return _query("/v1/organization/costs", ask, ("bucket_width", "1d"), *groups, ("limit", DAYS_A_PAGE))


def usage_page(content: Mapping[str, Any], account: str, _now: datetime) -> ReportPage:
    """Tokens by hour, model and project."""
    return _page(content, Report.USAGE, account)


def cost_page(content: Mapping[str, Any], account: str, _now: datetime) -> ReportPage:
    """Dollars by day, project and line item."""
    return _page(content, Report.COST, account)


def _page(content: Mapping[str, Any], report: Report, account: str) -> ReportPage:
    lines: list[BillLine] = []
    garbled = 0
    for bucket in rows_of(content):
        try:
            span = instant_of(bucket["start_time"]), instant_of(bucket["end_time"])
            rows = rows_of(bucket, "results")
        except (ValueError, TypeError, KeyError, OverflowError, OSError, NotThis):
            garbled += 1
            continue
        for row in rows:
            try:
                usage = _counted(row) if report is Report.USAGE else _charged(row)
                names = ("project_id",) if report is Report.USAGE else ("project_id", "line_item")
                model, group = text_of(row, "model"), group_of(row, *names)
                lines.append(BillLine(PROVIDER, account, report, *span, model, group, usage))
            except (ValueError, TypeError, KeyError, AttributeError):
                garbled += 1
    return ReportPage(tuple(added_up(lines)), garbled=garbled, next=next_page(content))


def _counted(row: Mapping[str, Any]) -> Usage:
    everything = count_of(row, "input_tokens")
    cached, written = count_of(row, "input_cached_tokens"), count_of(row, "input_cache_write_tokens")
    if cached + written > everything:
        raise ValueError(f"{cached + written} cached tokens of {everything}")
    return Usage(
        input=everything - cached - written,
        cache_read=cached,
        cache_write_5m=written,
        output=count_of(row, "output_tokens"),
        requests=count_of(row, "num_model_requests"),
    )


def _charged(row: Mapping[str, Any]) -> Usage:
    amount = row["amount"]
    if str(amount.get("currency", "usd")).lower() != "usd":
        raise ValueError(f"{amount['currency']} are no dollars")
    return cost_of(amount["value"], per_dollar=1)
