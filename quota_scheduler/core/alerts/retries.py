"""When a message that did not arrive is tried again, and when it is given up."""

from datetime import datetime, timedelta

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=30)
"""Waits between attempts double from the first to the longest."""
LONGEST_ASKED = timedelta(hours=1)
"""Longest wait a receiver may ask for. A stored instant further ahead was written by a clock that was wrong."""
GIVE_UP_AFTER = timedelta(hours=24)
"""Age at which a notification is given up: news of yesterday helps nobody, and the state is still to be seen."""
GIVE_UP_ATTEMPTS = 40
"""Least attempts before that, 18 h at the usual waits: a clock that stood days ahead for a moment gives up nothing."""


def may_be_tried(wait_left: timedelta) -> bool:
    """Tell whether a wait that the stored instants tell is over, or is none that we could have meant."""
    return not timedelta(0) < wait_left <= LONGEST_ASKED


def wait(attempts: int, *, asked: timedelta = timedelta(0)) -> timedelta:
    """Return how long to wait after this many failed attempts; longer where the receiver ``asked`` for it."""
    doublings = min(max(attempts - 1, 0), 16)
    return max(min(asked, LONGEST_ASKED), min(LONGEST_WAIT, FIRST_WAIT * (1 << doublings)))


def is_too_old(created_at: datetime, attempts: int, *, now: datetime) -> bool:
    """Tell whether a notification is given up: a day old, in either direction of the clock, and tried often enough."""
    return abs(now - created_at) >= GIVE_UP_AFTER and attempts >= GIVE_UP_ATTEMPTS
