"""Simulations: the world, the windows, and what each policy does to people's work and to the quota."""

import random
from datetime import date

import pytest
from msgspec.structs import replace

from quota_scheduler.simulate import POLICIES, DailyTrace, SimOutcome, WindowKind, compare, play, read, to_text
from quota_scheduler.simulate.demand import demand_of
from quota_scheduler.simulate.engine import Engine
from quota_scheduler.simulate.figures import row
from quota_scheduler.simulate.policies import policy
from quota_scheduler.simulate.state import scenario
from quota_scheduler.simulate.windows import first_window, whole_windows
from quota_scheduler.simulate.world import DAY, HOUR, LARGEST, SHARES, Run, World, fleets, single

JUNE = date(2026, 6, 1)


def a_trace(number=1, days=35):
    """Bursty days with idle ones between them, as developers have them."""
    dice = random.Random(number)
    return DailyTrace(
        f"s{number}", JUNE, tuple(dice.lognormvariate(0, 1.0) * (dice.random() > 0.25) for _ in range(days))
    )


def a_world(number=1, days=35):
    return single(a_trace(number, days))


def test_a_world_uses_what_was_recorded_day_by_day():
    trace = a_trace()
    world = single(trace)
    mean = sum(trace.days) / len(trace.days)
    sums = [0.0] * len(trace.days)
    for run in world.runs:
        sums[int((run.at - world.start) // DAY)] += run.size
    assert sums == pytest.approx([usage / mean for usage in trace.days])


def test_runs_are_as_teams_have_them():
    runs = single(a_trace(days=365)).runs
    tokens = sum(run.size for run in runs)
    assert max(run.size for run in runs) <= LARGEST + 1e-9
    assert all(180 - 1e-6 <= run.size / run.rate <= 6 * HOUR + 1e-6 for run in runs)
    assert [run.at for run in runs] == sorted(run.at for run in runs)
    for rank, share in enumerate(SHARES):
        assert sum(run.size for run in runs if run.rank == rank) / tokens == pytest.approx(share, abs=0.04)
    assert {run.patience for run in runs if run.rank == 0} == {0.0}
    assert {run.patience for run in runs if run.rank == 1} == {4 * HOUR}


def test_a_fleet_is_six_series_of_equal_weight_cut_to_the_shortest():
    traces = [a_trace(number, days) for number, days in enumerate([77, 80, 90, 130, 150, 200])]
    found = fleets([*traces, a_trace(9, 60)], 2)
    assert [(each.days, each.level, each.members) for each in found] == [(77, 6.0, 6)] * 2
    for member in range(6):
        assert sum(run.size for run in found[0].runs if run.member == member) == pytest.approx(77)


@pytest.mark.parametrize(
    ("days", "kind", "count"),
    [
        pytest.param(36, WindowKind.MONTH, 0, id="a week of history leaves no whole month"),
        pytest.param(40, WindowKind.MONTH, 1, id="one month after it"),
        pytest.param(22, WindowKind.WEEK, 1, id="a week that begins on some weekday"),
        pytest.param(22, WindowKind.SESSION, 1, id="sessions lie in such a week"),
    ],
)
def test_only_whole_windows_after_a_week_of_history_are_judged(days, kind, count):
    world = World("w", 0.0, days, (), 1.0)
    first = first_window(world, kind)
    assert first >= 7 * DAY
    assert whole_windows(world, kind) in ({count} if kind is WindowKind.MONTH else {count, count + 1})
    assert first + whole_windows(world, kind) * kind.length <= world.end


def outcomes(policies, kinds, days=35):
    return dict(play(a_world(days=days), policies, kinds, (0.8,)))


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.value) for kind in (WindowKind.WEEK, WindowKind.SESSION)])
@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_is_lost_and_nothing_comes_from_nowhere(policy, kind):
    outcome = outcomes([policy], [kind])[kind, policy]
    accounted = [sum(parts) for parts in zip(outcome.done, outcome.denied, outcome.open_end, strict=True)]
    assert accounted == pytest.approx(outcome.demand)
    assert outcome.used == pytest.approx(sum(outcome.done) + outcome.redone)
    assert outcome.used <= outcome.quota + 1e-6


