"""How fast GitHub is asked."""

import time
from datetime import timedelta

from quota_scheduler.core.comments.patience import WRITES_AN_HOUR
from quota_scheduler.github.pace import Pace


def test_a_moment_lies_between_two_writes():
    pace = Pace(between=timedelta(seconds=0.2))
    began = time.monotonic()
    assert [pace.before_write() for _ in range(3)] == [True] * 3
    assert time.monotonic() - began >= 0.4


def test_an_hour_holds_so_many_writes():
    now = [0.0]
    pace = Pace(monotonic=lambda: now[0], between=timedelta(0))
    for _ in range(WRITES_AN_HOUR - 1):
        pace.before_write()
    assert pace.is_free
    pace.before_write()
    assert not pace.is_free
    now[0] = 3600.0
    assert pace.is_free


def test_nobody_waits_for_a_service_that_ends():
    pace = Pace(between=timedelta(hours=1))
    pace.before_write()
    pace.close()
    assert not pace.before_write()
