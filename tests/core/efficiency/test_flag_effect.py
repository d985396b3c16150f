"""What a flag brought, matched by workflow."""

import math
import random

import pytest

from quota_scheduler.core.efficiency.flag_effect import FlagEffect, flag_effect, flag_effects, student_t
from quota_scheduler.core.efficiency.runs import RunSummary
from tests.core.efficiency.runs import run


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
