"""The ledger in the database: events there and back, rollups and runs that move with them, keys that stay."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import Usage, total
from quota_scheduler.store import Store, ledger, pruned
from tests.builders import DAY, HOUR, MICRO, MINUTE, MONDAY, a_lease, a_ticket, a_usage_event, some_labels, some_usage
from tests.fakes import FixedClock

FULL = a_usage_event(
    key="req_1", at=MONDAY + MICRO, usage=Usage(1, 2, 3, 4, 5, 6, 7, 8), account="max-1", model="opus", team="growth",
    project="site", workflow="nightly", task_type="review", agent="a1", run="r1", session="s1", message="m1",
    sidechain=True, priority=Priority.LOW, flags=("batching", "own"), prompt_version="v2", status="completed",
    estimated=True,
)  # fmt: skip


@pytest.fixture
def clock():
    return FixedClock(MONDAY)


@pytest.fixture
def store(tmp_path, clock):
    with Store(tmp_path / "quota.db", clock=clock) as opened:
        yield opened


def apply(store, *changes):
    with store.transaction() as tx:
        ledger.apply(tx, [Change(*change) for change in changes])


def look(store, query, *args, **more):
    with store.transaction() as tx:
        return query(tx, *args, **more)


def test_an_event_comes_back_as_it_was(store):
    apply(store, (None, FULL))
    assert look(store, ledger.by_key, [FULL.identity, ("anthropic", "other")]) == {FULL.identity: FULL}
    assert look(store, ledger.by_message, ["m1", "m2"]) == {"m1": [FULL]}
    assert look(store, ledger.by_session, "s1", granted=MONDAY) == [FULL]
    assert look(store, ledger.between, FULL.at, FULL.at + MICRO) == [FULL]


@pytest.mark.parametrize(
    ("query", "args"),
    [
        pytest.param(ledger.by_key, ([("openai", "req_1")],), id="another provider's key"),
        pytest.param(ledger.by_message, ([""],), id="no message is nobody's"),
        pytest.param(ledger.between, (FULL.at + MICRO, FULL.at + HOUR), id="after it"),
        pytest.param(ledger.between, (FULL.at - HOUR, FULL.at), id="up to its own instant"),
    ],
)
def test_what_is_not_found(store, query, args):
    apply(store, (None, FULL), (None, a_usage_event(at=MONDAY - DAY)))
    assert not look(store, query, *args)


def test_a_correction_moves_rollups_and_totals_by_the_difference(store):
    old, new = a_usage_event(10, at=MONDAY + 59 * MINUTE, agent="a"), a_usage_event(25, at=MONDAY + HOUR, agent="b")
    apply(store, (None, old))
    apply(store, (old, new))
    hours = {hour: usage for hour, _, usage in look(store, ledger.hours, MONDAY - DAY)}
    assert hours == {MONDAY: Usage(), MONDAY + HOUR: some_usage(25)}
    assert look(store, ledger.totals) == [(some_labels(), Priority.INTERACTIVE, some_usage(25), MONDAY + HOUR)]


def test_a_run_adds_up_and_knows_its_newest_facts(store):
    first = a_usage_event(10, run="r1", workflow="w", model="opus", flags=("batching",), prompt_version="v1")
    second = a_usage_event(5, key="e2", at=MONDAY + HOUR, run="r1", workflow="w", model="opus", status="completed")
    apply(store, (None, second))
    apply(store, (None, first))
    assert look(store, ledger.runs_since, MONDAY) == [
        RunSummary(
            run="r1", workflow="w", task_type="", team="", provider="anthropic", model="opus", flags=("batching",),
            prompt_versions=("v1",), usage=some_usage(15, requests=2), started_at=MONDAY, last_at=MONDAY + HOUR,
            status="completed",
        )
    ]  # fmt: skip
    assert look(store, ledger.runs_since, MONDAY + HOUR + MICRO) == []
    assert look(store, ledger.run_usage, ["r1", "r2"]) == {"r1": some_usage(15, requests=2)}


def test_a_run_whose_events_went_to_another_is_gone(store):
    mine = a_usage_event(10, run="s1")
    apply(store, (None, mine))
    apply(store, (mine, a_usage_event(10, run="nightly")))
    assert [run.run for run in look(store, ledger.runs_since, MONDAY)] == ["nightly"]


def test_the_reports_of_a_ticket_are_found_by_its_number_alone(store):
    events = [
        a_usage_event(n, key=key) for n, key in enumerate(("lease:1:1:0:opus", "lease:1:7:0:", "lease:11:2:0:", "e"))
    ]
    apply(store, *((None, event) for event in events))
    found = look(store, ledger.of_leases, [a_ticket(number=1)])
    assert sorted(key for _, key in found) == ["lease:1:1:0:opus", "lease:1:7:0:"]


@pytest.mark.parametrize(
    ("lease", "usage"),
    [
        pytest.param(
            a_lease(session="s1"), some_usage(35, requests=3), id="what its session brought since 2 min before"
        ),
        pytest.param(a_lease(session="s2"), None, id="another session brought nothing"),
        pytest.param(a_lease(session=""), None, id="no session is nobody's"),
        pytest.param(a_lease(session="s1", ended_at=MONDAY + MINUTE), some_usage(15, requests=2), id="until it ended"),
        pytest.param(a_lease(session="s1", at=MONDAY + 2 * HOUR), None, id="nothing since"),
    ],
)
def test_the_transcript_of_a_lease(store, clock, lease, usage):
    clock.at = MONDAY + 3 * HOUR
    told = ((10, "e1", MONDAY), (20, "e2", MONDAY + HOUR), (5, "e3", MONDAY - MICRO), (7, "lease:1:1:0:", MONDAY))
    apply(store, *((None, a_usage_event(n, key=key, at=at, session="s1")) for n, key, at in told))
    assert look(store, ledger.transcript, lease) == usage


def test_pruning_goes_by_when_an_event_was_recorded_and_keeps_its_key(store, clock):
    old, young = a_usage_event(10, at=MONDAY - 300 * DAY), a_usage_event(20, key="e2", at=MONDAY - 300 * DAY)
    apply(store, (None, old))
    clock.advance(DAY)
    apply(store, (None, young))
    assert look(store, pruned.prune, recorded_before=MONDAY + HOUR, keys_before=MONDAY - 400 * DAY) == 1
    assert look(store, ledger.by_key, [old.identity, young.identity]) == {young.identity: young}
    assert look(store, pruned.counted, [old.identity, young.identity]) == {old.identity: 10}
    assert total(usage for _, _, usage in look(store, ledger.hours, MONDAY - 400 * DAY)).tokens == 30


def test_pruning_takes_so_many_at_a_time_and_forgets_old_keys(store, clock):
    apply(store, *((None, a_usage_event(1, key=f"e{n}")) for n in range(5)))
    clock.advance(DAY)
    left = [look(store, pruned.prune, recorded_before=clock.at, keys_before=MONDAY, most=2) for _ in range(4)]
    assert left == [2, 2, 1, 0]
    clock.advance(400 * DAY)
    look(store, pruned.prune, recorded_before=clock.at, keys_before=clock.at)
    assert look(store, pruned.counted, [("anthropic", f"e{n}") for n in range(5)]) == {}


EVENTS = st.lists(
    st.builds(
        lambda key, tokens, hour, team, run: a_usage_event(
            tokens, key=key, at=MONDAY - hour * HOUR, team=team, run=run
        ),
        st.sampled_from("abcd"),
        st.integers(0, 99),
        st.integers(0, 3),
        st.sampled_from(["", "x"]),
        st.sampled_from(["", "r"]),
    ),
    max_size=10,
)


@settings(max_examples=20)
@given(EVENTS)
def test_sums_are_what_the_events_add_up_to(tmp_path_factory, events):
    known = {}
    with Store(tmp_path_factory.mktemp("ledger") / "quota.db", clock=FixedClock(MONDAY)) as store:
        for event in events:
            apply(store, (known.get(event.key), event))
            known[event.key] = event
        rolled = total(usage for _, _, usage in look(store, ledger.hours, MONDAY - DAY))
        kept = total(usage for _, _, usage, _ in look(store, ledger.totals))
        runs = total(look(store, ledger.run_usage, ["r"]).values())
    assert rolled == kept == total(event.usage for event in known.values())
    assert runs == total(event.usage for event in known.values() if event.run)
