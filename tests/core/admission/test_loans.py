"""Who owes whom within a pool, told in tables."""

import pytest

from quota_scheduler.core.admission.loans import Member, owed


def member(name: str, used: int, *, borrow: int = 5, lend: int | None = None) -> Member:
    return Member(name, 10, used, borrow, lend)


@pytest.mark.parametrize(
    ("amount", "members", "before", "expected"),
    [
        pytest.param(20, [member("a", 10), member("b", 3)], {}, {}, id="within their amounts nobody owes"),
        pytest.param(20, [member("a", 13), member("b", 3)], {}, {("b", "a"): 3}, id="what goes beyond is lent"),
        pytest.param(22, [member("a", 13), member("b", 3)], {}, {("pool", "a"): 2, ("b", "a"): 1},
                     id="what belongs to nobody is lent first"),
        pytest.param(30, [member("a", 14), member("b", 8), member("c", 1)], {}, {("c", "a"): 4},
                     id="who has most room lends"),
        pytest.param(30, [member("a", 14), member("b", 8), member("c", 1, lend=3)], {}, {("c", "a"): 3, ("b", "a"): 1},
                     id="nobody lends more than it says"),
        pytest.param(30, [member("a", 12), member("b", 5), member("c", 1)], {("b", "a"): 2}, {("b", "a"): 2},
                     id="who lends goes on lending"),
        pytest.param(30, [member("a", 13), member("b", 5), member("c", 1)], {("b", "a"): 2},
                     {("b", "a"): 2, ("c", "a"): 1}, id="what comes on top is lent by who has most"),
        pytest.param(30, [member("a", 12), member("b", 9), member("c", 1)], {("b", "a"): 2},
                     {("b", "a"): 1, ("c", "a"): 1}, id="a lender that needs its own passes the loan on"),
        pytest.param(20, [member("a", 12), member("b", 10)], {("b", "a"): 2}, {("b", "a"): 2},
                     id="where nobody has room it is owed to who gave it"),
        pytest.param(20, [member("a", 19), member("b", 0)], {}, {("b", "a"): 5},
                     id="what goes beyond what may be borrowed is no loan"),
        pytest.param(20, [member("a", 13, borrow=0), member("b", 0)], {}, {}, id="who may not borrow owes nothing"),
        pytest.param(20, [member("a", 9), member("b", 3)], {("b", "a"): 3}, {}, id="back within its amount it is paid"),
        pytest.param(30, [member("a", 12), member("b", 12), member("c", 7)], {}, {("c", "a"): 2, ("pool", "b"): 1,
                     ("c", "b"): 1}, id="two borrowers share one lender"),
    ],
)  # fmt: skip
def test_who_owes_whom(amount, members, before, expected):
    assert owed("pool", amount, members, before) == expected
