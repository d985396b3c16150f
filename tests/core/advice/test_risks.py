"""What is advised of limits at risk: by band, with figures, and nothing where nothing is at risk."""

from datetime import UTC, datetime

import pytest

from quota_scheduler.core.advice.risks import ADVICE, AtRisk, at_risk
from quota_scheduler.core.units import Unit

RESET = datetime(2026, 11, 30, tzinfo=UTC)
HIGH = AtRisk("weekly", "high", Unit.TOKENS, 10_000_000, 8_500_000, 9_000_000, RESET, 0.7)


@pytest.mark.parametrize(
    ("limit", "texts"),
    [
        pytest.param(
            HIGH,
            ["weekly: its risk is high. Four of five forecasts end below 9M tokens of 10M tokens (90%) at the reset, "
             f"2026-11-30T00:00:00Z. {ADVICE['high']}"],
            id="high, and expected to fit",
        ),
        pytest.param(
            AtRisk("spend", "critical", Unit.USD, 10_000_000, 12_500_000, 15_000_000, RESET),
            ["spend: its risk is critical. Four of five forecasts end below $15.00 of $10.00 (150%) at the reset, "
             f"2026-11-30T00:00:00Z, $2.50 too much are expected. {ADVICE['critical']}"],
            id="critical, by how much",
        ),
        pytest.param(HIGH._replace(risk="low"), [], id="a low risk asks for nothing"),
        pytest.param(HIGH._replace(risk="unknown"), [], id="nor does one that is not known"),
        pytest.param(HIGH._replace(amount=0), [], id="a limit of nothing has no share"),
    ],
)  # fmt: skip
def test_what_is_advised(limit: AtRisk, texts: list[str]) -> None:
    assert [one.text for one in at_risk([limit])] == texts


def test_the_worst_comes_first() -> None:
    bands = ["medium", "low", "critical", "high"]
    advice = at_risk(HIGH._replace(limit=risk, risk=risk) for risk in bands)
    assert [one.subject for one in advice] == ["critical", "high", "medium"]
