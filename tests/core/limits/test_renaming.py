"""Which limits only have another name."""

import pytest
from msgspec.structs import replace

from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.limits.renaming import renamed_among, shape_of
from tests.builders import MONTHLY, a_limit

OLD = a_limit(100, id="old")
OTHER = a_limit(200, id="other")


@pytest.mark.parametrize(
    ("stored", "limits", "pairs"),
    [
        pytest.param([OLD], [replace(OLD, id="new")], {"old": "new"}, id="one went, one came"),
        pytest.param([OLD], [OLD], {}, id="it is still there"),
        pytest.param([OLD], [OLD, replace(OLD, id="new")], {}, id="one came beside it"),
        pytest.param([OLD], [replace(OLD, id="new", schedule=MONTHLY)], {}, id="the new one counts otherwise"),
        pytest.param(
            [OLD, OTHER],
            [replace(OTHER, id="b"), replace(OLD, id="a")],
            {"old": "a", "other": "b"},
            id="of two alike the amount of the last window tells",
        ),
        pytest.param(
            [OLD, OTHER], [replace(OLD, id="a"), replace(OLD, id="b")], {}, id="what stays in doubt is no renaming"
        ),
    ],
)
def test_what_was_renamed(stored, limits, pairs):
    amounts = {limit.id: limit.amount for limit in stored}
    before, now = ({limit.id: str(shape_of(limit)) for limit in some} for some in (stored, limits))
    assert renamed_among(before, limits, now, amounts.get) == pairs


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"amount": 7}, True, id="another amount goes on in the same window"),
        pytest.param({"mode": Mode.WARN}, True, id="a limit that only warns counts the same"),
        pytest.param({"mode": Mode.OFF}, False, id="one that is off counts nothing"),
        pytest.param({"match": match_of({"team": "growth"})}, False, id="another match"),
        pytest.param({"per": "team"}, False, id="instances"),
        pytest.param({"schedule": MONTHLY}, False, id="another window"),
    ],
)
def test_what_ends_the_window_of_a_limit(change, same):
    assert (shape_of(replace(OLD, **change)) == shape_of(OLD)) is same
