"""Anthropic's usage, cost and spend-limit reports.

Two generations: ``analytics`` (from autumn 2026, a beta header) and ``usage_report`` (older, still served). Amounts are
cents as decimal text, instants RFC 3339. Shapes: the vendor's SDK 2.12 and its published pages of August 2026.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
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
from quota_scheduler.core.instants import iso
from quota_scheduler.core.observations.bill import BillLine, Ceiling, Report, added_up
from quota_scheduler.core.observations.observation import Observation, ProviderWindow, Standing
from quota_scheduler.core.usage import Usage

PROVIDER = "anthropic"
BASE = "https://api.anthropic.com"
HEADERS = {"anthropic-version": "2023-06-01"}
BETAS = "analytics-usage-cost-2026-08-24,spend-limit-reads-2026-09-26"
CENTS = 100
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MOST_ROWS = 1_000
"""Rows of an analytics page, the most it gives."""
HOURS_A_PAGE = 168
MOST_MODELS = 20
"""Names of one group of models that are kept; ids and their aliases stand there."""
DAYS_A_PAGE = 31
SETTLES = timedelta(hours=3)
"""The vendor says five minutes after a request; an hour's bucket is read again until it is well past that."""
COSTS_SETTLE = timedelta(days=3)


def headers(key: str) -> dict[str, str]:
    """What goes with each request."""
    return {**HEADERS, "anthropic-beta": BETAS, "x-api-key": key}


def readers(api: str) -> tuple[ReportReader, ...]:
    """The reports of one generation, and the spend limits, which both have."""
    month = timedelta(days=31)
    if api == "analytics":
        usage = ReportReader("usage", _analytics("usage", "1h"), _analytics_usage, HOUR, month, SETTLES)
        cost = ReportReader("cost", _analytics("cost", "1d"), _analytics_cost, DAY, month, COSTS_SETTLE)
    else:
        usage = ReportReader("usage", _usage_report, _report_usage, HOUR, timedelta(days=7), SETTLES)
        cost = ReportReader("cost", _cost_report, _report_cost, DAY, month, COSTS_SETTLE)
    nothing = timedelta(0)
    spend = ReportReader("spend_limits", _spend_limits, spend_page, nothing, nothing, nothing)
    rates = ReportReader("rate_limits", _rate_limits, ceiling_page, nothing, nothing, nothing)
    return usage, cost, spend, rates


def _query(path: str, ask: Ask, *pairs: tuple[str, object]) -> str:
    page = [("page", ask.page)] if ask.page else []
    return f"{path}?{urlencode([*pairs, *page])}"


def _analytics(report: str, width: str, ask: Ask | None = None) -> Any:
    if ask is None:
        return partial(_analytics, report, width)
    groups = [("group_by[]", name) for name in ("model", "workspace_id", "service_tier")]
    return _query(
        f"/v1/organizations/analytics/{report}", ask, ("starting_at", iso(ask.start)), ("ending_at", iso(ask.end)),
        ("time_bucket_width", width), *groups, ("limit", MOST_ROWS),
    )  # fmt: skip


def _usage_report(ask: Ask) -> str:
    groups = [("group_by[]", name) for name in ("model", "workspace_id", "service_tier")]
    return _query(
        "/v1/organizations/usage_report/messages", ask, ("starting_at", iso(ask.start)), ("ending_at", iso(ask.end)),
        ("bucket_width", "1h"), *groups, ("limit", HOURS_A_PAGE),
    )  # fmt: skip


def _cost_report(ask: Ask) -> str:
    groups = [("group_by[]", name) for name in ("workspace_id", "description")]
    return _query(
        "/v1/organizations/cost_report", ask, ("starting_at", iso(ask.start)), ("ending_at", iso(ask.end)),
        ("bucket_width", "1d"), *groups, ("limit", DAYS_A_PAGE),
    )  # fmt: skip


def _spend_limits(ask: Ask) -> str:
    return _query("/v1/organizations/spend_limits/effective", ask, ("limit", 100))


def _rate_limits(ask: Ask) -> str:
    return _query("/v1/organizations/rate_limits", ask, ("limit", 100))


def _analytics_usage(content: Mapping[str, Any], account: str, _now: datetime) -> ReportPage:
    return _page(content, lambda row: [_usage_line(row, row["group"], row["usage"], account)])


def _analytics_cost(content: Mapping[str, Any], account: str, _now: datetime) -> ReportPage:
    return _page(content, lambda row: [_cost_line(row, row["group"], row["cost"], account)])


