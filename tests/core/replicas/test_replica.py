"""What replicas read on their hosts, as the leader shows it."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.readings.readings import SourceReading
from quota_scheduler.core.replicas.replica import Replica, sources_elsewhere, there
from tests.builders import MONDAY

READ = SourceReading("claude_code", False, 1.0, 0, files=3, done_bytes=9, total_bytes=9)
A = Replica("a", "one", 1, "a:1", "1", "r", MONDAY, MONDAY, sources=(READ,))
B = replace(A, name="b")
OTHER_HOST = replace(A, name="c", host="two")
SHOWN = replace(READ, source="claude_code@one")


@pytest.mark.parametrize(
    ("replicas", "shown"),
    [
        pytest.param([A], [SHOWN], id="another's source, with its host"),
        pytest.param([replace(A, name="me")], [], id="not its own"),
        pytest.param([A, OTHER_HOST], [SHOWN, replace(READ, source="claude_code@two")], id="those of several hosts"),
        pytest.param(
            [A, replace(B, sources=(replace(READ, lag_seconds=7.0),))],
            [replace(SHOWN, lag_seconds=7.0)],
            id="of one host the one that is furthest behind",
        ),
        pytest.param(
            [replace(A, seen_at=MONDAY - timedelta(minutes=1))],
            [replace(SHOWN, lag_seconds=61.0)],
            id="silence is lag",
        ),
        pytest.param([replace(A, seen_at=MONDAY - timedelta(days=3))], [], id="who is gone for days is forgotten"),
        pytest.param([replace(A, sources=(replace(READ, files=0),))], [], id="nothing where nothing was found"),
    ],
)
def test_sources_elsewhere(replicas, shown):
    assert sources_elsewhere(replicas, "me", MONDAY) == shown


def test_who_has_been_silent_for_two_ttl_is_not_there():
    gone = replace(B, seen_at=MONDAY - timedelta(seconds=11))
    late = replace(OTHER_HOST, seen_at=MONDAY - timedelta(seconds=10))
    assert there([A, gone, late], timedelta(seconds=5)) == [A, late]
    assert there([], timedelta(seconds=5)) == []
