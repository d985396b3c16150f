"""Hourly histories: folded once, then moved by what changed, and never missing anything."""

import pytest

from quota_scheduler.core.forecast.histories import Histories, moved, no_buckets, pairs
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import Unit
from tests.builders import HOUR, MONDAY, a_concurrency_limit, a_limit, some_balances, some_labels, some_usage

GROWTH, OPS = some_labels(team="growth"), some_labels(team="ops")
SETS: dict[int, tuple[Labels, Priority]] = {1: (GROWTH, Priority.HIGH), 2: (OPS, Priority.LOW)}
LIMITS = (a_limit(), a_limit(id="team", per="team"), a_concurrency_limit(), a_limit(id="off", mode=Mode.OFF))
BALANCES = some_balances(*LIMITS)
NINE, TEN = MONDAY, MONDAY + HOUR


def stored(*rows):
    """Rollups as the store has them."""
    return [(int(hour.timestamp()) // 3600, number, *usage) for hour, number, usage in rows]


def folded(*rows, at_once=2):
    histories = Histories(LIMITS)
    slices = [stored(*rows[i : i + at_once]) for i in range(0, len(rows), at_once)]
    histories.fold(slices, SETS, BALANCES)
    return histories


def usage_of(histories, instance):
    return pairs(histories.of(instance).all, 0)


def demand_above(histories, instance):
    """By rank, what classes above asked for, in all."""
    return [float(history.values.sum()) for history in histories.of(instance).above]


ROWS = [(NINE, 1, some_usage(10)), (NINE, 2, some_usage(5)), (TEN, 1, some_usage(20))]


@pytest.mark.parametrize(
    ("instance", "usage", "above"),
    [
        pytest.param(
            "day", [(NINE, 15), (TEN, 20)], [0, 0, 30, 30], id="one limit on all: high is above normal and low"
        ),
        pytest.param("team/growth", [(NINE, 10), (TEN, 20)], [0, 0, 30, 30], id="the team's own instance"),
        pytest.param("team/ops", [(NINE, 5)], [0, 0, 0, 0], id="low work is above nobody"),
        pytest.param("leases", [], [0, 0, 0, 0], id="a limit on leases counts no usage"),
        pytest.param("off", [], [0, 0, 0, 0], id="a limit that is off counts nothing"),
    ],
)
def test_fold(instance, usage, above):
    histories = folded(*ROWS)
    assert (usage_of(histories, instance), demand_above(histories, instance)) == (usage, above)
    assert histories.first == NINE


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([*ROWS[:2], (TEN, 1, some_usage(25))], id="the newest hour grew"),
        pytest.param([*ROWS, (TEN, 2, some_usage(7))], id="other labels used something in it"),
        pytest.param([*ROWS, (TEN + HOUR, 1, some_usage(1))], id="an hour began"),
        pytest.param(ROWS[:2], id="an hour was taken back"),
        pytest.param([*ROWS[:2], (TEN, 1, some_usage(5))], id="an hour was corrected downwards"),
        pytest.param([(NINE, 1, some_usage(11)), *ROWS[1:]], id="an older hour grew"),
        pytest.param([(NINE - 99 * HOUR, 2, some_usage(11)), *ROWS], id="an hour before all others came"),
        pytest.param([(NINE, 2, some_usage(10)), ROWS[1], (TEN, 2, some_usage(20))], id="it was of another class"),
        pytest.param(ROWS, id="nothing happened"),
    ],
)
def test_an_update_is_the_same_as_folding_anew(after):
    histories, anew = folded(*ROWS), folded(*after)
    rows = stored(*after)
    histories.update(rows, {row[0] for row in stored(*ROWS)} | {row[0] for row in rows}, SETS, BALANCES)
    for instance in ("day", "team/growth", "team/ops"):
        assert usage_of(histories, instance) == usage_of(anew, instance)
        assert demand_above(histories, instance) == demand_above(anew, instance)


