"""Histories as bytes come back as they were, to the bit, and share what they shared."""

import numpy as np
import pytest

from quota_scheduler.core.forecast.histories import Shared, UsageHistory, no_buckets
from quota_scheduler.core.forecast.packing import pack, unpack
from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.core.priority import CLASSES
from tests.builders import HOUR, MONDAY

AT = MONDAY.timestamp()
USED = Buckets(np.array([AT - 7200.0, AT]), np.array([0.1 + 0.2, 2.0**60 + 2.0**9]))


def shared() -> UsageHistory:
    """One class used all there is: those below it look at the same arrays."""
    return UsageHistory(USED, [no_buckets(), *[USED] * (len(CLASSES) - 1)])


def wanted() -> UsageHistory:
    """Usage, and demand of a class that could not run."""
    history = shared()
    history.add_demand(MONDAY, 1, 400)
    history.add_usage(MONDAY - 3 * HOUR, 0, 5)
    return history


def plain(history: UsageHistory) -> list[object]:
    return [
        [(one.starts.tolist(), one.values.tolist()) for one in (history.all, *history.above)],
        history.unmet,
        history.first,
        history.lately(),
    ]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(UsageHistory, id="nothing was ever counted"),
        pytest.param(shared, id="one class used all"),
        pytest.param(wanted, id="classes of their own, and demand that could not run"),
    ],
)
def test_what_is_packed_comes_back_as_it_was(make):
    assert plain(unpack(pack(make()))) == plain(make())


def test_what_comes_back_moves_as_it_did():
    before, after = wanted(), unpack(pack(wanted()))
    for history in (before, after):
        history.put({AT: [1, 2, 3, 4], AT + 3600: [5, 0, 0, 0]}, Shared())
        history.add_demand(MONDAY, 0, 7)
    assert plain(after) == plain(before)


def test_arrays_that_are_shared_are_written_once_and_shared_again():
    history = unpack(pack(shared()))
    assert len({id(one) for one in (history.all, *history.above[1:])}) == 1
    assert len(pack(shared())) < 150


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(pack(shared())[:-1], id="cut short"),
        pytest.param(b"another document" * 20, id="a text"),
    ],
)
def test_other_bytes_are_refused(body):
    with pytest.raises((ValueError, IndexError)):
        unpack(body)
