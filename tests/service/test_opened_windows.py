"""Windows that a start opens hold what the ledger knows of them, to the microsecond, wherever their day begins."""

import pytest

from quota_scheduler.core.instants import MICROSECOND
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.schedule import Calendar, Every
from quota_scheduler.service.operate.limits import apply_limits
from quota_scheduler.service.rebuild import open_for
from quota_scheduler.store import windows
from tests.builders import DAY, HOUR, MINUTE, MONDAY, a_limit, a_usage_event

INDIA = a_limit(10**6, id="india", schedule=Calendar(Every.DAY, "Asia/Kolkata"))
MONTH = a_limit(10**6, id="month", schedule=Calendar(Every.MONTH, "Asia/Kolkata"))
HERE = a_limit(10**6, id="here", schedule=Calendar(Every.DAY, "UTC"))
AGENTS = a_limit(10**6, id="agents", per="agent", schedule=Calendar(Every.DAY, "UTC"))
CODEX = a_limit(10**6, id="codex", match=match_of({"agent": "codex"}), schedule=Calendar(Every.DAY, "Asia/Kolkata"))
MIDNIGHT = MONDAY.replace(hour=0)
"""In UTC; of Kolkata's day half past six in the evening before."""


@pytest.mark.parametrize(
    ("limits", "uses", "used"),
    [
        pytest.param([HERE], [(-MICROSECOND, 1), (0 * DAY, 2), (HOUR, 4)], {"here": 6}, id="a day of whole hours"),
        pytest.param(
            [INDIA],
            [(-330 * MINUTE - MICROSECOND, 1), (-330 * MINUTE, 2), (-5 * HOUR, 4), (HOUR, 8), (1109 * MINUTE, 16),
             (1110 * MINUTE, 32)],
            {"india": 30},
            id="one that begins and ends within an hour",
        ),
        pytest.param([MONTH], [(-2 * DAY, 1), (-HOUR, 2), (HOUR, 4)], {"month": 7}, id="a month of it"),
        pytest.param(
            [AGENTS], [(HOUR, 4), (2 * HOUR, 8)], {"agents:codex": 12, "agents:none": 0},
            id="by agent, which sums do not know",
        ),
        pytest.param(
            [INDIA, CODEX], [(-6 * HOUR, 1), (HOUR, 4)], {"india": 4, "codex": 4}, id="beside one that counts all"
        ),
    ],
)  # fmt: skip
def test_what_is_in_them(world, limits, uses, used):
    here = world()
    here.clock.at = MIDNIGHT + 1109 * MINUTE
    for number, (after, tokens) in enumerate(uses):
        here.record(a_usage_event(tokens, key=f"e{number}", at=MIDNIGHT + after, agent="codex"))
    with here.store.transaction() as tx:
        apply_limits(tx, limits, starting=True)
        balances = windows.load(tx, limits)
        open_for(tx, balances, [a_usage_event(1, agent="codex").labels])  # of agents a window opens with its first use
        windows.save(tx, balances)
    with here.store.reading() as tx:
        rows = tx.rows("SELECT rule, value, used FROM windows WHERE closed = 0 ORDER BY rule")
    assert {f"{rule}:{value}" if value else rule: amount for rule, value, amount in rows} == used