def test_hours_that_are_not_named_stay():
    histories = folded(*ROWS)
    histories.update(stored((TEN, 1, some_usage(1))), [int(TEN.timestamp()) // 3600], SETS, BALANCES)
    assert usage_of(histories, "day") == [(NINE, 15), (TEN, 1)]
    assert histories.first == NINE


def test_what_could_not_run_stays_when_its_hour_is_read_again():
    histories = folded(*ROWS)
    histories.demand([(TEN, "day", Priority.INTERACTIVE.rank, 100)])
    histories.update(stored((TEN, 2, some_usage(7))), [int(TEN.timestamp()) // 3600], SETS, BALANCES)
    assert demand_above(histories, "day") == [0, 100, 110, 110]


def test_unmet_demand_counts_for_the_classes_below_and_is_corrected_by_its_whole_amount():
    histories = folded(*ROWS)
    histories.demand([(TEN, "day", Priority.INTERACTIVE.rank, 100)])
    assert demand_above(histories, "day") == [0, 100, 130, 130]
    histories.demand([(TEN, "day", Priority.INTERACTIVE.rank, 60)])
    assert demand_above(histories, "day") == [0, 60, 90, 90]
    assert usage_of(histories, "day") == usage_of(folded(*ROWS), "day"), "what could not run was not used"


def test_an_hour_left_without_any_usage_disappears():
    history = moved(moved(no_buckets(), TEN, 5), NINE, 3)
    assert pairs(history, 0) == [(NINE, 3), (TEN, 5)]
    assert pairs(moved(history, TEN, -5), 0) == [(NINE, 3)], "or it would open a session"
    assert moved(no_buckets(), NINE, 0).starts.size == 0


@pytest.mark.parametrize(
    ("start", "now", "course"),
    [
        pytest.param(
            NINE, TEN + HOUR * 3, [(TEN, 10), (TEN + HOUR, 15), (TEN + HOUR * 3, 22)], id="hours with any use"
        ),
        pytest.param(TEN + HOUR / 2, TEN + HOUR * 3, [(TEN + HOUR, 5), (TEN + HOUR * 3, 12)], id="from within an hour"),
        pytest.param(NINE, TEN + HOUR * 5 / 2, [(TEN, 10), (TEN + HOUR, 15), (TEN + HOUR * 5 / 2, 22)], id="to now"),
        pytest.param(TEN + HOUR * 3, TEN + HOUR * 4, [], id="nothing since"),
    ],
)
def test_the_course_of_a_window(start, now, course):
    rows = [(NINE, 1, some_usage(10)), (TEN, 1, some_usage(5)), (TEN + HOUR * 2, 2, some_usage(7))]
    assert folded(*rows).of("day").course(start, now) == course


def test_since_shows_how_old_a_history_is():
    history = folded((NINE - 99 * HOUR, 1, some_usage(1)), *ROWS).of("day")
    assert history.since(TEN) == [(NINE - 99 * HOUR, 1), (TEN, 20)]
    assert history.since(NINE - 99 * HOUR)[:2] == [(NINE - 99 * HOUR, 1), (NINE, 15)], "the first is not told twice"
    nine, ten = NINE.timestamp(), TEN.timestamp()
    assert (history.used_between([nine, ten, nine, ten + 1]), history.lately()) == (
        [15, 0, 35],
        [(NINE, 15), (TEN, 20)],
    )


def test_instances_that_count_the_same_work_share_one_history_and_go_on_sharing_it():
    limits = a_limit(), a_limit(id="second"), a_limit(id="calls", unit=Unit.REQUESTS)
    balances, histories = some_balances(*limits), Histories(limits)
    histories.fold([stored(*ROWS)], SETS, balances)
    first, second, calls = (histories.of(limit.id) for limit in limits)
    assert first.all is second.all is not calls.all
    histories.update(stored((TEN, 1, some_usage(25))), [int(TEN.timestamp()) // 3600], SETS, balances)
    assert first.all is second.all
    assert second.lately() == [(NINE, 15), (TEN, 25)]
    assert [first.above[rank] is second.above[rank] for rank in (1, 2, 3)] == [True] * 3
    second.add_demand(TEN, 0, 7)
    histories.update(stored((TEN, 1, some_usage(30))), [int(TEN.timestamp()) // 3600], SETS, balances)
    assert first.all is second.all, "what could not run is demand, and no usage"
    assert (second.above[3].values - first.above[3].values).tolist() == [0, 7]
