"""What may be changed while the service runs, and what lies on top of the file."""

import pytest

from quota_scheduler.core.limits.changes import LimitChange, changed, effective, holding, one_by_one
from quota_scheduler.core.limits.limit import AtLimit, Holdback, Mode, Policy
from tests.builders import HOUR, MONDAY, a_concurrency_limit, a_limit

LIMIT = a_limit(100)
MEMBER = a_limit(100, parent="pool")
PER_TEAM = a_limit(100, per="team", overrides=(("sales", 20),))

WARNS = a_limit(100, per="team", warn_at=(("", 800),))


@pytest.mark.parametrize(
    ("limit", "field", "value", "after"),
    [
        pytest.param(LIMIT, "amount", "2k", {"amount": 2000}, id="an amount as people write it"),
        pytest.param(LIMIT, "holdback", "10%", {"holdback": Holdback(per_mille=100)}, id="a share held back"),
        pytest.param(LIMIT, "holdback", None, {"holdback": None}, id="the default holdback again"),
        pytest.param(MEMBER, "borrow", 30, {"borrow": 30}, id="a member of a pool may borrow more"),
        pytest.param(MEMBER, "lend", 5, {"lend": 5}, id="and lend"),
        pytest.param(PER_TEAM, "overrides", {"growth": 30}, {"overrides": (("growth", 30), ("sales", 20))},
                     id="overrides are added to"),
        pytest.param(PER_TEAM, "overrides.growth", 30, {"overrides": (("growth", 30), ("sales", 20))},
                     id="one of them by its name"),
        pytest.param(LIMIT, "warn_at", "70%", {"warn_at": (("", 700),)}, id="a threshold for all"),
        pytest.param(WARNS, "warn_at.growth", "90%", {"warn_at": (("", 800), ("growth", 900))},
                     id="one for a team, the others as before"),
        pytest.param(WARNS, "warn_at", {"default": "50%"}, {"warn_at": (("", 500),)}, id="the others by name"),
        pytest.param(LIMIT, "at_limit", "block", {"at_limit": (("", AtLimit.BLOCK),)}, id="what becomes of calls"),
        pytest.param(LIMIT, "mode", "warn", {"mode": Mode.WARN}, id="a mode"),
        pytest.param(LIMIT, "policy", "seed", {"policy": Policy.FIXED_THRESHOLDS}, id="a policy by its first name"),
    ],
)  # fmt: skip
def test_changed(limit, field, value, after):
    result = changed(limit, field, value)
    assert {name: getattr(result, name) for name in after} == after
    assert result.id == limit.id


@pytest.mark.parametrize(
    ("limit", "field", "value", "said"),
    [
        pytest.param(LIMIT, "window", "day", "only amount, holdback", id="what is counted is the file's"),
        pytest.param(LIMIT, "borrow", 1, "no member of a pool", id="nothing to borrow from"),
        pytest.param(LIMIT, "warn_at.sales", "80%", "day has none", id="no instances to warn apart"),
        pytest.param(LIMIT, "warn_at", "0%", "before anything is used", id="a warning about nothing"),
        pytest.param(LIMIT, "warn_at", "eighty", "not a share", id="a threshold that is none"),
        pytest.param(LIMIT, "at_limit", "stop", "none of fallback, block, go_on", id="an unknown way"),
        pytest.param(LIMIT, "mode", "loud", "none of enforce, warn, off", id="an unknown mode"),
        pytest.param(LIMIT, "overrides", {"a": 1}, "day has none", id="no instances to override"),
        pytest.param(a_limit(100, holdback=Holdback(amount=50)), "amount", 40, "more than the amount",
                     id="less than what is held back"),
        pytest.param(a_concurrency_limit(3), "holdback", "10%", "no effect", id="a holdback where nothing resets"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(limit, field, value, said):
    with pytest.raises(ValueError, match=said):
        changed(limit, field, value)


@pytest.mark.parametrize(
    ("changes", "amount"),
    [
        pytest.param([], 100, id="the file"),
        pytest.param([("day", "amount", 200, 0, None)], 200, id="a change that lasts"),
        pytest.param([("day", "amount", 300, 2, None), ("day", "amount", 200, 1, None)], 300, id="the newest wins"),
        pytest.param([("day", "amount", 200, 0, 4)], 200, id="until it expires"),
        pytest.param([("day", "amount", 200, 0, 3)], 100, id="at that instant it is gone"),
        pytest.param([("gone", "amount", 200, 0, None)], 100, id="a limit that is no longer there"),
        pytest.param([("day", "amount", -1, 0, None)], 100, id="a value that no longer fits is passed over"),
    ],
)
def test_effective(changes, amount):
    stored = [
        LimitChange(rule, field, value, "ann", MONDAY + after * HOUR, MONDAY + until * HOUR if until else None)
        for rule, field, value, after, until in changes
    ]
    assert [limit.amount for limit in effective([LIMIT], stored, now=MONDAY + 3 * HOUR)] == [amount]


@pytest.mark.parametrize(
    ("ends", "over"),
    [
        pytest.param([], {-1: False, 0: False, 9: False}, id="no change ever expires"),
        pytest.param([2], {0: False, 1: False, 2: True}, id="until a change expires"),
        pytest.param([3, 2], {1: False, 2: True}, id="the earliest of several"),
        pytest.param([-1], {0: False, -2: True}, id="one that had expired lasts again, the clock put back"),
    ],
)
def test_how_long_limits_hold(ends, over):
    changes = [LimitChange("day", "amount", 5, "ada", MONDAY, MONDAY + end * HOUR) for end in ends]
    hold = holding((a_limit(),), [*changes, LimitChange("day", "mode", "warn", "ada", MONDAY)], now=MONDAY)
    assert {hours: hold.is_over(MONDAY + hours * HOUR) for hours in over} == over


def test_values_of_a_field_are_changes_of_their_own():
    assert one_by_one({"amount": 5, "overrides": {"sales": 25, "growth": None}, "warn_at": "80%"}) == {
        "amount": 5, "overrides.sales": 25, "overrides.growth": None, "warn_at": "80%",
    }  # fmt: skip
