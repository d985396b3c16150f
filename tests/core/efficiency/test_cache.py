"""Cache hit rates against their past, and what changed where they fell."""

from datetime import timedelta

import pytest

from quota_scheduler.core.efficiency.cache import CacheReading, DayUsage, cache_baseline, cache_readings, what_changed
from quota_scheduler.core.usage import Usage
from tests.core.efficiency.runs import SINCE, TODAY, day, run


@pytest.mark.parametrize(
    ("days", "baseline"),
    [
        pytest.param([day(n, 900_000 + n) for n in range(1, 15)], 0.9000075, id="median of fourteen days"),
        pytest.param([day(n, 900_000) for n in range(1, 7)], None, id="six days are too few"),
        pytest.param([day(n, 900_000) for n in range(1, 8)], 0.9, id="seven are enough"),
        pytest.param(
            [day(n, 900_000) for n in range(1, 8)] + [day(0, 0), day(15, 0)],
            0.9,
            id="neither today nor older days count",
        ),
        pytest.param(
            [day(n, 900_000) for n in range(1, 7)] + [day(7, 0, scale=20)], None, id="a day with little traffic is none"
        ),
        pytest.param(
            [day(n, hits) for n in range(1, 8) for hits in (800_000, 1_000_000)], 0.9, id="rows of a day are added up"
        ),
        pytest.param(
            [day(n, 900_000) for n in range(1, 11)] + [day(n, 0) for n in range(11, 15)],
            0.9,
            id="four broken days do not drag it down",
        ),
    ],
)
def test_cache_baseline(days: list[DayUsage], baseline: float | None) -> None:
    assert cache_baseline(days, before=TODAY) == pytest.approx(baseline)


def test_a_drop_is_read_with_what_changed() -> None:
    past = [day(n, 950_000) for n in range(0, 15)] + [day(n, 500_000, "docs") for n in range(1, 5)]
    recent = [day(0, 600_000), day(0, 500_000, "docs"), DayUsage("idle", TODAY, Usage(output=5), "anthropic")]
    yesterday = SINCE - timedelta(days=1)
    runs = [
        run(1, 1, "stable_prompts", last_at=yesterday, prompt_versions=("v1",)),
        run(2, 1, "batching", prompt_versions=("v1", "v2"), model="claude-opus-5"),
    ]
    changed = ("flag batching", "model claude-opus-5", "prompt version v2", "flag stable_prompts no longer set")
    readings = cache_readings(past, runs, lookback=recent, since=SINCE)
    assert readings == (
        CacheReading("docs", "anthropic", 0.5, None, 1_000_000),
        CacheReading("nightly", "anthropic", 0.6, 0.95, 1_000_000, changed),
    )


def test_without_a_past_nothing_has_changed() -> None:
    assert what_changed([run(1, 1, "batching")], since=SINCE) == ()
