"""The price table behind its adapter: exact where a price is known, an estimate and never nothing where it is not."""

import warnings
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random

import genai_prices
import pytest

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.pricing import OwnPrice, Priced
from quota_scheduler.core.usage import Usage
from quota_scheduler.price_catalog import Prices

NOV = datetime(2026, 11, 22, 12, tzinfo=UTC)
FEB = datetime(2026, 2, 22, 12, tzinfo=UTC)
ONE_EACH = Usage(10_000, 0, 0, 0, 10_000, 1)


@pytest.fixture(scope="module")
def prices():
    return Prices(
        {"house-model": OwnPrice(Decimal(1), Decimal(2)), "anthropic/claude-free": OwnPrice(Decimal(0), Decimal(0))}
    )


def published(provider, model, usage, at):
    """What genai-prices itself asks for a usage, in micro-dollars."""
    counts = genai_prices.Usage(
        input_tokens=usage.input_side,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write_5m + usage.cache_write_1h,
        cache_write_5m_tokens=usage.cache_write_5m,
        cache_write_1h_tokens=usage.cache_write_1h,
        output_tokens=usage.output,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        price = genai_prices.calc_price(counts, model, provider_id=provider, genai_request_timestamp=at)
    return int((price.total_price * 10**6).to_integral_value(ROUND_HALF_EVEN))


@pytest.mark.parametrize("at", [FEB, NOV, NOV.replace(hour=20), datetime(2025, 6, 1, tzinfo=UTC)], ids=str)
@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-opus-4-6"),
        ("anthropic", "claude-opus-5"),
        ("anthropic", "claude-sonnet-4-5-20250929"),
        ("anthropic", "claude-haiku-4-5-20251001"),
        ("anthropic", "claude-3-haiku-20240307"),
        ("openai", "gpt-5.5"),
        ("openai", "gpt-5.3-codex"),
        ("google", "gemini-2.5-pro"),
        ("deepseek", "deepseek-chat"),
        ("perplexity", "sonar"),
    ],
)
def test_every_cost_is_the_published_one_to_the_micro_dollar(prices, provider, model, at):
    rng = Random(f"{model}{at}")
    for size in (900, 50_000, 120_000, 900_000):
        usage = Usage(*(rng.randrange(size) for _ in range(5)), requests=1)
        assert prices.price(Labels(provider, model=model), usage, at) == Priced(
            published(provider, model, usage, at), False
        )


@pytest.mark.parametrize(
    ("provider", "model", "priced"),
    [
        pytest.param("anthropic", "claude-opus-5", Priced(300_000, False), id="an id as published"),
        pytest.param("anthropic", "claude-opus-5[1m]", Priced(300_000, False), id="a context suffix"),
        pytest.param("anthropic", "anthropic/claude-opus-5", Priced(300_000, False), id="a provider in front"),
        pytest.param(
            "anthropic",
            "us.anthropic.claude-opus-4-5-20251101-v1:0",
            Priced(300_000, False),
            id="a region and vendor in front",
        ),
        pytest.param(
            "my-gateway", "claude-opus-5", Priced(300_000, False), id="a known model behind an unknown provider"
        ),
        pytest.param("anthropic", "claude-opus-5-fast", Priced(600_000, False), id="fast mode has its own price"),
        pytest.param("x-ai", "grok-4-fast", Priced(7_000, False), id="a model whose name ends so is not fast mode"),
        pytest.param(
            "anthropic",
            "claude-opus-4-7-fast",
            Priced(900_000, True),
            id="fast mode without a known price is an estimate",
        ),
        pytest.param(
            "anthropic", "claude-99", Priced(900_000, True), id="an unknown model costs as the dearest of its provider"
        ),
        pytest.param("anthropic", "", Priced(900_000, True), id="no model at all"),
        pytest.param("my-gateway", "mystery", Priced(900_000, True), id="an unknown provider too is not free"),
        pytest.param("my-gateway", "house-model", Priced(30_000, False), id="the operator's own price"),
        pytest.param("anthropic", "Claude-Free", Priced(0, False), id="an own price of 0 is a price"),
    ],
)
def test_price(prices, provider, model, priced):
    assert prices.price(Labels(provider, model=model), ONE_EACH, NOV) == priced


def test_the_dearest_model_is_the_dearest_for_this_very_usage(prices):
    usage = Usage(1, 900_000, 3, 40_000, 7, 1)
    known = [model.id for model in genai_prices.data_snapshot.get_snapshot().find_provider(None, "openai", None).models]
    plain = [prices.price(Labels("openai", model=model), usage, NOV) for model in known]
    assert prices.price(Labels("openai", model="gpt-99"), usage, NOV) == Priced(
        max(p.cost_microusd for p in plain if not p.estimated), True
    )


def test_a_table_that_does_not_load_says_so_and_makes_estimates():
    def broken():
        raise ImportError("no module named genai_prices")

    prices = Prices({"house-model": OwnPrice(Decimal(1), Decimal(2))}, load=broken)
    assert prices.price(Labels("anthropic", model="claude-haiku-4-5"), ONE_EACH, NOV) == Priced(900_000, True)
    assert prices.price(Labels("anthropic", model="house-model"), ONE_EACH, NOV) == Priced(30_000, False)
    assert prices.problem.startswith(
        "the price table cannot be loaded (ImportError: no module named genai_prices): costs are estimated"
    )


def test_a_price_that_changes_at_midnight_changes_at_midnight_utc(prices):
    usage, labels = Usage(input=300_000, requests=1), Labels("anthropic", model="claude-opus-4-6")
    change = datetime(2026, 3, 13, tzinfo=UTC)
    costs = [prices.price(labels, usage, change + timedelta(seconds=s)).cost_microusd for s in (-1, 0)]
    assert costs == [3_000_000, 1_500_000]
