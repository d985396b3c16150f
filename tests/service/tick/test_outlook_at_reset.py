"""A reset is seen by a cycle, not by a tick: the outlook of the window that has just ended has to serve the new one."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from quota_scheduler.core.cycle.requests import Read, Submit
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import State
from tests.builders import HOUR, MIDNIGHT, MINUTE, a_limit, a_ticket
from tests.service.tick.ticking import House

NOTHING_AFTER = ((), (), (), ())


@pytest.mark.parametrize(
    ("forecast", "state"),
    [
        pytest.param(True, State.WAITING, id="low work goes on waiting for the people of the new day"),
        pytest.param(False, State.OFFERED, id="which an outlook up to the reset would not know of"),
    ],
)
def test_the_cycle_that_sees_a_reset_leaves_room_for_people(tmp_path: Path, forecast: bool, state: State) -> None:
    with House(tmp_path / "quota.db", [a_limit(100)]) as house:
        house.import_days(20, 70)
        house.use(95)
        house.tick()
        house.ask(Submit(a_ticket(60, at=house.clock(), priority=Priority.LOW)))
        house.until(MIDNIGHT - MINUTE, HOUR)
        if not forecast:
            old = house.terms.outlooks
            without = {name: replace(each, after=NOTHING_AFTER) for name, each in old.items()}
            house.terms = replace(house.terms, outlooks=without)
        house.clock.at = MIDNIGHT + MINUTE
        [answer] = house.ask(Read(1, claim=False)).answers
        assert answer.ticket.state is state
