"""What a fallen cache hit rate takes more out of each limit, at prices that can be checked by hand."""

from datetime import datetime

import pytest
from msgspec.structs import replace

from quota_scheduler.core.efficiency.cache import CacheReading
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.pricing import Priced
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.cache_loss import with_losses
from quota_scheduler.core.units import PICO, Unit
from quota_scheduler.core.usage import Usage
from tests.builders import MONDAY, a_limit, some_balances

RATES = {"large": (1_000, 100, 1_250), "small": (100, 10, 125)}
"""Micro-dollars of fresh input, cache reads and cache writes, by model."""
SETS = {
    1: (Labels("p", model="large", workflow="nightly"), Priority.NORMAL),
    2: (Labels("p", model="small", workflow="nightly"), Priority.NORMAL),
    3: (Labels("p", model="large", workflow="docs"), Priority.NORMAL),
}
DOLLARS = a_limit(10**12, id="dollars", match=(), unit=Unit.USD)
TOKENS = a_limit(10**12, id="tokens", match=())
FRESH_ONLY = a_limit(10**12, id="fresh", match=(), weights=(1000, 0, 1000, 1000, 1000))


def price(labels: Labels, usage: Usage, _at: datetime) -> Priced:
    fresh, read, write = RATES[labels.model]
    return Priced((usage.input * fresh + usage.cache_read * read + usage.cache_write_5m * write) * PICO, False)


def lost(cache: CacheReading, *lookback: tuple[int, Usage]) -> dict[str, int]:
    book = some_balances(DOLLARS, TOKENS, FRESH_ONLY)
    (judged,) = with_losses([cache], lookback, SETS, book.instances, price, MONDAY)
    assert replace(judged, lost=()) == cache
    return dict(judged.lost)


NIGHTLY = CacheReading("nightly", "p", hit_rate=0.5, baseline=0.9, input_tokens=1_000)


@pytest.mark.parametrize(
    ("cache", "lookback", "expected"),
    [
        pytest.param(NIGHTLY, [(1, Usage(input=500, cache_read=500))],
                     {"dollars": 400 * 900, "tokens": 0, "fresh": 400},
                     id="400 tokens fresh that were read before: nine tenths of their price"),
        pytest.param(NIGHTLY, [(1, Usage(cache_write_5m=500, cache_read=500))],
                     {"dollars": 400 * 1_150, "tokens": 0, "fresh": 400}, id="written anew, at the price of a write"),
        pytest.param(NIGHTLY, [(1, Usage(input=250, cache_read=250)), (2, Usage(input=250, cache_read=250))],
                     {"dollars": 200 * 900 + 200 * 90, "tokens": 0, "fresh": 400},
                     id="two models share it by what they did not read"),
        pytest.param(NIGHTLY, [(1, Usage(input=500, cache_read=500)), (3, Usage(input=500))],
                     {"dollars": 400 * 900, "tokens": 0, "fresh": 400}, id="another workflow has no part in it"),
        pytest.param(replace(NIGHTLY, hit_rate=0.95), [(1, Usage(input=50, cache_read=950))], {},
                     id="a rate that has not fallen has lost nothing"),
        pytest.param(replace(NIGHTLY, baseline=None), [(1, Usage(input=500, cache_read=500))], {},
                     id="without a baseline nothing is known"),
        pytest.param(NIGHTLY, [], {}, id="no usage at all"),
    ],
)  # fmt: skip
def test_what_a_drop_takes(cache, lookback, expected):
    assert lost(cache, *lookback) == expected
