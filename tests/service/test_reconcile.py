"""Reconciliation over a real database: spans to the instant, accounts and families told apart, bills of closed days."""

import pytest

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.observations.bill import BillCursor, BillLine, Report
from quota_scheduler.core.observations.learning import Learned
from quota_scheduler.core.observations.observation import Observation, ProviderWindow
from quota_scheduler.core.observations.points import WHOLE, Rate
from quota_scheduler.core.observations.report_key import ReportKey
from quota_scheduler.core.units import MICRO, PICO, Unit
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.service.queries.reconcile import reconciliation_document
from quota_scheduler.service.record import record_usage
from quota_scheduler.store import Store, bills, observations, observed_rates, spans
from tests.builders import DAY, FIVE_HOURS, HOUR, MINUTE, NOTHING_HELD_BACK, at
from tests.builders import MICRO as MICROSECOND
from tests.fakes import FixedClock

NOW = at("2026-11-27T12:30Z")
KEY = ReportKey("anthropic", "max", ProviderWindow.FIVE_HOUR)
LIMIT = Limit(
    id="max-session", unit=Unit.PERCENT, amount=WHOLE, schedule=FIVE_HOURS, holdback=NOTHING_HELD_BACK, observed=KEY
)


def used(key, when, usd=1, *, account="max", model="claude-opus-5", provider="anthropic"):
    usage = Usage(output=1_000, requests=1).costing(usd * MICRO * PICO)
    return UsageEvent(key, when, Labels(provider, account, model), usage)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "quota.db", clock=FixedClock(NOW)) as opened:
        yield opened


def rows(store, limits=(LIMIT,)):
    with store.reading() as tx:
        return reconciliation_document(tx, limits)["reconciliation"]


def test_nothing_to_compare(store):
    assert rows(store) == []


@pytest.mark.parametrize(
    ("start", "end", "keys"),
    [
        pytest.param("2026-11-27T08:30Z", "2026-11-27T12:10Z", "abcd", id="hours and two edges"),
        pytest.param("2026-11-27T09:00Z", "2026-11-27T12:00Z", "bc", id="whole hours"),
        pytest.param("2026-11-27T09:05Z", "2026-11-27T09:55Z", "b", id="within one hour"),
        pytest.param("2026-11-27T09:31Z", "2026-11-27T10:01Z", "c", id="over one hour's end"),
        pytest.param("2026-11-27T12:05Z", "2026-11-27T12:05Z", "", id="nothing"),
    ],
)
def test_spans_are_added_up_to_the_instant(store, start, end, keys):
    times = {"a": "08:30", "b": "09:30", "c": "10:00", "d": "12:05", "e": "12:10"}
    events = [used(key, at(f"2026-11-27T{time}Z")) for key, time in times.items()]
    with store.transaction() as tx:
        record_usage(tx, events, [])
        assert spans.used_between(tx, at(start), at(end), [1]).requests == len(keys)


def test_a_window_is_compared_as_of_its_report(store):
    reset = NOW + 2 * HOUR
    with store.transaction() as tx:
        began = reset - 5 * HOUR
        record_usage(
            tx,
            [
                used("before", began - MICROSECOND),
                used("first", began, 4),
                used("second", NOW - 5 * MINUTE, 6),  # written beside the report, with its time
                used("after the report", NOW - MINUTE, 50),
                used("of another account", NOW - HOUR, 50, account="other"),
                used("of another provider", NOW - HOUR, 50, provider="openai"),
            ],
            [],
        )
        observations.record(
            tx, Observation("claude", "max", ProviderWindow.FIVE_HOUR, NOW - 5 * MINUTE, "status_line", 0.35, reset)
        )
        observed_rates.save(tx, LIMIT, Learned(Rate(1_900_000, 2_000_000, 2_100_000, 9, NOW - DAY)))
    (row,) = rows(store)
    assert row["own"] == {
        "tokens": 2_000, "cost_usd": 10.0, "percent": 20.0, "percent_low": 19.0, "percent_high": 21.0,
    }  # fmt: skip
    assert (row["said"]["percent"], row["drift_percent"], row["cause"]) == (35.0, 15.0, "used_elsewhere")
    assert rows(store, limits=())[0]["cause"] == "rate_not_learned"


def test_a_week_of_one_family_counts_that_family(store):
    with store.transaction() as tx:
        record_usage(tx, [used("o", NOW - HOUR, 3), used("s", NOW - HOUR, 50, model="claude-sonnet-5")], [])
        said = Observation("claude", "max", ProviderWindow.WEEKLY_MODEL, NOW, "hand", 0.1, NOW + DAY, "opus")
        observations.record(tx, said)
    (row,) = rows(store)
    assert (row["window"], row["own"]["cost_usd"]) == ("weekly_model/opus", 3.0)


def test_a_bill_is_compared_over_the_days_it_is_closed_for(store):
    midnight = at("2026-11-27T00:00Z")

    def line(day, usage, report=Report.USAGE):
        start = midnight - day * DAY
        return BillLine("anthropic", "org", report, start, start + DAY, "claude-opus-5", "", usage)

    with store.transaction() as tx:
        days = [used(f"d{day}", midnight - day * DAY + HOUR, account="org") for day in (0, 1, 2, 3)]
        record_usage(tx, days, [])
        counted = Usage(output=1_000, requests=1)
        lines = [line(2, counted), line(3, counted), line(1, counted)]
        costs = [line(day, Usage().costing(MICRO * PICO), Report.COST) for day in (2, 3)]
        bills.save(tx, [*lines, *costs])
        for reader, closed in (("usage", midnight), ("cost", midnight - DAY + HOUR)):
            bills.remember(tx, "anthropic", "org", reader, BillCursor(closed, closed, closed))
    (row,) = rows(store)
    assert (row["starts_at"], row["ends_at"]) == ("2026-11-24T00:00:00Z", "2026-11-26T00:00:00Z")
    assert (row["own"]["tokens"], row["bill"], row["cause"]) == (2_000, {"tokens": 2_000, "cost_usd": 2.0}, "agrees")
