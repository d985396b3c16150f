"""What people and programs read of a provider that refuses for a moment."""

import pytest
from msgspec.structs import replace

from quota_scheduler.core.admission.breaker import Breaker
from quota_scheduler.core.readings.refusing import breaker_documents
from tests.builders import MINUTE, MONDAY, SECOND

OPEN = Breaker("anthropic", "max-1", MONDAY, MONDAY, MONDAY + 20 * SECOND, refusals=3)
WHO = "anthropic refuses requests of max-1 since 2026-11-23T09:00:00Z (3 times in a row, without naming a quota)"


@pytest.mark.parametrize(
    ("breaker", "state", "until", "probe", "says"),
    [
        pytest.param(OPEN, "open", "2026-11-23T09:00:20Z", None,
                     f"{WHO}: new starts wait until 2026-11-23T09:00:20Z, then one ticket tries", id="open"),
        pytest.param(replace(OPEN, until=MONDAY), "half_open", None, None,
                     f"{WHO}: the pause is over, and the next ticket tries", id="after the pause"),
        pytest.param(replace(OPEN, until=MONDAY, probe=7, probing_since=MONDAY), "half_open", "2026-11-23T09:02:00Z",
                     "t7", f"{WHO}: t7 tries whether it answers again, the others wait for that", id="while one tries"),
    ],
)  # fmt: skip
def test_an_account_that_is_refused_as_a_document(breaker, state, until, probe, says):
    assert breaker_documents([breaker], MONDAY) == [
        {"provider": "anthropic", "account": "max-1", "state": state, "since": "2026-11-23T09:00:00Z", "until": until,
         "refusals": 3, "probe": probe, "message": says},
    ]  # fmt: skip


def test_one_that_answers_again_is_not_told():
    assert breaker_documents([replace(OPEN, closed_at=MONDAY)], MONDAY + MINUTE) == []
