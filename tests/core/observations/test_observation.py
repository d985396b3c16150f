"""What a provider said, as a value."""

from datetime import UTC, datetime

import pytest

from quota_scheduler.core.observations.observation import Observation, ProviderWindow

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("observed_at", "resets_at"),
    [
        pytest.param(NOON.replace(tzinfo=None), NOON, id="observed at a time without a zone"),
        pytest.param(NOON, NOON.replace(tzinfo=None), id="a reset without a zone"),
    ],
)
def test_an_observation_knows_its_instants(observed_at, resets_at):
    with pytest.raises(ValueError, match="an observation of anthropic/weekly has a time without a zone"):
        Observation("anthropic", "max-1", ProviderWindow.WEEKLY, observed_at, "people", 0.5, resets_at)
