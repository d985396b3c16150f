"""Scheduling quality: what closed windows did to work."""

from datetime import timedelta

import pytest

from quota_scheduler.core.readings.scheduling_quality import ClassQuality, ClosedWindow, could_have_used, pool
from tests.builders import (
    DAY,
    HOUR,
    MONDAY,
)


def a_closed_window(**changes):
    """A window of 100 that was used up by everybody alike."""
    fields = {"used": sum(changes.get("served", (25, 25, 25, 25))), "served": (25, 25, 25, 25)}
    return ClosedWindow("day", MONDAY, MONDAY + DAY, 100, **(fields | changes))


@pytest.mark.parametrize(
    ("window", "harm", "lost", "value"),
    [
        pytest.param(a_closed_window(), 0, 0, 1, id="all that was asked for was done"),
        pytest.param(
            a_closed_window(missed=(25, 0, 0, 0)), 1 / 3, 0, 375 / 550, id="people went without though low work ran"
        ),
        pytest.param(
            a_closed_window(served=(100, 0, 0, 0), missed=(0, 50, 0, 0)), 0, 0, 1, id="more than there was is no harm"
        ),
        pytest.param(
            a_closed_window(served=(80, 0, 0, 20), missed=(0, 40, 0, 0)),
            20 / 120,
            0,
            660 / 720,
            id="what low work took could have spared half of it",
        ),
        pytest.param(
            a_closed_window(missed=(0, 0, 25, 25)), 0, 0, 375 / 400, id="lesser work turned away harms no one"
        ),
        pytest.param(
            a_closed_window(served=(25, 0, 0, 0), waited=(0, 0, 0, 40)),
            0,
            0.4,
            200 / 240,
            id="expired while low waited",
        ),
        pytest.param(
            a_closed_window(served=(70, 0, 0, 0), waited=(0, 0, 0, 40)), 0, 0.3, 560 / 590, id="no more than was unused"
        ),
        pytest.param(a_closed_window(served=(20, 0, 0, 0)), 0, 0, 1, id="nobody waited, nothing was lost"),
        pytest.param(
            a_closed_window(served=(150, 0, 0, 0), waited=(0, 0, 0, 9)), 0, 0, 1, id="more than the amount was used"
        ),
    ],
)
def test_one_window(window, harm, lost, value):
    found = pool([window])
    assert (found.avoidable_harm, found.lost, found.value) == pytest.approx((harm, lost, value))


def test_windows_are_pooled_as_sums_over_sums():
    first = a_closed_window(served=(10, 0, 0, 0), missed=(30, 0, 0, 0), runs=(1, 0, 0, 4), stalls=(1, 0, 0, 0))
    second = a_closed_window(served=(60, 0, 0, 40), runs=(3, 0, 0, 4), stalls=(0, 0, 0, 2))
    found = pool([first, second])
    assert (found.windows, found.since) == (2, MONDAY)
    assert (found.avoidable_harm, found.lost, found.utilisation) == (0.3, 0, 0.55)
    assert found.value == (80 + 520) / (320 + 520)
    assert found.classes == (
        ClassQuality("interactive", 0.3, 0.25),
        ClassQuality("high", None, None),
        ClassQuality("normal", None, None),
        ClassQuality("low", 0, 0.25),
    )


def test_where_nothing_was_asked_for_nothing_is_said():
    assert pool([a_closed_window(served=(0, 0, 0, 0))]).avoidable_harm is None


@pytest.mark.parametrize(
    ("waited", "amount"),
    [
        pytest.param(HOUR, 100, id="a run of an hour that waited for one"),
        pytest.param(4 * HOUR, 100, id="or longer"),
        pytest.param(HOUR / 4, 25, id="a quarter of it"),
        pytest.param(timedelta(0), 0, id="one that has just come"),
    ],
)
def test_could_have_used(waited, amount):
    assert could_have_used(100, waited=waited, takes=HOUR) == amount
