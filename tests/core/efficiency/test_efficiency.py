"""Efficiency: rates, rows, levels, baselines, what changed, and what a flag brought."""

import math
import random
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from quota_scheduler.core.efficiency.cache import (
    CacheReading,
    DayUsage,
    cache_baseline,
    cache_dropped,
    cache_readings,
    what_changed,
)
from quota_scheduler.core.efficiency.flag_effect import FlagEffect, flag_effect, flag_effects, student_t
from quota_scheduler.core.efficiency.optimization import ADVICE, Optimization, optimization_level
from quota_scheduler.core.efficiency.runs import EfficiencyRow, RunSummary, by_run, by_workflow, cache_hit_rate
from quota_scheduler.core.usage import Usage

TODAY = date(2026, 11, 22)
SINCE = datetime(2026, 11, 22, tzinfo=UTC)
ISSUE_35 = Usage(input=326_432, cache_read=4_234_687, cache_write_5m=28_413, output=48_366)


def run(number: int, tokens: int, *flags: str, **changes: object) -> RunSummary:
    values: dict[str, object] = {
        "run": f"r{number}",
        "workflow": "nightly",
        "task_type": "testing",
        "team": "growth",
        "provider": "anthropic",
        "model": "claude-sonnet-5",
        "flags": flags,
        "prompt_versions": (),
        "usage": Usage(input=tokens),
        "started_at": SINCE,
        "last_at": SINCE,
        "status": "completed",
    }
    return RunSummary(**{**values, **changes})  # type: ignore[arg-type]


