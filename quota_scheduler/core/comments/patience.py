"""When comments may be written: what GitHub asks of those who write to it, and waits after what did not work.

Limits as GitHub's REST documentation has them (API version 2022-11-28): primary 5,000 requests an hour, secondary 80
content-creating requests a minute and 500 an hour; after a refusal ``retry-after``, else the reset of the primary limit
where nothing of it is left, else at least a minute, growing.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from msgspec import Struct

BETWEEN_WRITES = timedelta(seconds=1)
WRITES_AN_HOUR = 450
"""Of 500, so that others may write with the same account too."""
HOUR = timedelta(hours=1)
FIRST_REFUSED, LONGEST_REFUSED = timedelta(seconds=60), timedelta(hours=1)
FIRST_FAILED, LONGEST_FAILED = timedelta(seconds=5), timedelta(minutes=10)
LONGEST_ASKED = timedelta(hours=2)
"""Longer waits than that nobody meant: the primary limit is reset every hour."""
LOOK_AGAIN = timedelta(minutes=5)
"""A comment about work that waits is looked at this often, and edited where its place or its time has changed."""
GIVE_UP_AFTER = timedelta(hours=24)
"""News of yesterday helps nobody; the next change of its ticket is told again."""


class Trouble(StrEnum):
    """Why a comment was not written: try again, be quiet for a while, or it cannot be as things are."""

    FAILED = "failed"
    LIMITED = "limited"
    REFUSED = "refused"


class Setback(Struct, frozen=True):
    """What went wrong in one sentence, how long GitHub asked to be left alone, and whether that is about everything."""

    trouble: Trouble
    why: str
    asked: timedelta | None = None


def is_limited(status: int, headers: Mapping[str, str], text: str) -> bool:
    """Whether an answer is about how much we asked and not about what: names of headers in lower case."""
    if status == 429:
        return True
    words = text.lower()
    return status == 403 and (
        "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or "rate limit" in words
        or "abuse" in words
    )


def asked_wait(headers: Mapping[str, str], *, retry_after: float | None, now: datetime) -> timedelta | None:
    """How long GitHub asks to be left alone; None where it names nothing."""
    if retry_after is not None:
        return min(LONGEST_ASKED, timedelta(seconds=min(retry_after, LONGEST_ASKED.total_seconds())))
    return until_reset(headers, now=now)


def until_reset(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """How long until the primary limit is reset, where nothing of it is left; None else."""
    if headers.get("x-ratelimit-remaining") != "0":
        return None
    try:
        reset = datetime.fromtimestamp(int(headers.get("x-ratelimit-reset", "")), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return min(LONGEST_ASKED, max(timedelta(seconds=1), reset - now + timedelta(seconds=1)))


def wait_after(setback: Setback, attempts: int) -> timedelta:
    """How long to wait after so many attempts in a row that did not work, at least as long as was asked."""
    limited = setback.trouble is not Trouble.FAILED
    first, longest = (FIRST_REFUSED, LONGEST_REFUSED) if limited else (FIRST_FAILED, LONGEST_FAILED)
    if setback.asked is not None:
        return max(setback.asked, timedelta(seconds=1))
    return min(longest, first * (1 << min(max(attempts - 1, 0), 12)))
