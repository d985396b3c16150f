"""Sessions in their place: where the uses of a limit say, whatever was believed before."""

import pytest

from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.ledger.open_windows import OpenWindows
from quota_scheduler.core.ledger.sessions import Use, is_out_of_place, moved_by, rechained
from quota_scheduler.core.limits.schedule import Window
from tests.builders import DAY, HOUR, MINUTE, MONDAY, a_limit, a_session_limit, a_usage_event, some_balances

LIMIT = a_session_limit()
INSTANCE = LimitInstance(LIMIT, "")


def a_session(hours, *, number=1, used=0, closed=False, length=5):
    """A session that began so many hours ago."""
    start = MONDAY - hours * HOUR
    balance = Balance(number, LIMIT, "", Window(start, start + length * HOUR), used=used, dirty=False)
    balance.closed = closed
    return balance


def uses(*hours):
    """Ten tokens, each so many hours ago."""
    return [Use(MONDAY - ago * HOUR, 10) for ago in hours]


def rows(balances):
    """(hours ago, used, closed) of every session."""
    return [((MONDAY - t.window.starts_at) / HOUR, t.used, t.closed) for t in balances.all() if t.window]


def test_what_came_before_its_chain_was_sure_stays_as_it_was():
    balances = some_balances(LIMIT, rows=[a_session(9, used=30), a_session(1, used=10, number=2)])
    rechained(balances, INSTANCE, uses(1, 2), since=MONDAY - 4 * HOUR, reserved=(1,))
    assert rows(balances) == [(9, 30, False), (2, 20, False)]


@pytest.mark.parametrize(
    ("stored", "used_at", "reserved", "after"),
    [
        pytest.param([], [1], (), [(1, 10, False)], id="none yet"),
        pytest.param([a_session(1, used=10)], [1, 4], (), [(4, 20, False)], id="it began earlier"),
        pytest.param([a_session(3, used=10)], [3, 7], (), [(7, 20, False)], id="it was over by now: closed next"),
        pytest.param([], [7], (), [], id="what is over opens nothing"),
        pytest.param(
            [a_session(7, used=20, closed=True)], [9, 7, 3], (), [(3, 10, False)], id="one that never was is let go"
        ),
        pytest.param([a_session(1)], [], (1,), [(1, 0, False)], id="opened by a lease: a use like any other"),
        pytest.param([a_session(1)], [2], (1,), [(2, 10, False)], id="held in, and begun earlier: it moves"),
        pytest.param([a_session(1, used=10)], [], (), [], id="its use belongs elsewhere: it never began"),
        pytest.param(
            [a_session(6, used=10, closed=True, length=2)],
            [6, 1],
            (),
            [(6, 10, True), (1, 10, False)],
            id="after an early reset the chain begins anew",
        ),
        pytest.param(
            [a_session(2, used=10, closed=True)], [2], (), [(2, 10, False)], id="closed before its end: it goes on"
        ),
        pytest.param([a_session(-48, used=10)], [1], (), [(1, 10, False), (-48, 10, False)], id="one ahead waits"),
    ],
)
def test_rechained(stored, used_at, reserved, after):
    balances = some_balances(LIMIT, rows=stored)
    rechained(balances, INSTANCE, uses(*used_at), since=MONDAY - 8 * DAY, reserved=reserved)
    assert rows(balances) == after


@pytest.mark.parametrize(
    ("event", "goes", "out"),
    [
        pytest.param(a_usage_event(10), False, False, id="inside a session that is known"),
        pytest.param(a_usage_event(10), True, False, id="inside it, taken back"),
        pytest.param(a_usage_event(10, at=MONDAY - 2 * HOUR), False, True, id="before it"),
        pytest.param(a_usage_event(10, at=MONDAY - HOUR), True, True, id="the very use that opened it, taken back"),
        pytest.param(a_usage_event(10, at=MONDAY - HOUR), False, False, id="another use at that instant"),
        pytest.param(a_usage_event(0, at=MONDAY - 2 * HOUR), False, False, id="nothing used opens nothing"),
        pytest.param(a_usage_event(10, at=MONDAY - 9 * DAY), False, False, id="longer ago than is looked at"),
        pytest.param(a_usage_event(10, at=MONDAY + 3 * MINUTE), False, False, id="further ahead than a clock may be"),
    ],
)
def test_which_uses_may_move_sessions(event, goes, out):
    balances = some_balances(LIMIT, a_limit(), rows=[a_session(1)])
    assert is_out_of_place(event, INSTANCE, balances, goes=goes) is out
    assert is_out_of_place(event, LimitInstance(a_limit(), ""), balances, goes=goes) is False
    change = Change(event, None) if goes else Change(None, event)
    assert moved_by([change], balances) == ({INSTANCE: event.at} if out else {})


def test_windows_know_the_next_end_and_the_last_beginning():
    windows = OpenWindows([LIMIT], [a_session(1), a_session(-2, number=2)], now=MONDAY)
    assert (windows.ends_next, windows.starts_last) == (MONDAY + 4 * HOUR, MONDAY + 2 * HOUR)
    windows.drop(windows.by_name["session"][1])
    windows.rest()
    assert (windows.dropped, windows.starts_last) == ([2], MONDAY - HOUR)