def day(ago: int, hits_of_million: int, workflow: str = "nightly", scale: int = 1) -> DayUsage:
    usage = Usage(input=(1_000_000 - hits_of_million) // scale, cache_read=hits_of_million // scale)
    return DayUsage(workflow, TODAY - timedelta(days=ago), usage, "anthropic")


@pytest.mark.parametrize(
    ("usage", "rate"),
    [
        pytest.param(Usage(input=50, cache_read=50), 0.5, id="half read, half fresh"),
        pytest.param(Usage(cache_read=90, cache_write_5m=5, cache_write_1h=5), 0.9, id="both kinds of writes count"),
        pytest.param(Usage(input=10, cache_read=90, output=1_000), 0.9, id="output is not in the denominator"),
        pytest.param(Usage(output=10), None, id="nothing went in"),
        pytest.param(ISSUE_35, 4_234_687 / 4_589_532, id="the founding example: 92.3 %"),
    ],
)
def test_cache_hit_rate(usage: Usage, rate: float | None) -> None:
    assert cache_hit_rate(usage) == rate


def test_runs_add_up_to_workflows() -> None:
    runs = [
        run(1, 100, "batching"),
        run(2, 300, status="failed"),
        run(3, 200, status=""),
        run(4, 50, workflow="", status=""),
    ]
    assert by_workflow(runs) == (
        EfficiencyRow("nightly", 3, Usage(input=600), 0.5, ("batching",)),
        EfficiencyRow("none", 1, Usage(input=50), None, ()),
    )
    assert [(row.name, row.usage.tokens) for row in by_run(runs)] == [("r2", 300), ("r3", 200), ("r1", 100), ("r4", 50)]


def test_a_row_knows_its_share_and_its_mean() -> None:
    row = by_run([run(35, 0, usage=ISSUE_35)])[0]
    assert round(row.share_of(300_000_000), 5) == 0.01546
    assert (row.tokens_per_run, row.cache_hit_rate) == (4_637_898, cache_hit_rate(ISSUE_35))
    assert row.share_of(0) == 1.0


@pytest.mark.parametrize(
    ("headroom", "amount", "level"),
    [
        pytest.param(61, 100, Optimization.MINIMAL, id="over 60 %"),
        pytest.param(60, 100, Optimization.BALANCED, id="60 % exactly is not over 60 %"),
        pytest.param(30, 100, Optimization.AGGRESSIVE, id="30 % exactly"),
        pytest.param(10, 100, Optimization.EMERGENCY, id="10 % exactly"),
        pytest.param(-5, 100, Optimization.EMERGENCY, id="less than nothing"),
        pytest.param(0, 0, Optimization.EMERGENCY, id="a limit of nothing"),
    ],
)
def test_optimization_level(headroom: int, amount: int, level: Optimization) -> None:
    assert optimization_level(headroom, amount) is level


def test_each_level_asks_for_at_least_what_the_milder_one_does() -> None:
    asked = [set(ADVICE[level].flags) for level in Optimization]
    assert asked == sorted(asked, key=len)
    assert all(a <= b for a, b in pairwise(asked))
    assert asked[0] == set()


@pytest.mark.parametrize(
    ("days", "baseline"),
    [
        pytest.param([day(n, 900_000 + n) for n in range(1, 15)], 0.9000075, id="median of fourteen days"),
        pytest.param([day(n, 900_000) for n in range(1, 7)], None, id="six days are too few"),
        pytest.param([day(n, 900_000) for n in range(1, 8)], 0.9, id="seven are enough"),
        pytest.param(
            [day(n, 900_000) for n in range(1, 8)] + [day(0, 0), day(15, 0)],
            0.9,
            id="neither today nor older days count",
        ),
        pytest.param(
            [day(n, 900_000) for n in range(1, 7)] + [day(7, 0, scale=20)], None, id="a day with little traffic is none"
        ),
        pytest.param(
            [day(n, hits) for n in range(1, 8) for hits in (800_000, 1_000_000)], 0.9, id="rows of a day are added up"
        ),
        pytest.param(
            [day(n, 900_000) for n in range(1, 11)] + [day(n, 0) for n in range(11, 15)],
            0.9,
            id="four broken days do not drag it down",
        ),
    ],
)
def test_cache_baseline(days: list[DayUsage], baseline: float | None) -> None:
    assert cache_baseline(days, before=TODAY) == pytest.approx(baseline)


def test_a_drop_is_read_with_what_changed() -> None:
    past = [day(n, 950_000) for n in range(0, 15)] + [day(n, 500_000, "docs") for n in range(1, 5)]
    recent = [day(0, 600_000), day(0, 500_000, "docs"), DayUsage("idle", TODAY, Usage(output=5), "anthropic")]
    yesterday = SINCE - timedelta(days=1)
    runs = [
        run(1, 1, "stable_prompts", last_at=yesterday, prompt_versions=("v1",)),
        run(2, 1, "batching", prompt_versions=("v1", "v2"), model="claude-opus-5"),
    ]
    changed = ("flag batching", "model claude-opus-5", "prompt version v2", "flag stable_prompts no longer set")
    readings = cache_readings(past, runs, lookback=recent, since=SINCE)
    assert readings == (
        CacheReading("docs", "anthropic", 0.5, None, 1_000_000),
        CacheReading("nightly", "anthropic", 0.6, 0.95, 1_000_000, changed),
    )
    assert [cache_dropped(reading) for reading in readings] == [False, True]


def test_without_a_past_nothing_has_changed() -> None:
    assert what_changed([run(1, 1, "batching")], since=SINCE) == ()


@pytest.mark.parametrize(
    ("rate", "baseline", "tokens", "dropped"),
    [
        pytest.param(0.89, 0.93, 1_000_000, True, id="through 90 % by more than 3 points"),
        pytest.param(0.89, 0.91, 1_000_000, False, id="through 90 % by 2 points is noise"),
        pytest.param(0.91, 0.99, 1_000_000, False, id="still over 90 %"),
        pytest.param(0.55, 0.80, 1_000_000, True, id="below 70 % of the baseline"),
        pytest.param(0.60, 0.80, 1_000_000, False, id="a workflow that never cached well and still does not"),
        pytest.param(0.10, 0.95, 999_999, False, id="too little traffic"),
        pytest.param(0.10, None, 9_000_000, False, id="no baseline"),
    ],
)
def test_cache_dropped(rate: float, baseline: float | None, tokens: int, dropped: bool) -> None:
    assert cache_dropped(CacheReading("w", "p", rate, baseline, tokens)) is dropped


def test_an_effect_is_matched_by_workflow() -> None:
    """The large workflow has the flag more often: comparing all runs at once would call the flag harmful."""
    small = [run(n, t, workflow="small") for n, t in enumerate((90, 100, 111) * 4)]
    small += [run(n, t, "batching", workflow="small") for n, t in enumerate((45, 50, 55), 20)]
    large = [run(n, t, workflow="large") for n, t in enumerate((9_000, 10_000, 11_100), 30)]
    large += [run(n, t, "batching", workflow="large") for n, t in enumerate((4_500, 5_000, 5_550) * 4, 40)]
    only_with = [run(90, 7, "batching", workflow="other")]
    effect = flag_effect("batching", small + large + only_with)
    assert effect is not None
    assert effect.expected == pytest.approx(0.5, abs=0.001)
    assert 0.45 < effect.low < 0.5 < effect.high < 0.55
    assert (effect.runs_with, effect.runs_without, effect.workflows) == (15, 15, ("large", "small"))


def test_failed_runs_are_not_compared_but_shown_beside() -> None:
    runs = [run(n, 100 + n) for n in range(10)] + [run(n, 100 + n, "batching") for n in range(20, 28)]
    runs += [run(n, 1, "batching", status="failed") for n in range(30, 40)] + [run(50, 1, "batching", status="")]
    (effect,) = flag_effects(runs)
    assert (effect.runs_with, effect.success_with, effect.success_without) == (8, 8 / 18, 1.0)
    assert effect.expected > 1


@pytest.mark.parametrize(
    "runs",
    [
        pytest.param([], id="no runs"),
        pytest.param([run(n, 10, "batching") for n in range(20)], id="nothing to compare with"),
        pytest.param([run(n, 10 + n, *["batching"] * (n < 4)) for n in range(20)], id="four runs with it are too few"),
        pytest.param(
            [run(n, 10 + n, *["batching"] * (n % 2), workflow=f"w{n // 2}") for n in range(10)],
            id="one against one in each workflow shows no scatter",
        ),
    ],
)
def test_no_effect_is_named(runs: list[RunSummary]) -> None:
    assert flag_effects(runs) == ()


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance, held, trials = random.Random(7), 0, 400
    for _ in range(trials):
        runs = []
        for workflow in ("a", "b", "c"):
            typical = chance.uniform(10, 15)
            for number in range(8):
                size = math.exp(chance.gauss(typical, 0.5) + math.log(0.7) * (number % 2))
                runs.append(run(number, round(size), *["f"] * (number % 2), workflow=workflow))
        effect = flag_effect("f", runs)
        assert isinstance(effect, FlagEffect)
        held += effect.low <= 0.7 <= effect.high
    assert 0.92 <= held / trials <= 0.98


@pytest.mark.parametrize(
    ("freedom", "exact"), [(3, 3.18245), (4, 2.77645), (5, 2.57058), (10, 2.22814), (30, 2.04227), (1000, 1.96234)]
)
def test_student_t_against_the_printed_table(freedom: int, exact: float) -> None:
    assert student_t(0.95, freedom) == pytest.approx(exact, rel=0.01)
