"""Caches and runs as samples, with what they took of the limit concerned."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.alerts.work_samples import NO_WORKFLOW, cache_sample, run_samples
from quota_scheduler.core.efficiency.cache import CacheReading
from quota_scheduler.core.readings.in_time import by_name
from tests.core.alerts.test_samples import NOW, a_limit, a_run

LIMITS = by_name([a_limit(used=400_000)])
CACHE = CacheReading("nightly", "anthropic", 0.6, 0.95, 2_000_000, ("model opus",), (("max-weekly", 50_000),))
TAKEN = {
    "of_limit": "max-weekly", "of_unit": "tokens", "of_period": "week", "of_window_seconds": 7 * 86_400.0,
    "taken": 50_000, "taken_share": 0.05, "taken_seconds": 6 * 3_600.0,
}  # fmt: skip


def test_a_cache_says_what_its_fall_took():
    sample = cache_sample(CACHE, LIMITS, NOW)
    assert sample.facts == {
        "workflow": "nightly", "provider": "anthropic", "hit_rate": 0.6, "baseline": 0.95, "input_tokens": 2_000_000,
        "changed": "model opus", **TAKEN,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reading", "scope"),
    [
        pytest.param({}, "cache_hit_rate", "nightly", id="with a baseline"),
        pytest.param({"baseline": None}, "cache_hit_rate_alone", "nightly", id="without one"),
        pytest.param({"workflow": ""}, "cache_hit_rate", NO_WORKFLOW, id="work that names no workflow"),
    ],
)
def test_a_cache_is_judged_by_its_baseline(changes, reading, scope):
    sample = cache_sample(replace(CACHE, **changes), LIMITS, NOW)
    assert (sample.reading, sample.scope, sample.size) == (reading, scope, 2_000_000.0)


def test_a_run_that_nobody_asked_for_has_no_team():
    assert [sample.facts["team"] for sample in run_samples(a_run(team="-"), LIMITS, NOW)] == ["", ""]


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        pytest.param({"charges": (("max-weekly", 50_000),)}, TAKEN, id="six hours of the week"),
        pytest.param({"charges": (("max-weekly", 50_000),), "started_at": NOW - timedelta(days=8)}, {"of_limit": ""},
                     id="a run that lasted longer than the window"),
        pytest.param({}, {"of_limit": ""}, id="a run that no limit counts"),
    ],
)  # fmt: skip
def test_a_run_says_what_it_took(changes, taken):
    tokens, over = run_samples(a_run(**changes), LIMITS, NOW)
    assert (tokens.reading, over.reading) == ("run_tokens", "run_over_cap")
    assert {name: value for name, value in tokens.facts.items() if name.startswith(("of_", "taken"))} == taken