def _report_usage(content: Mapping[str, Any], account: str, _now: datetime) -> ReportPage:
    return _page(content, lambda bucket: [_usage_line(bucket, row, row, account) for row in rows_of(bucket, "results")])


def _report_cost(content: Mapping[str, Any], account: str, _now: datetime) -> ReportPage:
    return _page(content, lambda bucket: [_cost_line(bucket, row, row, account) for row in rows_of(bucket, "results")])


def _page(content: Mapping[str, Any], lines_of: Any) -> ReportPage:
    """The lines of an answer; a row that cannot be understood is counted and keeps no other out."""
    lines: list[BillLine] = []
    garbled = 0
    for row in rows_of(content):
        try:
            lines += lines_of(row)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, NotThis):
            garbled += 1
    return ReportPage(tuple(added_up(lines)), garbled=garbled, next=next_page(content))


def _usage_line(
    bucket: Mapping[str, Any], group: Mapping[str, Any], counts: Mapping[str, Any], account: str
) -> BillLine:
    written = counts.get("cache_creation") or {}
    usage = Usage(
        input=count_of(counts, "uncached_input_tokens"),
        cache_read=count_of(counts, "cache_read_input_tokens"),
        cache_write_5m=count_of(written, "ephemeral_5m_input_tokens"),
        cache_write_1h=count_of(written, "ephemeral_1h_input_tokens"),
        output=count_of(counts, "output_tokens"),
        requests=count_of(counts, "requests"),
    )
    return _line(Report.USAGE, bucket, group, usage, account)


def _cost_line(bucket: Mapping[str, Any], group: Mapping[str, Any], cost: Mapping[str, Any], account: str) -> BillLine:
    currency = cost.get("currency", "USD")
    if currency != "USD":
        raise ValueError(f"{currency} are no dollars")
    return _line(Report.COST, bucket, group, cost_of(cost["amount"], per_dollar=CENTS), account)


def _line(report: Report, bucket: Mapping[str, Any], group: Mapping[str, Any], usage: Usage, account: str) -> BillLine:
    names = ("workspace_id", "service_tier", *(("cost_type", "token_type") if report is Report.COST else ()))
    return BillLine(
        PROVIDER, account, report, instant_of(bucket["starting_at"]), instant_of(bucket["ending_at"]),
        text_of(group, "model"), group_of(group, *names), usage,
    )  # fmt: skip


def spend_page(content: Mapping[str, Any], account: str, now: datetime) -> ReportPage:
    """How much of each person's spend limit is used, as observations; a limit without an amount binds nobody.

    ``period_to_date_spend`` is "0" also where the vendor has no reading, so nothing used is not said at all.
    """
    seen: list[Observation] = []
    garbled = 0
    for row in rows_of(content):
        try:
            if observation := _spend(row, account, now):
                seen.append(observation)
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
            garbled += 1
    return ReportPage(observations=tuple(seen), garbled=garbled, next=next_page(content))


def ceiling_page(content: Mapping[str, Any], account: str, _now: datetime) -> ReportPage:
    """What the organisation may ask for in a minute, by group of models: how much is left is not said."""
    ceilings: list[Ceiling] = []
    garbled = 0
    for row in rows_of(content):
        try:
            models = sorted(str(model)[:80] for model in row.get("models") or ())
            group = " ".join(models[:MOST_MODELS]) or text_of(row, "group_type")
            limits = [(text_of(limit, "type"), count_of(limit, "value")) for limit in rows_of(row, "limits")]
        except (ValueError, TypeError, AttributeError, NotThis):
            garbled += 1
            continue
        ceilings += [Ceiling(PROVIDER, account, group, limiter, value) for limiter, value in limits if limiter]
    mark = content.get("next_page")
    return ReportPage(ceilings=tuple(ceilings), garbled=garbled, next=mark if isinstance(mark, str) else "")


def _spend(row: Mapping[str, Any], account: str, now: datetime) -> Observation | None:
    if row["amount"] is None or row["period"] != "monthly":
        return None
    amount, spent = (cost_of(row[name], per_dollar=CENTS).cost_pico for name in ("amount", "period_to_date_spend"))
    if amount <= 0 or spent < 0:
        raise ValueError(f"{row['amount']!r} is no limit")
    if not spent:
        return None
    standing = Standing.REJECTED if spent >= amount else Standing.ALLOWED
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    scope = text_of(row.get("actor") or {}, "user_id", "id", "email_address") if row.get("actor") else ""
    return Observation(
        PROVIDER, account, ProviderWindow.MONTHLY_SPEND, now, "spend_limits", spent / amount,
        (first + timedelta(days=32)).replace(day=1), scope, standing,
    )  # fmt: skip
