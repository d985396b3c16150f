"""What the method is measured against, as sums that can be done by hand."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from quota_scheduler.core.forecast.baselines import (
    BASELINES,
    OLD_NAMES,
    mean_7,
    pro_rata,
    weighted_mean,
    weighted_mean_of,
)
from quota_scheduler.core.forecast.series import buckets

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
STARTS, ENDS = NOW - 4 * DAY, NOW + 6 * DAY


def days(*usage: float) -> list[tuple[datetime, float]]:
    """Usage by day, the newest first; idle days are left out."""
    return [(NOW - (back + 1) * DAY, tokens) for back, tokens in reversed(list(enumerate(usage))) if tokens]


@pytest.mark.parametrize(
    ("baseline", "history", "expected"),
    [
        pytest.param(weighted_mean, days(300, 600), 900 + 6 * 400, id="weights 1 and 1/2: 400 a day"),
        pytest.param(weighted_mean, days(300, 0, 0, 600), 900 + 6 * 400, id="idle days are left out, on purpose"),
        pytest.param(
            weighted_mean, days(300, 0, 0, 0, 0, 0, 0, 9999), 300 + 6 * 300, id="the eighth day counts no more"
        ),
        pytest.param(weighted_mean, [], 0, id="no history"),
        pytest.param(pro_rata, days(100, 100, 100, 100, 999), 400 * 10 / 4, id="four days of ten have passed"),
        pytest.param(pro_rata, [], 0, id="nothing used"),
        pytest.param(mean_7, days(70), 70 + 6 * 10, id="idle days count"),
        pytest.param(mean_7, days(0, 0, 0, 0, 140), 6 * 20, id="a day before the window counts for the mean alone"),
    ],
)
def test_baselines(baseline, history, expected):
    assert baseline(history, NOW, STARTS, ENDS) == pytest.approx(expected)


@pytest.mark.parametrize("minutes", [0, 1, 30, 59, 61])
def test_what_a_weighted_mean_adds_is_the_same_from_arrays(minutes):
    generator, now = Random(minutes), NOW + timedelta(minutes=minutes)
    hours = [NOW - timedelta(hours=back) for back in range(24 * 9, -2, -1) if generator.random() < 0.4]
    history = [(hour, float(generator.randrange(1_000))) for hour in hours]
    assert weighted_mean_of(buckets(history), now).to_come(ENDS) == weighted_mean(history, now, now, ENDS)


def test_at_the_start_of_a_window_there_is_no_rate_to_keep_up():
    assert pro_rata(days(100), NOW, NOW, ENDS) == 0


def test_every_old_name_leads_to_a_baseline():
    assert {name: BASELINES[current] for name, current in OLD_NAMES.items()} == {"seed": weighted_mean}
