"""Samples of limits that a provider reports on."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.alerts.observed_samples import observed_samples
from quota_scheduler.core.observations.points import POINT
from tests.builders import HOUR, MONDAY, a_reading
from tests.shell.sample import a_limit, some_word

WORD = some_word(MONDAY)


def values(limit):
    return {sample.reading: sample.value for sample in observed_samples(limit, {}, MONDAY)}


def a_percent_limit(*, used=60 * POINT, leases=0, word=WORD):
    return a_reading(a_limit(now=MONDAY), used=used, leases=leases, observed=word)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param(a_percent_limit(word=None), {}, id="nobody reports on it"),
        pytest.param(
            a_percent_limit(),
            {"elsewhere_points": 4.0, "provider_changes": 0.0, "unreported_seconds": 0.0},
            id="nothing was used since the last report",
        ),
        pytest.param(
            a_percent_limit(used=62 * POINT, word=replace(WORD, noticed=("It was reset early.",))),
            {"elsewhere_points": 4.0, "provider_changes": 1.0, "unreported_seconds": 600.0},
            id="work goes on, and a change was noticed",
        ),
        pytest.param(
            a_percent_limit(leases=1, word=replace(WORD, ratio=None, observed_at=None, heard_at=MONDAY - 2 * HOUR)),
            {"elsewhere_points": 4.0, "provider_changes": 0.0, "unreported_seconds": 7200.0},
            id="nothing was said of the window of now",
        ),
    ],
)
def test_what_alerts_look_at(limit, expected):
    assert values(limit) == expected


def test_an_episode_is_a_window_but_silence_goes_on_over_resets():
    samples = {sample.reading: sample.episode for sample in observed_samples(a_percent_limit(), {}, MONDAY)}
    began = (MONDAY - timedelta(hours=18)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert samples == {"elsewhere_points": began, "provider_changes": began, "unreported_seconds": ""}
