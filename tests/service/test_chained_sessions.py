"""Sessions known to lie where uses say: a start that trusts them leaves the same windows as one that looks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quota_scheduler.core.labels import match_of
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.service import chained_sessions
from quota_scheduler.service.operate.limits import apply_limits
from quota_scheduler.service.rebuild import rebuild, rebuild_sessions
from quota_scheduler.service.record import correct, record_usage
from tests.builders import DAY, HOUR, MINUTE, MONDAY, a_limit, a_session_limit, a_usage_event
from tests.service.world import World

LIMITS = (
    a_limit(10_000),
    a_limit(10_000, id="team", per="team"),
    a_session_limit(10_000),
    a_session_limit(10_000, id="teams", per="team"),
    a_limit(10_000, id="agents", per="agent", match=match_of({"team": "growth"})),
)


def in_transaction(world, work):
    with world.store.transaction() as tx:
        return work(tx)


def started(world, limits=LIMITS):
    in_transaction(world, lambda tx: apply_limits(tx, limits, starting=True))


def is_sure(world, limits=LIMITS):
    return in_transaction(world, lambda tx: chained_sessions.hold(tx, limits))


def history(world, *events):
    in_transaction(world, lambda tx: record_usage(tx, events, world.limits, history=True))


def corrected(world, event):
    dearer = event.costing(7, estimated=False)
    in_transaction(world, lambda tx: correct(tx, [Change(event, dearer)], world.limits))


@pytest.mark.parametrize(
    ("what_happens", "sure"),
    [
        pytest.param(lambda *_: None, True, id="nothing since the start"),
        pytest.param(lambda here, _: here.record(a_usage_event(5, key="e2")), True, id="live use: it looks for them"),
        pytest.param(lambda here, _: history(here, a_usage_event(5, key="e2")), False, id="history does not"),
        pytest.param(lambda here, event: corrected(here, event), False, id="nor does a corrected cost"),
        pytest.param(
            lambda here, _: (history(here, a_usage_event(5, key="e2")), in_transaction(
                here, lambda tx: rebuild_sessions(tx, LIMITS))),
            True, id="history, and a first pass that ends",
        ),
        pytest.param(
            lambda here, _: (history(here, a_usage_event(5, key="e2", at=MONDAY + HOUR)), started(here)),
            False, id="a use that lies ahead will open a session by itself",
            marks=pytest.mark.spoils_sums,
        ),
        pytest.param(
            lambda here, _: in_transaction(here, lambda tx: apply_limits(tx, LIMITS[:3])),
            False, id="other limits counted meanwhile",
        ),
        pytest.param(
            lambda here, _: (here.clock.advance(DAY), here.record(a_usage_event(5, key="e2", at=MONDAY + DAY)),
                             here.clock.advance(-DAY)),
            False, id="a clock that stood ahead opened one",
        ),
    ],
)  # fmt: skip
def test_whether_they_are_sure(world, what_happens, sure):
    here = world(*LIMITS)
    event = a_usage_event(5)
    here.record(event)
    started(here)
    what_happens(here, event)
    assert is_sure(here) is sure


def shown(here):
    sql = "SELECT rule, value, starts_at, ends_at, used, rest, closed FROM windows WHERE used > 0 ORDER BY 1, 2, 3"
    return in_transaction(here, lambda tx: tx.rows(sql))


USES = st.lists(
    st.tuples(st.integers(-12 * 24 * 60, 0), st.sampled_from(["growth", "sales"]), st.sampled_from(["", "one"]),
              st.integers(0, 9), st.booleans()),
    max_size=8,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(USES, st.integers(0, 40))
def test_a_start_that_trusts_leaves_what_one_that_looks_leaves(tmp_path_factory, uses, later):
    here = World(tmp_path_factory.mktemp("world"), *LIMITS)
    started(here)
    for number, (minutes, team, agent, tokens, is_history) in enumerate(uses):
        at = MONDAY + minutes * MINUTE
        event = a_usage_event(tokens, key=f"e{number}", at=at, team=team, agent=agent)
        history(here, event) if is_history else here.record(event)
    here.clock.advance(later * HOUR)
    started(here)
    trusted = shown(here)
    in_transaction(here, lambda tx: rebuild(tx, LIMITS))
    looked_at = shown(here)
    here.store.close()
    assert trusted == looked_at
