"""What is shown of sources on other hosts."""

from datetime import timedelta

import pytest

from quota_scheduler.core.ledger.source_batch import ShippedSource
from quota_scheduler.core.readings.other_hosts import shipped_readings
from quota_scheduler.core.readings.readings import SourceReading
from tests.builders import DAY, MINUTE, MONDAY, SECOND


def a_source(**changes: object) -> ShippedSource:
    source = ShippedSource("build-7", "codex", MONDAY, 3 * SECOND, False, 1, 12, 900, 1_000, timedelta(0), "0.1.0")
    return source._replace(**changes)


@pytest.mark.parametrize(
    ("source", "after", "shown"),
    [
        pytest.param(
            a_source(), MINUTE, SourceReading("codex@build-7", False, 63.0, 1, 12, 900, 1_000),
            id="behind by its last look, and by the silence since",
        ),
        pytest.param(
            a_source(), -MINUTE, SourceReading("codex@build-7", False, 3.0, 1, 12, 900, 1_000),
            id="seen in a future that a wrong clock made up",
        ),
        pytest.param(a_source(files=0, errors=0), MINUTE, None, id="an agent that is not installed there"),
        pytest.param(a_source(), 2 * DAY + SECOND, None, id="a host that has been silent for days"),
    ],
)  # fmt: skip
def test_what_is_shown_of_another_host(source, after, shown):
    assert shipped_readings([source], MONDAY + after) == ([shown] if shown else [])
