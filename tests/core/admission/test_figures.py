"""The figures of a verdict, in words and as a document."""

import pytest

from quota_scheduler.core.admission.figures import Figures
from quota_scheduler.core.units import MICRO, Unit

DOLLARS = Figures(Unit.USD, asked=9 * MICRO, used=MICRO // 2, reserved=9 * MICRO, ceiling=10 * MICRO, amount=10 * MICRO)


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        pytest.param(DOLLARS, "asks for $9.00; $0.50 used and $9.00 reserved of $10.00", id="used and reserved"),
        pytest.param(
            Figures(Unit.TOKENS, 50_000, 20_000, 0, 90_000, 100_000),
            "asks for 50k tokens; 20k tokens used of 100k tokens, 10k tokens of it (10%) held back for people",
            id="with the configured percent",
        ),
        pytest.param(
            Figures(Unit.TOKENS, 500, 0, 0, 150, 100),
            "asks for 500 tokens; 0 tokens used of 100 tokens, 50 tokens more to borrow",
            id="what may be borrowed",
        ),
        pytest.param(
            Figures(Unit.TOKENS, 5_000_001, 0, 0, 5_000_000, 5_000_000),
            "asks for 5,000,001 tokens; 0 tokens used of 5,000,000 tokens",
            id="M16: 5M of 5M is no reason",
        ),
        pytest.param(Figures(Unit.LEASES, 1, 0, 2, 2, 2), "2 of 2", id="leases are in use"),
        pytest.param(
            Figures(Unit.TOKENS, 200, 10, 0, 100, 100, a_run=True),
            "asks for 200 tokens; 10 tokens used of 100 tokens a run",
            id="a run",
        ),
    ],
)
def test_sentence(figures, sentence):
    assert figures.sentence() == sentence


def test_a_document_is_in_units():
    assert DOLLARS.document() == {"asked": 9.0, "used": 0.5, "reserved": 9.0, "ceiling": 10.0, "amount": 10.0}


@pytest.mark.parametrize(("asked", "room"), [(50, True), (51, False)])
def test_room(asked, room):
    assert Figures(Unit.TOKENS, asked, 20, 30, 100, 100).has_room is room
