"""What was used over all windows, as counters, and what of it has no price."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.consumption import Consumption, SetApart, unpriced_models
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Extent, Usage
from tests.builders import a_limit, some_labels

SONNET = some_labels(provider="anthropic", model="claude-sonnet-5")
DATED = SONNET._replace(model="claude-sonnet-5-20260101")
TEAM = a_limit(id="team", per="team")
DAY = LimitInstance(a_limit(id="day"), "")


def a_total(labels=SONNET, **usage):
    return labels, Usage(**usage)


def numbered(totals):
    """Totals by label set, and the sets."""
    return {n: usage for n, (_, usage) in enumerate(totals, 1)}, {
        n: (labels, Priority.NORMAL) for n, (labels, _) in enumerate(totals, 1)
    }


def shown(counters):
    return {(counter.name, *counter.labels): counter.value for counter in counters if counter.value}


def counted(totals, backfilled, apart=()):
    by_set, sets = numbered(totals)
    return shown(Consumption().counters(by_set, backfilled, apart, sets=sets, bind=lambda _: [DAY]))


@pytest.mark.parametrize(
    ("totals", "backfilled", "figures"),
    [
        pytest.param([], {}, {}, id="nothing was used"),
        pytest.param(
            [a_total(output=7), a_total(DATED, output=2)],
            {},
            {
                ("quota_recorded_tokens_total", "anthropic", "claude-sonnet-5", "output"): 9,
                ("quota_consumed_tokens_total", "day", "anthropic", "claude-sonnet-5", "output"): 9,
            },
            id="two spellings of a model are one, with and without the limit",
        ),
        pytest.param(
            [a_total(output=7)],
            {1: Usage(output=5)},
            {
                ("quota_backfilled_tokens_total", "anthropic"): 5,
                ("quota_recorded_tokens_total", "anthropic", "claude-sonnet-5", "output"): 2,
                ("quota_consumed_tokens_total", "day", "anthropic", "claude-sonnet-5", "output"): 2,
            },
            id="what was backfilled is counted apart",
        ),
    ],
)
def test_what_was_consumed(totals, backfilled, figures):
    assert counted(totals, backfilled) == figures


UNPRICED = a_total(output=7, unpriced_tokens=7)
DOLLARS = a_limit(unit=Unit.USD)


@pytest.mark.parametrize(
    ("totals", "limits", "models"),
    [
        pytest.param([UNPRICED], [DOLLARS], {"anthropic/claude-sonnet-5": 7}, id="where a limit counts dollars"),
        pytest.param([UNPRICED], [a_limit()], {}, id="elsewhere nobody needs a price"),
        pytest.param([a_total(output=7)], [DOLLARS], {}, id="it has one"),
        pytest.param(
            [a_total(SONNET._replace(model=""), output=7, unpriced_tokens=7)], [DOLLARS], {}, id="it names no model"
        ),
    ],
)
def test_what_has_no_price(totals, limits, models):
    assert unpriced_models(*numbered(totals), limits) == models


def set_apart(extent, *, answers=1, origin="claude_code", is_backfill=False, **usage):
    return SetApart(1, extent, origin, is_backfill, answers, Usage(**usage))


@pytest.mark.parametrize(
    ("apart", "figures"),
    [
        pytest.param(
            [set_apart(Extent.UNLISTED, output=3)],
            {
                ("quota_recorded_tokens_total", "anthropic", "claude-sonnet-5", "output"): 6,
                ("quota_unlisted_tokens_total", "anthropic", "claude-sonnet-5", "output"): 3,
                ("quota_consumed_tokens_total", "day", "anthropic", "claude-sonnet-5", "output"): 9,
            },
            id="what no call lists counts in limits, and apart from the calls",
        ),
        pytest.param(
            [set_apart(Extent.UNLISTED, output=3, is_backfill=True)],
            {
                ("quota_recorded_tokens_total", "anthropic", "claude-sonnet-5", "output"): 9,
                ("quota_consumed_tokens_total", "day", "anthropic", "claude-sonnet-5", "output"): 9,
            },
            id="less what was backfilled, which is in neither",
        ),
        pytest.param(
            [set_apart(Extent.PARTIAL, answers=2, output=2), set_apart(Extent.PARTIAL, origin="claude_code@b")],
            {
                ("quota_recorded_tokens_total", "anthropic", "claude-sonnet-5", "output"): 9,
                ("quota_consumed_tokens_total", "day", "anthropic", "claude-sonnet-5", "output"): 9,
                ("quota_partial_answers_total", "claude_code"): 3,
            },
            id="interrupted answers are calls, and counted by source",
        ),
    ],
)
def test_what_is_no_whole_call(apart, figures):
    assert counted([a_total(output=9)], {}, apart) == figures


SETS = {
    n: (SONNET._replace(team=team, model=model), Priority.NORMAL)
    for n, (team, model) in enumerate([("a", "m1"), ("b", "m1"), ("a", "m2"), ("", "m2")], 1)
}
AMOUNTS = st.builds(Usage, *[st.integers(0, 9)] * 9)
BY_SET = st.dictionaries(st.sampled_from(sorted(SETS)), AMOUNTS)
PARTS = st.lists(
    st.builds(SetApart, st.sampled_from(sorted(SETS)), st.just(Extent.UNLISTED), st.just("x"), st.booleans(),
              st.just(1), AMOUNTS), max_size=3,
)  # fmt: skip


@given(st.lists(st.tuples(BY_SET, BY_SET, PARTS), min_size=1, max_size=5))
def test_kept_up_from_look_to_look_it_is_what_one_look_sees(looks):
    kept, seen = Consumption(), set()
    for totals, late, apart in looks:
        seen |= totals.keys()
        whole = {n: totals.get(n, Usage()) for n in seen}  # a set that was counted once stays
        apart = [one for one in apart if one.label_set in seen]
        late = {n: usage for n, usage in late.items() if n in seen}
        asked = {"sets": SETS, "bind": lambda labels: [LimitInstance(TEAM, labels.team)] if labels.team else []}
        assert kept.counters(whole, late, apart, **asked) == Consumption().counters(whole, late, apart, **asked)
