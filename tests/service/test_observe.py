"""The provider's word in: kept once each, at its own time, whatever the order."""

import pytest
from msgspec.structs import replace

from quota_scheduler.core.observations.observation import Throttle
from quota_scheduler.service.observe import WordRecorded, record_word
from quota_scheduler.store import observations
from tests.builders import DAY, HOUR, MINUTE, MONDAY, SECOND, an_observation


def told(here, *reports, throttles=()):
    with here.store.transaction() as tx:
        return record_word(tx, reports, throttles, here.limits)


def kept(here):
    with here.store.reading() as tx:
        return [report for key in observations.keys_of(tx) for report in observations.since(tx, key, MONDAY - 40 * DAY)]


@pytest.mark.parametrize(
    ("reports", "recorded", "stored"),
    [
        pytest.param([an_observation(0.1)], WordRecorded(accepted=1), [an_observation(0.1)], id="a report is kept"),
        pytest.param(
            [an_observation(0.1), an_observation(0.1)],
            WordRecorded(accepted=1, duplicate=1),
            [an_observation(0.1)],
            id="the same report again changes nothing",
        ),
        pytest.param(
            [an_observation(0.1, at=MONDAY - 36 * DAY)],
            WordRecorded(too_old=1),
            [],
            id="a report of long ago is history",
        ),
        pytest.param(
            [an_observation(0.1, at=MONDAY + 3 * MINUTE)],
            WordRecorded(accepted=1, skewed=1),
            [an_observation(0.1, at=MONDAY)],
            id="a report of a clock that is ahead is from now",
        ),
        pytest.param(
            [an_observation(0.1, at=MONDAY - n * MINUTE, resets_at=MONDAY + HOUR + n * SECOND) for n in (3, 2, 1, 0)],
            WordRecorded(accepted=4),
            [
                an_observation(0.1, at=MONDAY - 3 * MINUTE, resets_at=MONDAY + HOUR + 3 * SECOND),
                an_observation(0.1, at=MONDAY, resets_at=MONDAY + HOUR + 2 * SECOND),
            ],
            id="of the same said again and again the first and the last are kept",
        ),
    ],
)
def test_reports_are_kept(world, reports, recorded, stored):
    here = world()
    assert (told(here, *reports), kept(here)) == (recorded, stored)


def test_throttles_are_handed_on_and_say_nothing_about_a_quota(world):
    here, throttle = world(), Throttle("anthropic", "max-1", MONDAY, "statusline", 2 * SECOND)
    assert (told(here, throttles=[throttle]), kept(here)) == (WordRecorded(throttles=(throttle,)), [])


def test_each_window_of_each_account_has_its_own_newest_report(world):
    here = world()
    first, other = an_observation(0.1), an_observation(0.5, account="max-2")
    told(here, first, other, replace(first, observed_at=MONDAY - HOUR, used_ratio=0.05))
    with here.store.reading() as tx:
        assert observations.newest(tx) == [first, other]
