"""How far two clocks are apart, from questions and answers."""

from datetime import timedelta

import pytest

from quota_scheduler.shipping.clocks import ClockDifference
from tests.builders import MONDAY


def measured(*answers: tuple[float, float, float]) -> list[float]:
    """What is added after each answer: (sent at, the difference there, the way there and back), in seconds."""
    difference, values = ClockDifference(), []
    for sent_at, ahead, trip in answers:
        sent = MONDAY + timedelta(seconds=sent_at)
        theirs = sent + timedelta(seconds=ahead + trip / 2)
        difference.answered(sent=sent, theirs=theirs, received=sent + timedelta(seconds=trip))
        values.append(difference.value.total_seconds())
    return values


@pytest.mark.parametrize(
    ("answers", "values"),
    [
        pytest.param([(0, 0, 0.1), (5, 0.4, 0.1)], [0, 0], id="clocks that somebody keeps are left alone"),
        pytest.param([(0, 90, 0.1), (5, 90.3, 0.1)], [90, 90], id="a minute and a half ahead"),
        pytest.param([(0, -3600, 0.1)], [-3600], id="an hour behind"),
        pytest.param([(0, 1.9, 0.1), (5, 2.1, 0.1)], [0, 0], id="about two seconds stay as they are"),
        pytest.param([(0, 10, 0.2), (5, 11.5, 0.2)], [10, 10], id="what wanders by a second moves nothing"),
        pytest.param([(0, 10, 0.2), (5, 10, 40)], [10, 10], id="the quickest answer is believed"),
        pytest.param([(0, 0, 0.1), (5, 600, 0.1)], [0, 600], id="a clock that is set is noticed at once"),
        pytest.param([(0, 600, 0.1), (5, 0, 0.1)], [600, 0], id="and back"),
        pytest.param([(0, 5, 30)], [0], id="a slow answer proves less than its own way"),
        pytest.param([(0, 60, 0.1), (5, 60, -1)], [60, 60], id="an answer from before its question is none"),
    ],
)
def test_the_difference(answers, values):
    assert measured(*answers) == values
