"""Headrooms: what a ticket finds in the limits that bind it, and that nobody else changes it under its hands."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.admission.headroom import Headrooms, in_pool
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.limits.limit import Holdback
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Estimate
from tests.builders import DAY, HOUR, MIDNIGHT, MONDAY, a_limit, a_session_limit, a_ticket, some_balances, some_usage

PEOPLE, HIGH, NORMAL, LOW = Priority
TODAY = Window(MIDNIGHT - DAY, MIDNIGHT)
ROOT = Path(__file__).parents[3]
POOL = a_limit(100, id="pool")
A = a_limit(40, id="a", match=match_of({"team": "a"}), parent="pool", borrow=30)
B = a_limit(80, id="b", match=match_of({"team": "b"}), parent="pool", lend=10)


def headrooms_of(*limits, catching_up=(), **used):
    rows = [Balance(n, limit, "", TODAY, used=used.get(limit.id, 0)) for n, limit in enumerate(limits, 1)]
    return Headrooms(some_balances(*limits, rows=rows), {}, catching_up=frozenset(catching_up))


def ceilings(views, priority=NORMAL):
    return {view.balance.name: view.ceiling(priority, MONDAY) for view in views}


@pytest.mark.parametrize(
    ("priority", "ceiling"),
    [
        pytest.param(PEOPLE, 100, id="people go to the amount"),
        pytest.param(HIGH, 90, id="automation keeps off the holdback"),
        pytest.param(LOW, 90, id="whatever its class"),
    ],
)
def test_where_a_class_stops(priority, ceiling):
    (view,) = headrooms_of(a_limit(100, holdback=Holdback(per_mille=100))).of(a_ticket())
    assert view.ceiling(priority, MONDAY) == ceiling


def test_a_view_that_is_kept_does_not_change_for_the_next_ticket():
    headrooms = headrooms_of(POOL, A, B, catching_up=["slow"], pool=50)
    first = headrooms.of(a_ticket(team="a", priority=PEOPLE))
    loans, waits = ceilings(first), [view.catching_up for view in first]
    headrooms.hold_back_for((HIGH.rank, ((LimitInstance(POOL, ""), 50),)))
    second = headrooms.of(a_ticket(team="a"))
    slow = headrooms.of(a_ticket(team="a", provider="slow"))
    assert (ceilings(first), [view.catching_up for view in first]) == (loans, waits) == (
        {"pool": 100, "a": 40}, [False, False]
    )  # fmt: skip
    assert [view.catching_up for view in slow] == [True, True]
    assert ceilings(second) == {"pool": 100, "a": 40}


def test_a_loan_is_that_of_the_moment_and_of_the_class():
    headrooms = headrooms_of(POOL, A, B, a=40, b=80, pool=50)
    borrower = a_ticket(team="a")
    before = headrooms.of(borrower)
    headrooms.balances.reserve(7, LimitInstance(POOL, ""), 30, running=True)
    assert ceilings(before)["a"] == 70
    assert ceilings(headrooms.of(borrower))["a"] == 60
    headrooms.hold_back_for((LOW.rank, ((LimitInstance(POOL, ""), 15),)))
    assert ceilings(headrooms.of(borrower))["a"] == 60
    assert ceilings(headrooms.of(a_ticket(team="a", priority=LOW)), LOW)["a"] == 45


AMOUNTS = st.integers(0, 100)


@given(amounts=st.tuples(AMOUNTS, AMOUNTS, AMOUNTS), used=st.tuples(AMOUNTS, AMOUNTS), borrow=AMOUNTS, lend=AMOUNTS)
def test_nothing_that_is_borrowed_comes_out_of_what_others_keep(amounts, used, borrow, lend):
    pool = a_limit(amounts[0] + amounts[1] + amounts[2], id="pool")
    borrower = replace(A, amount=amounts[0], borrow=borrow)
    lender = replace(B, amount=amounts[1], lend=lend)
    headrooms = headrooms_of(pool, borrower, lender, a=used[0], b=used[1], pool=sum(used))
    ceiling = ceilings(headrooms.of(a_ticket(team="a")))["a"]
    assert max(amounts[0], min(ceiling, used[0])) <= ceiling <= amounts[0] + borrow
    if ceiling > max(used[0], amounts[0]):
        left = pool.amount - used[1] - ceiling
        assert left >= max(0, amounts[1] - used[1] - lend), "when all of it is taken"


@pytest.mark.parametrize(
    ("used", "may_go_to"),
    [
        pytest.param({"a": 0, "b": 0}, 50, id="what it has left of its own is not lent to it again"),
        pytest.param({"a": 45, "b": 0}, 50, id="what it has borrowed already counts"),
        pytest.param({"a": 0, "b": 75}, 45, id="a lender keeps no more than it has"),
        pytest.param({"a": 0, "b": 80}, 40, id="who has used all lends nothing"),
    ],
)
def test_the_example_of_the_docs(used, may_go_to):
    pool = replace(POOL, amount=120)
    ceiling = ceilings(headrooms_of(pool, A, B, **used, pool=sum(used.values())).of(a_ticket(team="a")))["a"]
    page = (ROOT / "docs/explanation/admission.md").read_text(encoding="utf-8")
    assert ceiling == may_go_to
    (row,) = [line for line in page.splitlines() if line.startswith(f"| {used['a']} | {used['b']} |")]
    assert row.endswith(f"= {ceiling} |")


@pytest.mark.parametrize(
    ("spent", "loan"),
    [
        pytest.param({"a": 10}, 0, id="who has room of its own is asked for no loan"),
        pytest.param({"a": 50}, 30, id="who has spent its own may borrow"),
        pytest.param(
            {"a": 50, "pool": 20}, 20, id="no more than it owes, and the pool has left and the others do not keep"
        ),
    ],
)
def test_a_level_counts_what_may_be_borrowed(spent, loan):
    headrooms = headrooms_of(POOL, A, B, **spent)
    assert headrooms.with_loan(headrooms.headroom(LimitInstance(A, ""))).loan == loan


def test_a_member_that_borrows_bit_by_bit_gets_all_that_is_free():
    borrower = a_limit(40, id="a", match=match_of({"team": "a"}), parent="pool", borrow=60)
    lender = a_limit(60, id="b", match=match_of({"team": "b"}), parent="pool")
    used = {n: headrooms_of(POOL, borrower, lender, a=n, pool=n) for n in (40, 70, 90, 100)}
    assert {n: ceilings(headrooms.of(a_ticket(team="a")))["a"] for n, headrooms in used.items()} == dict.fromkeys(
        used, 100
    )


def test_a_reservation_shrinks_what_an_earlier_view_shows():
    headrooms = headrooms_of(a_limit())
    (view,) = headrooms.of(a_ticket())
    headrooms.balances.reserve(1, view.instance, 30, running=True)
    assert view.committed(NORMAL) == 30


def test_a_session_that_begins_is_found_by_the_next_ticket():
    headrooms = Headrooms(some_balances(a_session_limit()), {})
    (before,) = headrooms.of(a_ticket())
    headrooms.balances.reserve(1, before.instance, 30, running=True)
    (after,) = headrooms.of(a_ticket())
    assert (before.is_stale, before.committed(NORMAL), after.committed(NORMAL)) == (True, 0, 30)


@pytest.mark.parametrize(
    ("hours", "usable"),
    [
        pytest.param(None, 40, id="of unknown length: all of it"),
        pytest.param(1, 40, id="within the window: all of it"),
        pytest.param(4, 10, id="a quarter of it before the reset"),
    ],
)
def test_what_a_run_can_use_before_the_reset(hours, usable):
    (view,) = headrooms_of(a_limit()).of(a_ticket(estimate=Estimate(some_usage(40), some_usage(40))))
    duration = None if hours is None else timedelta(hours=hours)
    assert view.usable(40, duration, MIDNIGHT - HOUR) == usable


@pytest.mark.parametrize(
    ("member", "belongs"),
    [
        pytest.param(LimitInstance(a_limit(match=match_of({"team": "a"})), ""), True, id="one of its teams"),
        pytest.param(LimitInstance(a_limit(match=match_of({"team": "c"})), ""), False, id="another team"),
        pytest.param(LimitInstance(a_limit(), ""), False, id="everybody"),
        pytest.param(LimitInstance(a_limit(per="team"), "b"), True, id="an instance of one of its teams"),
        pytest.param(LimitInstance(a_limit(per="team"), "c"), False, id="an instance of another"),
    ],
)
def test_who_belongs_to_a_pool(member, belongs):
    assert in_pool(member, a_limit(id="pool", match=match_of({"team": ["a", "b"]}))) is belongs


def test_B2_a_limit_on_a_model_is_a_member_of_the_pool_of_its_family():
    pool = a_limit(id="pool", match=match_of({"model": "claude-*"}))
    opus, gpt = (a_limit(id="m", parent="pool", match=match_of({"model": m})) for m in ("claude-opus-*", "gpt-5.5"))
    assert [in_pool(LimitInstance(limit, ""), pool) for limit in (opus, gpt)] == [True, False]
