"""Throttle queues: what waits, of every age, class and team."""

from hypothesis import strategies as st

from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue.policy import QueuePolicy
from tests.builders import DAY, MIDNIGHT, MINUTE, MONDAY, a_ticket

PEOPLE, HIGH, NORMAL, LOW = Priority
POLICY = QueuePolicy()
TODAY = Window(MIDNIGHT - DAY, MIDNIGHT)


def waiting(number, *, minutes=0, tokens=10, **changes):
    """A ticket that has waited for so many minutes."""
    return a_ticket(tokens, number=number, at=MONDAY - minutes * MINUTE, **changes)


TICKETS = st.lists(
    st.fixed_dictionaries(
        {
            "minutes": st.integers(0, 200),
            "priority": st.sampled_from(Priority),
            "team": st.sampled_from("xyz"),
            "tokens": st.integers(0, 60),
        }
    ),
    max_size=12,
).map(lambda rows: [waiting(number, **row) for number, row in enumerate(rows, 1)])
