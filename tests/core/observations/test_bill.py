"""Lines of providers' reports."""

from datetime import timedelta

import pytest

from quota_scheduler.core.observations.bill import BillLine, Report, added_up
from quota_scheduler.core.usage import Usage
from tests.builders import HOUR, MONDAY


def a_line(tokens: int = 10, **changes: object) -> BillLine:
    fields = {"provider": "openai", "account": "org", "report": Report.USAGE, "starts_at": MONDAY,
              "ends_at": MONDAY + HOUR, "model": "gpt-5.5", "group": ""}  # fmt: skip
    return BillLine(usage=Usage(output=tokens), **(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "sums"),
    [
        pytest.param([a_line(1), a_line(2)], [a_line(3)], id="split by more than is kept"),
        pytest.param([a_line(1), a_line(2, group="p")], [a_line(1), a_line(2, group="p")], id="two projects"),
        pytest.param(
            [a_line(1), a_line(2, report=Report.COST)], [a_line(1), a_line(2, report=Report.COST)],
            id="tokens and cost are never added",
        ),
        pytest.param([], [], id="nothing"),
    ],
)  # fmt: skip
def test_lines_that_say_the_same_of_themselves_are_added_up(lines, sums):
    assert added_up(lines) == sums


@pytest.mark.parametrize("length", [timedelta(0), -HOUR])
def test_a_bucket_has_a_length(length):
    with pytest.raises(ValueError, match="ends before it begins"):
        a_line(ends_at=MONDAY + length)
