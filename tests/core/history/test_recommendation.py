"""What a team's day should be given."""

import pytest

from quota_scheduler.core.history.recommendation import Recommendation, recommended


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        pytest.param([], None, id="without a day nobody can say"),
        pytest.param([4.0], Recommendation(4.0, 1), id="one day stands for itself"),
        pytest.param([*range(1, 11)], Recommendation(9, 10), id="one day of ten may lie above"),
        pytest.param([5.0] * 26 + [90.0] * 3 + [7.0], Recommendation(7.0, 30), id="three of thirty may"),
        pytest.param([0.0] * 28 + [10.0, 10.0], Recommendation(0.0, 30), id="idle days are days"),
    ],
)
def test_the_amount_that_nine_of_ten_days_keep_to(used, expected):
    assert recommended(used) == expected
