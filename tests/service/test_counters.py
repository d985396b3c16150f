"""What is counted beside the ledger: runs over their cap, usage that nobody reserved, who runs how much at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from quota_scheduler.core.cycle.requests import Submit
from quota_scheduler.core.efficiency.flag_effect import FlagReading, flag_readings
from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.readings.readings import Readings
from quota_scheduler.core.tickets.ticket import Outcome
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import ledger
from tests.builders import DAY, HOUR, MINUTE, MONDAY, a_concurrency_limit, a_limit, a_run_cap, a_ticket, a_usage_event
from tests.service.tick.ticking import House
from tests.service.world import World

OVER = "quota_workflows_over_budget_total"


@pytest.mark.parametrize(
    ("amounts", "passed"),
    [
        pytest.param((60, 40), {}, id="exactly the cap is within it"),
        pytest.param((60, 41), {("testing",): 1}, id="the event that takes it over counts"),
        pytest.param((60, 41, 500), {("testing",): 1}, id="what comes after does not count again"),
        pytest.param((101,), {("testing",): 1}, id="one event is enough"),
    ],
)
def test_a_run_over_its_cap_counts_once(
    world: Callable[..., World], amounts: tuple[int, ...], passed: dict[tuple[str, ...], int]
) -> None:
    here = world(a_run_cap(100))
    for number, tokens in enumerate(amounts):
        here.record(a_usage_event(tokens, key=f"e{number}", run="nightly", task_type="testing"))
    here.record(a_usage_event(99, key="other", run="small", task_type="testing"))
    assert here.counter(OVER) == passed


def test_the_same_event_again_or_grown_does_not_count_a_run_twice(world: Callable[..., World]) -> None:
    here = world(a_run_cap(100))
    for tokens in (90, 110, 110, 120):
        here.record(a_usage_event(tokens, run="nightly", task_type="testing"))
    assert here.counter(OVER) == {("testing",): 1}


def test_a_run_of_long_ago_counts_only_when_it_goes_on_and_passes_its_cap_now(world: Callable[..., World]) -> None:
    here = world(a_run_cap(100))
    here.record(a_usage_event(500, key="old", run="imported", task_type="testing", at=MONDAY - DAY))
    here.record(a_usage_event(60, key="e1", run="goes on", task_type="testing", at=MONDAY - DAY))
    assert here.counter(OVER) == {}
    here.record(a_usage_event(60, key="e2", run="goes on", task_type="testing"))
    assert here.counter(OVER) == {("testing",): 1}


def test_a_backfill_is_in_every_amount_and_apart_from_what_rates_are_made_of(tmp_path: Path) -> None:
    def total(readings: Readings, name: str) -> float:
        return sum(counter.value for counter in readings.counters if counter.name == name)

    def seen(readings: Readings) -> tuple[float, ...]:
        names = "quota_consumed_tokens_total", "quota_recorded_tokens_total", "quota_backfilled_tokens_total"
        day = house.limit(readings, "day")
        return day.balance.used, *(total(readings, name) for name in names), day.spending.unleased

    with House(tmp_path / "quota.db", [a_limit(1_000)]) as house:
        house.use(30)
        house.record([a_usage_event(400, key="late", at=house.clock() - 2 * HOUR)])
        assert seen(house.tick(MINUTE)) == (430, 30, 30, 400, 30)
        house.record([a_usage_event(450, key="late", at=house.clock() - 2 * HOUR)])
        assert seen(house.tick(2 * MINUTE)) == (480, 30, 30, 450, 30), "a correction stays where it was counted"
        house.record([a_usage_event(50, key="now", at=house.clock())])
        house.tick(2 * HOUR)
        house.record([a_usage_event(55, key="now", at=house.clock() - 2 * HOUR)])
        assert seen(house.tick(2 * MINUTE)) == (535, 80, 80, 455, 80), "what it has grown by is a backfill"


def test_a_run_that_only_its_lease_reports_counts_when_it_ends(world: Callable[..., World]) -> None:
    here = world(a_limit(1_000), a_run_cap(100))
    held = here.submit(50, task_type="testing")
    here.renew(held, 120)
    assert here.counter(OVER) == {}
    here.release(held, 120)
    assert here.counter(OVER) == {("testing",): 1}


def test_usage_that_nobody_reserved_is_shown_apart(tmp_path: Path) -> None:
    with House(tmp_path / "quota.db", [a_limit(1_000)]) as house:
        house.use(30)
        house.tick(DAY + HOUR)
        house.use(12)
        reading = house.limit(house.tick(2 * MINUTE), "day")
    assert (reading.balance.used, reading.balance.used_today) == (12, 12)
    assert (reading.balance.used, reading.spending.unleased, reading.spending.overrun) == (12, 42, 0)


def test_the_usual_cache_hit_rate_of_a_limit_needs_a_week(tmp_path: Path) -> None:
    known = {}
    for days in (6, 8):
        with House(tmp_path / f"{days}.db", [a_limit(10**9)]) as house:
            for back in range(1, days + 1):
                usage = Usage(input=20_000, cache_read=180_000)
                house.record([a_usage_event(key=f"d{back}", at=MONDAY - back * DAY - HOUR, usage=usage)])
            house.use(50)
            known[days] = house.limit(house.tick(), "day").spending.cache_baseline
    assert known == {6: None, 8: 0.9}


@pytest.mark.parametrize(
    ("limits", "concurrency"),
    [
        pytest.param([a_limit(1_000)], (("anthropic", 2, None),), id="no limit on leases"),
        pytest.param(
            [a_concurrency_limit(5, match=(("provider", frozenset({"anthropic"})),))],
            (("anthropic", 2, 5),),
            id="a limit on all leases of the provider",
        ),
        pytest.param(
            [a_concurrency_limit(5, match=(("team", frozenset({"growth"})),))],
            (("anthropic", 2, None),),
            id="a limit on somebody's leases says nothing about all of them",
        ),
    ],
)
def test_concurrency_by_provider(tmp_path: Path, limits: list, concurrency: tuple) -> None:  # type: ignore[type-arg]
    with House(tmp_path / "quota.db", limits) as house:
        house.ask(*(Submit(a_ticket(10, key=f"k{n}", team="growth")) for n in range(2)))
        assert house.tick().concurrency == concurrency


def a_run(number: int, tokens: int, *flags: str, workflow: str = "nightly", ago: int = 0) -> RunSummary:
    at = MONDAY - ago * DAY
    used = Usage(output=tokens)
    return RunSummary(f"r{number}", workflow, "", "", "p", "m", flags, (), used, at, at, "completed")


def test_flags_tell_where_they_are_in_force_and_what_they_brought() -> None:
    runs = [a_run(n, 100 + n) for n in range(5)] + [a_run(10 + n, 50 + n, "batching") for n in range(5)]
    runs += [a_run(20, 9, "batching", workflow="docs"), a_run(21, 9, "own", workflow="site", ago=3)]
    runs += [a_run(22, 9, "old", workflow="site", ago=9)]
    batching, own = flag_readings(runs, since=MONDAY - 7 * DAY)
    assert own == FlagReading("own", 1)
    assert (batching.flag, batching.workflows) == ("batching", 2)
    assert (batching.success_with, batching.success_without) == (1.0, 1.0)
    assert batching.effect is not None
    low, expected, high = batching.effect
    assert 0.4 < low < expected < high < 0.6


@pytest.mark.parametrize("outcome", [Outcome.COMPLETED, Outcome.FAILED])
def test_a_run_knows_how_it_ended(world: Callable[..., World], outcome: Outcome) -> None:
    """Without that no flag has an effect: only completed runs are compared."""
    here = world(a_limit(1_000))
    here.release(here.submit(50, flags=("batching",)), 40, outcome=outcome)
    with here.store.reading() as tx:
        (run,) = ledger.runs_since(tx, MONDAY - DAY)
    assert (run.status, run.flags, run.usage.tokens) == (outcome.value, ("batching",), 40)