def test_the_same_scenario_always_plays_the_same():
    policies, kinds = ["fixed-thresholds", "two-sided"], [WindowKind.SESSION]
    assert outcomes(policies, kinds, days=22) == outcomes(policies, kinds, days=22)


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.value) for kind in (WindowKind.WEEK, WindowKind.SESSION)])
def test_looking_ahead_spares_people_and_expires_nothing(kind):
    names = ["fixed90", "safe", "fixed-thresholds", "two-sided"]
    rows = compare("1", [a_world(number) for number in range(1, 4)], policies=names, kinds=[kind], factors=(0.8,))
    harm = {each.policy: each.avoidable_harm for each in rows}
    value = {each.policy: each.value for each in rows}
    lost = {each.policy: each.lost_while_waited for each in rows}
    assert (
        harm["clairvoyant"]
        == 0
        < harm["two-sided"]
        < 0.5 * min(harm["safe"], harm["fixed90"], harm["fixed-thresholds"])
    )
    assert (
        max(value["safe"], value["fixed90"], value["fixed-thresholds"]) + 5
        < value["two-sided"]
        < value["clairvoyant"]
        == 100
    )
    assert lost["two-sided"] < lost["fixed-thresholds"]


@pytest.mark.parametrize(
    ("patience", "denied"),
    [
        pytest.param(1, 19, id="who was cut off after two hours and had patience for one gives up"),
        pytest.param(3, 0, id="who had patience for three goes on at the reset"),
    ],
)
def test_patience_counts_from_the_arrival(patience, denied):
    empty = World("w", 0.0, 80, (), 1.0)
    reset = first_window(empty, WindowKind.MONTH) + WindowKind.MONTH.length
    run = Run(0, reset - 2.5 * HOUR, 1, 40.0, 30 / (2 * HOUR), 40.0, patience * HOUR)
    world = replace(empty, runs=(run,))
    outcome = Engine(scenario(world, WindowKind.MONTH, 1.0), policy("none", demand_of(world))).play()
    assert outcome.denied[1] == pytest.approx(denied)


def test_figures_are_sums_divided_by_sums():
    best = SimOutcome(demand=[40, 0, 0, 0], done=[40, 0, 0, 0])
    first = SimOutcome(
        demand=[10, 0, 0, 0], denied=[5, 0, 0, 0], done=[5, 0, 0, 0], runs=[1, 0, 0, 0], quota=10, lost=1
    )
    second = SimOutcome(demand=[30, 0, 0, 0], done=[30, 0, 0, 0], runs=[3, 0, 0, 0], stalls=[1, 0, 0, 0], quota=30)
    first.add(second)
    found = row("1", "week", "p", first, best)
    assert (found.denied_interactive, found.avoidable_harm, found.stalls_important) == (12.5, 12.5, 250)
    assert (found.lost_while_waited, found.value) == (2.5, 87.5)


def test_a_folder_is_read_with_its_idle_days(tmp_path):
    (tmp_path / "daily.csv").write_text(
        "series_id,date,tokens,cost_usd\na,2026-06-03,5,\na,2026-06-01,2,\nb,2026-06-01,1,\n", encoding="utf-8"
    )
    assert read(tmp_path) == [DailyTrace("a", JUNE, (2.0, 0.0, 5.0)), DailyTrace("b", JUNE, (1.0,))]


def test_the_table_has_a_line_for_every_policy():
    rows = compare("1", [a_world(days=21)], policies=["none"], kinds=[WindowKind.WEEK], factors=(0.8,))
    text = to_text(rows).splitlines()
    assert [line.split()[:3] for line in text[2:]] == [["1,", "week", "none"], ["1,", "week", "clairvoyant"]]
