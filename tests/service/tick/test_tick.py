"""The tick on a real store: what the readings say of each limit, and what outlives a restart."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from quota_scheduler.core.cycle.requests import Submit
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.limit import Limit, Mode
from quota_scheduler.core.limits.schedule import Calendar, Every
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.documents import limit_document
from quota_scheduler.core.readings.readings import LimitReading
from quota_scheduler.core.units import MICRO, Unit
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import documents
from tests.builders import DAY, HOUR, MINUTE, MONDAY, MONTHLY, SECOND, a_concurrency_limit, a_limit, a_ticket
from tests.service.tick.ticking import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "quota.db", [a_limit(1000)]) as one:
        yield one


def day(house: House, after: timedelta = timedelta(0)) -> LimitReading:
    return house.limit(house.tick(after), "day")


# Where a limit stands


def test_under_seven_days_there_is_a_number_and_no_confidence(house: House) -> None:
    house.import_days(3, 100)
    found = limit_document(day(house))["forecast"]
    assert (found["method"], found["sufficient"], found["confidence"]) == ("insufficient history", False, None)
    assert found["explained"][4] == "No confidence and no risk: insufficient history, 2.9 of 7 days observed."
    assert day(house).projection.risk == "unknown"


def test_with_history_everything_is_said(house: House) -> None:
    house.import_days(40, 100)
    house.use(50)
    found = limit_document(day(house))["forecast"]
    assert (found["method"], found["sufficient"]) == ("sessions", True)
    assert found["low"] <= found["expected"] <= found["p80"] <= found["high"]
    assert 0 < found["confidence"] <= 1
    assert found["track_record"]["judged"] == 150
    assert {each["horizon"] for each in found["track_record"]["by_horizon"]} == {
        "over_75", "over_50", "over_25", "over_10", "over_0",
    }  # fmt: skip
    assert len(found["explained"]) == 5
    assert found["explained"][3].startswith("Of its last 30 judged intervals ")


def test_the_explanation_speaks_in_the_unit_and_zone_of_the_limit(tmp_path: Path) -> None:
    berlin = Calendar(Every.DAY, "Europe/Berlin")
    limit = a_limit(10 * MICRO, unit=Unit.USD, schedule=berlin, zone="Europe/Berlin")
    with House(tmp_path / "quota.db", [limit]) as house:
        house.use(1, usage=Usage(output=1, cost_microusd=2_500_000))
        first = limit_document(day(house))["forecast"]["explained"][0]
        assert first.startswith("$2.50 used, $")
        assert first.endswith(" more expected before Tue 24 Nov 00:00 Europe/Berlin.")


@pytest.mark.parametrize(
    ("mode", "waiting", "known"),
    [
        pytest.param(Mode.ENFORCE, 150, 250, id="what runs and what waits is sure to come"),
        pytest.param(Mode.ENFORCE, 600, 100 + 500, id="of what waits only as much as the limit lets start"),
        pytest.param(Mode.WARN, 600, 700, id="a limit that only warns lets it all start"),
    ],
)
def test_what_is_committed_is_known_to_the_forecast(tmp_path: Path, mode: Mode, waiting: int, known: int) -> None:
    limits = [a_limit(1000, mode=mode), a_concurrency_limit(1)]
    with House(tmp_path / "quota.db", limits) as house:
        house.import_days(10, 100)
        house.use(400)
        house.ask(Submit(a_ticket(100, key="runs")))
        house.ask(Submit(a_ticket(waiting, key="waits")))
        found = day(house)
        assert found.projection.forecast
        assert found.projection.forecast.certain == known
        assert found.projection.forecast.low >= 400 + known


# What people and alerts see


def test_a_limit_says_who_spends_it_and_how_many_runs_are_left(house: House) -> None:
    house.use(72, workflow="nightly-tests", model="claude-opus-5", run="r1")
    house.use(28, workflow="docs", model="claude-haiku-4-5", run="r2")
    readings = house.tick(MINUTE)
    found = house.limit(readings, "day")
    assert readings.facts["causes"] == {"day": "72 % by workflow nightly-tests (claude-opus-5)"}
    assert (found.spending.run_tokens, found.runs_remaining) == (50.0, (found.balance.allowance - 100) / 50)
    assert limit_document(found)["spent_by"] == "72 % by workflow nightly-tests (claude-opus-5)"


def test_yesterday_is_not_this_windows_doing(house: House) -> None:
    house.use(900, at=MONDAY - DAY, workflow="yesterday")
    house.use(10)
    assert house.tick().facts["causes"] == {"day": "100 % by work without a workflow"}


def test_the_cache_hit_rate_of_a_limit_by_lookback(house: House) -> None:
    house.use(0, usage=Usage(input=100), at=MONDAY - 3 * DAY)
    house.use(0, usage=Usage(cache_read=300, input=100))
    assert dict(day(house).spending.cache_hits) == {"1d": 0.75, "7d": 0.6}


@pytest.mark.parametrize(
    ("zone", "spike"),
    [
        pytest.param("UTC", False, id="in UTC the usage lies before midnight"),
        pytest.param("Asia/Tokyo", True, id="in Tokyo it lies in a day that has just begun"),
    ],
)
def test_a_spike_is_judged_by_the_days_of_the_limits_zone(tmp_path: Path, zone: str, spike: bool) -> None:
    limit = a_limit(10_000, schedule=MONTHLY, zone=zone)
    with House(tmp_path / "quota.db", [limit]) as house:
        house.clock.at = datetime(2026, 11, 23, 3, tzinfo=ZoneInfo("Asia/Tokyo"))
        house.clock.at = house.clock.at.astimezone(MONDAY.tzinfo)
        for back in range(1, 40):
            house.use(300, at=house.clock.at - back * DAY - 9 * HOUR)
        house.use(500, at=house.clock.at - 2 * HOUR)
        house.tick()
        assert house.recompute.outlooks["day"].spike is spike


# What outlives a restart


def test_the_throttle_level_goes_on_over_a_restart(house: House) -> None:
    house.use(1000)
    before = day(house)
    assert before.level == "exhausted"
    house.clock.advance(2 * MINUTE)
    house.restart()
    found = day(house)
    assert (found.level, found.level_since) == ("exhausted", before.level_since)


@pytest.mark.parametrize("restarted", [False, True], ids=["while it runs", "over a restart"])
@pytest.mark.parametrize(
    ("limit", "tokens", "level"),
    [
        pytest.param(a_limit(1020), 1000, "open", id="M9: a raised amount, within the hysteresis"),
        pytest.param(a_limit(2000), 1000, "open", id="M9: a doubled amount"),
        pytest.param(a_limit(900), 1000, "exhausted", id="M9: a lowered amount"),
    ],
)
def test_M9_a_level_follows_an_operators_change_at_once(
    house: House, limit: Limit, tokens: int, level: str, *, restarted: bool
) -> None:
    house.use(tokens)
    assert day(house).level == "exhausted"
    if restarted:
        house.restart([limit])
    else:
        house.limits = house.recompute.limits = (limit,)
    assert day(house).level == level


def test_B13_a_forecast_is_of_the_same_age_as_the_usage_beside_it(house: House) -> None:
    house.import_days(40, 100)
    house.use(2)
    house.tick(MINUTE)
    house.use(30)
    reading = house.limit(house.tick(SECOND), "day")
    assert reading.projection.forecast
    assert (reading.balance.used, reading.projection.forecast.used) == (32, 32)
    assert reading.projection.forecast.expected >= 32
    house.use(1_000)
    reading = house.limit(house.tick(SECOND), "day")
    assert reading.projection.forecast
    assert (reading.level, reading.projection.forecast.p_exceed(1_000)) == ("exhausted", 1.0)


def test_M7_a_limit_is_judged_by_its_own_history_only(tmp_path: Path) -> None:
    limits = [
        a_limit(10_000, id=name, match=match_of({"provider": name}), schedule=MONTHLY)
        for name in ("openai", "acme", "nobody")
    ]
    with House(tmp_path / "quota.db", limits) as house:
        house.import_days(57, 100, provider="openai")
        house.use(5, provider="acme", at=house.clock.at - 10 * MINUTE)
        readings = {each.limit: each.projection for each in house.tick().limits}
        days = {name: forecast.observed_days for name, each in readings.items() if (forecast := each.forecast)}
        assert days["openai"] > 56
        assert (days["acme"] < 0.1, days["nobody"]) == (True, 0)
        for name in ("acme", "nobody"):
            forecast = readings[name].forecast
            assert forecast
            assert (readings[name].risk, forecast.confidence, readings[name].track) == ("unknown", None, None)


def test_the_risk_goes_on_over_a_restart_with_its_hysteresis(house: House) -> None:
    house.import_days(40, 100)
    house.use(50)
    found = day(house)
    assert found.projection.forecast
    mark = round(found.projection.forecast.p80 / 0.70)
    house.restart([a_limit(mark - 5)])
    assert day(house).projection.risk == "medium"
    for amount, risk in ((mark + 5, "medium"), (round(mark * 1.1), "low"), (mark + 5, "low")):
        house.restart([a_limit(amount)])
        assert day(house).projection.risk == risk


def test_an_unchanged_limit_is_not_written_again(house: House) -> None:
    house.import_days(10, 100)
    house.tick()
    house.tick(MINUTE)
    (before,) = house.rows("SELECT at FROM readings WHERE name = 'day'")
    house.tick(timedelta(seconds=2))
    assert house.rows("SELECT at FROM readings WHERE name = 'day'") == [before]


def test_what_is_stored_of_a_limit_is_what_was_read_of_it(house: House) -> None:
    house.import_days(10, 100)
    readings = house.tick()
    with house.store.transaction() as tx:
        assert documents.limit_documents(tx) == {limit.limit: limit_document(limit) for limit in readings.limits}
        tx.send("UPDATE readings SET body = ?", ('{"limit": "day", "level": "open"}',))
        assert documents.limit_documents(tx) == {"day": {"limit": "day", "level": "open"}}, "as builds before wrote it"


# Demand of the classes above


def test_the_outlook_holds_the_demand_of_more_important_classes(tmp_path: Path) -> None:
    with House(tmp_path / "quota.db", [a_limit(10_000, match=match_of({"provider": "anthropic"}))]) as house:
        house.import_days(30, 400, hour=18, priority=Priority.HIGH)
        house.tick()
        outlook = house.recompute.outlooks["day"]
        assert [bool(knots) for knots in outlook.above] == [False, False, True, True]
        for rank in (Priority.NORMAL, Priority.LOW):
            assert outlook.demand(rank, now=MONDAY, ends_at=MONDAY + 15 * HOUR) > 100
