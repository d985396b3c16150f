"""Pre-flight: three checks, each with its figures and what to do."""

import pytest

from quota_scheduler.core.admission.decide import Admit, Blocker, Defer, Reject
from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.admission.preflight import Check, checks
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.tickets.ticket import Reason
from tests.builders import DAY, MIDNIGHT, MONDAY, a_limit, a_run_cap, a_ticket, a_window, some_balances, some_usage

LITTLE_KNOWN = Check("forecast", True, "little history: no forecast holds it back yet")
ROOM = Check("quota", True, "day: needs 10 tokens, 60 tokens free")
BUDGET = Check("run_budget", True, "10 tokens estimated")
RISKY = Outlook(MONDAY, MIDNIGHT, 30 * DAY, ((), (), (), ()), risk="high", projected_ratio=0.92)


def deferred(reason):
    return Defer(MIDNIGHT, reason, (Blocker("day", reason, MIDNIGHT),))


def three(verdict, *, caps=(), used=0, outlooks=None):
    rows = [Balance(1, a_limit(), "", a_window(MONDAY, DAY), used=40)]
    headrooms = Headrooms(some_balances(a_limit(), rows=rows), outlooks or {})
    ticket = a_ticket(10)
    return checks(ticket, verdict, headrooms.of(ticket), caps, some_usage(used), now=MONDAY)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(three(Admit()), (ROOM, LITTLE_KNOWN, BUDGET), id="all pass"),
        pytest.param(
            three(deferred(Reason.NO_HEADROOM)),
            (
                Check(
                    "quota",
                    False,
                    "day: needs 10 tokens, 60 tokens free",
                    "Wait for day until Tue 24 Nov 00:00 UTC, reduce the scope, or raise the limit.",
                ),
                LITTLE_KNOWN,
                BUDGET,
            ),
            id="no room: wait, reduce or raise",
        ),
        pytest.param(
            three(Reject(Reason.NEVER_FITS, (Blocker("day", Reason.NEVER_FITS, MONDAY),))),
            (
                Check(
                    "quota",
                    False,
                    "day: needs 10 tokens, 60 tokens free",
                    "It is larger than day allows in a whole window: split it.",
                ),
                LITTLE_KNOWN,
                BUDGET,
            ),
            id="too large for any window: split it",
        ),
        pytest.param(
            three(deferred(Reason.PACED), outlooks={"day": RISKY}),
            (
                ROOM,
                Check(
                    "forecast",
                    False,
                    "day: 92% expected at the reset, risk high",
                    "More important work is expected in day: submit it as a ticket and it starts as soon as there is "
                    "room.",
                ),
                BUDGET,
            ),
            id="held back by the forecast",
        ),
        pytest.param(
            three(Admit(), caps=[a_run_cap(100)], used=70),
            (
                ROOM,
                LITTLE_KNOWN,
                Check(
                    "run_budget", True, "80 tokens of 100 tokens per run (80%)", "It is close to the run cap: watch it."
                ),
            ),
            id="close to its run cap",
        ),
        pytest.param(
            three(Admit(), caps=[a_run_cap(100)], used=91),
            (
                ROOM,
                LITTLE_KNOWN,
                Check(
                    "run_budget",
                    False,
                    "101 tokens of 100 tokens per run (101%)",
                    "Reduce the scope, or split it into runs that fit the cap.",
                ),
            ),
            id="over it",
        ),
    ],
)
def test_the_three_checks(found, expected):
    assert found == expected
