"""What the database adds up is what adding the events up one by one gives, in every kind of sum."""

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.store import Store, Transaction, ledger
from tests.builders import HOUR, MICRO, MINUTE, MONDAY, a_usage_event
from tests.fakes import FixedClock

EVENTS = st.lists(
    st.builds(
        lambda key, kinds, at, agent, run, priority: a_usage_event(
            key=key, usage=Usage(*kinds), at=MONDAY - at * MINUTE + MICRO, agent=agent, run=run, priority=priority
        ),
        st.sampled_from("abcdefgh"),
        st.lists(st.integers(0, 5), min_size=9, max_size=9),
        st.sampled_from([-1, 0, 10, 59, 60, 61, 200]),
        st.sampled_from(["", "a1", "a2"]),
        st.sampled_from(["", "r", "s"]),
        st.sampled_from([Priority.INTERACTIVE, Priority.LOW]),
    ),
    max_size=8,
)


@settings(max_examples=30)
@given(st.lists(EVENTS, max_size=4))
def test_every_sum_is_that_of_its_events(tmp_path_factory, batches):
    known: dict[str, UsageEvent] = {}
    with Store(tmp_path_factory.mktemp("sums") / "quota.db", clock=FixedClock(MONDAY)) as store:
        for batch in batches:
            fresh = {event.key: event for event in batch}
            with store.transaction() as tx:
                ledger.apply(tx, [Change(known.get(key), event) for key, event in fresh.items()])
            known |= fresh
        with store.transaction() as tx:
            assert stored(tx) == added_up(known.values())


def stored(tx: Transaction) -> list[dict]:
    """Rollups, totals, backfills and runs, without those that are empty."""
    sets = ledger.label_sets(tx)
    sums = [
        {(hour, *sets[number]): usage for hour, number, usage in ledger.hours(tx, MONDAY - 24 * HOUR)},
        {(labels, priority): usage for labels, priority, usage, _ in ledger.totals(tx)},
        {sets[number]: Usage(*usage) for number, *usage in ledger.backfilled(tx)},
        ledger.run_usage(tx, ["r", "s"]),
    ]
    return [{slot: usage for slot, usage in one.items() if any(usage)} for one in sums]


def added_up(events) -> list[dict]:
    sums: list[dict] = [defaultdict(Usage) for _ in range(4)]
    for event in events:
        labels: Labels = event.labels._replace(agent="")
        who = labels, event.priority
        slots = [(event.at.replace(minute=0, second=0, microsecond=0), *who), who, who, event.run]
        for one, slot in zip(sums, slots, strict=True):
            if (one is not sums[2] or event.at < MONDAY - HOUR) and slot != "":
                one[slot] = one[slot].plus(event.usage)
    return [{slot: usage for slot, usage in one.items() if any(usage)} for one in sums]
