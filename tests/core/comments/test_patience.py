"""When comments may be written, and when again."""

from datetime import timedelta

import pytest

from quota_scheduler.core.comments.patience import (
    Setback,
    Trouble,
    asked_wait,
    is_limited,
    wait_after,
)
from tests.builders import MONDAY

NOW = int(MONDAY.timestamp())


@pytest.mark.parametrize(
    ("status", "headers", "text", "limited"),
    [
        pytest.param(429, {}, "", True, id="429"),
        pytest.param(403, {"retry-after": "1"}, "", True, id="403 with a time"),
        pytest.param(403, {"x-ratelimit-remaining": "0"}, "", True, id="403 with nothing left"),
        pytest.param(403, {"x-ratelimit-remaining": "10"}, "secondary rate limit", True, id="403 that says so"),
        pytest.param(403, {"x-ratelimit-remaining": "10"}, "must have rights", False, id="403 for want of rights"),
        pytest.param(404, {"x-ratelimit-remaining": "0"}, "", False, id="404 is about what, not how much"),
    ],
)
def test_what_is_about_how_much_we_asked(status, headers, text, limited):
    assert is_limited(status, headers, text) is limited


@pytest.mark.parametrize(
    ("headers", "retry_after", "seconds"),
    [
        pytest.param({}, 30.0, 30, id="a time"),
        pytest.param({}, 1e12, 7200, id="a time that nobody meant"),
        pytest.param({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW + 90)}, None, 91, id="the reset"),
        pytest.param({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW - 90)}, None, 1, id="a past reset"),
        pytest.param({"x-ratelimit-remaining": "1", "x-ratelimit-reset": str(NOW + 90)}, None, None, id="one is left"),
        pytest.param({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, None, None, id="no number"),
        pytest.param({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 30}, None, None, id="no instant"),
    ],
)
def test_how_long_it_asks_for(headers, retry_after, seconds):
    asked = asked_wait(headers, retry_after=retry_after, now=MONDAY)
    assert asked == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("trouble", "asked", "seconds"),
    [
        pytest.param(Trouble.LIMITED, None, [60, 120, 240, 3600], id="a limit: from a minute to an hour"),
        pytest.param(Trouble.FAILED, None, [5, 10, 20, 600], id="a failure: from five seconds to ten minutes"),
        pytest.param(Trouble.LIMITED, 7, [7, 7, 7, 7], id="as was asked"),
        pytest.param(Trouble.LIMITED, 0, [1, 1, 1, 1], id="never at once"),
    ],
)
def test_waits_grow(trouble, asked, seconds):
    setback = Setback(trouble, "why", None if asked is None else timedelta(seconds=asked))
    assert [wait_after(setback, attempts).total_seconds() for attempts in (1, 2, 3, 50)] == seconds
