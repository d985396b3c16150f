"""Pasts replayed together earn the tracks that each earns alone."""

from random import Random

import pytest

from quota_scheduler.core.forecast.batch_replay import ReplayedPast, replay_at_once
from quota_scheduler.core.forecast.histories import UsageHistory
from quota_scheduler.core.forecast.track_record import TrackRecord, closed_windows, replay
from tests.core.forecast.made_up import NOW, SCHEDULES, a_history


def a_past(generator: Random) -> ReplayedPast:
    history, schedule = a_history(generator), generator.choice(SCHEDULES)
    first = UsageHistory(history).first
    windows = closed_windows(schedule, history, since=first, before=NOW) if first else []
    return ReplayedPast(history, windows[-generator.randrange(1, 8) :], 10 ** generator.randrange(3, 7), first or NOW)


def flat(track: TrackRecord) -> list[object]:
    said = track.to_dict()["calibration"]
    numbers = [number for row in (*said["horizons"], *said["claims"]) for number in row]
    return [*track.recent, said["low"], said["high"], *numbers]


@pytest.mark.parametrize("seed", range(6))
def test_together_as_alone(seed):
    generator = Random(seed)
    pasts = [a_past(generator) for _ in range(5)]
    alone = [replay(past.history, past.windows, amount=past.amount, since=past.since) for past in pasts]
    assert [flat(track) for track in replay_at_once(pasts)] == [
        pytest.approx(flat(track), rel=1e-9, abs=1e-9) for track in alone
    ]


def test_nothing_to_replay():
    assert replay_at_once([]) == []
