"""The price table behind its adapter: exact where a price is known, an estimate and never nothing where it is not."""

import warnings
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random

import genai_prices
import pytest

from quota_scheduler import price_catalog
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.pricing import OwnPrice, Priced
from quota_scheduler.core.usage import PriceTerms, Usage
from quota_scheduler.price_catalog import Prices

NOV = datetime(2026, 11, 22, 12, tzinfo=UTC)
FEB = datetime(2026, 2, 22, 12, tzinfo=UTC)
ONE_EACH = Usage(10_000, 0, 0, 0, 10_000, 1)


@pytest.fixture(scope="module")
def prices():
    return Prices(
        {
            "house-model": OwnPrice(Decimal(1), Decimal(2)),
            "anthropic/claude-free": OwnPrice(Decimal(0), Decimal(0)),
            "aws/Claude-House": OwnPrice(Decimal(1), Decimal(2)),
        }
    )


def costs(usd, *, estimated=False):
    return Priced(int(Decimal(usd) * 10**12), estimated)


def published(provider, model, usage, at):
    """What genai-prices itself asks for a usage, in pico-dollars."""
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
    return int((price.total_price * 10**12).to_integral_value(ROUND_HALF_EVEN))


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
def test_every_cost_is_the_published_one_to_the_pico_dollar(prices, provider, model, at):
    rng = Random(f"{model}{at}")
    for size in (900, 50_000, 120_000, 900_000):
        usage = Usage(*(rng.randrange(size) for _ in range(5)), requests=1)
        assert prices.price(Labels(provider, model=model), usage, at) == Priced(
            published(provider, model, usage, at), False
        )


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        pytest.param("anthropic", "claude-opus-5", "0.30", id="an id as published"),
        pytest.param("Anthropic", "Claude-Opus-5", "0.30", id="in other case"),
        pytest.param("anthropic", "claude-opus-5[1m]", "0.30", id="a context suffix"),
        pytest.param("anthropic", "anthropic/claude-opus-5", "0.30", id="a provider in front"),
        pytest.param("openai", "openai/gpt-5.5", "0.35", id="another provider in front"),
        pytest.param("anthropic", "claude-opus-5@default", "0.30", id="the default version of a host"),
        pytest.param("anthropic", "claude-opus-5@20260401", "0.30", id="a dated version of a host"),
        pytest.param(
            "anthropic", "us.anthropic.claude-opus-4-5-20251101-v1:0", "0.33", id="a region in front costs a tenth more"
        ),
        pytest.param("bedrock", "us.anthropic.claude-opus-5", "0.33", id="so it does where the host is named"),
        pytest.param("bedrock", "global.anthropic.claude-opus-5", "0.30", id="the world is no region"),
        pytest.param("my-gateway", "claude-opus-5", "0.30", id="a known model behind an unknown provider"),
        pytest.param("anthropic", "glm-4.7", "0.028", id="another vendor's model behind the client is its vendor's"),
        pytest.param("anthropic", "kimi-k2.5", "0.036", id="and another's"),
        pytest.param("dashscope", "qwen3.7-max", "0.059", id="a vendor that the table has under a reseller"),
        pytest.param("qwen", "qwen3.7-max", "0.059", id="by another of its names"),
        pytest.param("anthropic", "claude-opus-5-fast", "0.60", id="fast mode has its own price"),
        pytest.param("x-ai", "grok-4-fast", "0.007", id="a model whose name ends so is not fast mode"),
        pytest.param("my-gateway", "house-model", "0.03", id="the operator's own price"),
        pytest.param("anthropic", "Claude-Free", "0", id="an own price of 0 is a price"),
        pytest.param(
            "bedrock", "us.anthropic.claude-house-20260101-v1:0", "0.03", id="B2: an own price by any spelling"
        ),
    ],
)
def test_what_is_known_has_its_price(prices, provider, model, usd):
    assert prices.price(Labels(provider, model=model), ONE_EACH, NOV) == costs(usd)


AGENT = Usage(2_000, 900_000, 10_000, 0, 8_000, 20)
"""What a run of an agent uses: nearly all of it is read from the cache."""


@pytest.mark.parametrize(
    ("provider", "model", "kin", "usd"),
    [
        pytest.param("anthropic", "claude-opus-6", "claude-opus-5", "0.79475", id="the dearest of the newest two"),
        pytest.param("anthropic", "us.anthropic.claude-opus-6-v1:0", "claude-opus-5", "0.79475", id="hosted"),
        pytest.param("my-gateway", "claude-opus-6", "claude-opus-5", "0.79475", id="behind an unknown provider"),
        pytest.param("anthropic", "claude-opus-4-9", "claude-opus-4-8", "0.79475", id="no relic of the family"),
        pytest.param("openai", "gpt-5.3-codex-spark", "gpt-5.3-codex", "0.31955", id="the longest common name"),
        pytest.param("openai", "gpt-5.9-pro", "gpt-5.5-pro", "4.95", id="a tenth for the cache where kin have none"),
        pytest.param("openai", "o5-pro", "o3-pro", "2.948", id="an older one more than twice as dear is a relic"),
        pytest.param("anthropic", "glm-9", "GLM-5.3", "0.3146", id="kin of another vendor's model are that vendor's"),
        pytest.param("anthropic", "claude-nova-9", "claude-fable-5-2", "0.6776", id="a family nobody knows"),
        pytest.param("anthropic", "", "claude-fable-5-2", "0.6776", id="no model at all"),
        pytest.param("my-gateway", "mystery", "claude-fable-5", "1.445", id="nothing is known: the last resort"),
    ],
)
def test_what_is_not_known_costs_a_tenth_more_than_its_kin(prices, provider, model, kin, usd):
    assert prices.price(Labels(provider, model=model), AGENT, NOV) == costs(usd, estimated=True), kin


@pytest.mark.parametrize(
    ("provider", "model", "terms", "usd", "estimated"),
    [
        pytest.param("anthropic", "claude-opus-5", PriceTerms(), "0.75", False, id="B7: plain"),
        pytest.param("anthropic", "claude-opus-5", PriceTerms("standard", "not_available", "standard"), "0.75", False,
                     id="B7: said to be plain"),
        pytest.param("anthropic", "claude-opus-5", PriceTerms(speed="fast"), "1.50", False, id="B7: fast"),
        pytest.param("anthropic", "claude-opus-5", PriceTerms(geo="us"), "0.825", False, id="B7: kept in the US"),
        pytest.param("anthropic", "claude-opus-5", PriceTerms(web_searches=50), "1.25", False, id="B8: 50 searches"),
        pytest.param("anthropic", "claude-opus-5", PriceTerms(tier="batch"), "0.375", False, id="B7: batch"),
        pytest.param("anthropic", "claude-opus-5", PriceTerms(tier="priority"), "0.75", False,
                     id="B7: a tier without a price is sold at the list price"),
        pytest.param("anthropic", "claude-opus-5", PriceTerms("fast", "us", "batch", 50), "1.325", False,
                     id="B7: all at once, searches as they are"),
        pytest.param("anthropic", "claude-opus-4-6", PriceTerms("fast"), "1.50", True,
                     id="B7: fast without a price of its own is twice the model's, as an estimate"),
        pytest.param("anthropic", "claude-opus-5-fast", PriceTerms("fast"), "1.50", False, id="B7: fast twice is fast"),
        pytest.param("bedrock", "us.anthropic.claude-opus-5", PriceTerms(geo="us"), "0.825", False,
                     id="B7: a region in the name is charged once"),
        pytest.param("openai", "gpt-5.5", PriceTerms(tier="priority"), "2.00", False, id="B7: OpenAI's priority"),
        pytest.param("openai", "gpt-5.5", PriceTerms(tier="flex"), "0.40", False, id="B7: OpenAI's flex"),
        pytest.param("x", "house-model", PriceTerms("fast", "", "batch", 10), "0.22", False,
                     id="B7: an own price on the same terms"),
        pytest.param("anthropic", "claude-opus-6", PriceTerms("fast"), "1.65", True, id="B7: kin in fast mode"),
    ],
)  # fmt: skip
def test_what_a_response_says_about_its_price_is_charged(prices, provider, model, terms, usd, estimated):
    usage = Usage(input=100_000, output=10_000, requests=1)
    assert prices.price(Labels(provider, model=model), usage, NOV, terms) == costs(usd, estimated=estimated)


def test_B10_a_cost_below_a_micro_dollar_is_kept(prices):
    assert prices.price(Labels("openai", model="text-embedding-3-small"), Usage(input=20), NOV) == Priced(
        400_000, False
    )


def test_R6_misses_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(price_catalog, "MOST_REMEMBERED", 10)
    fresh = Prices()
    costs_of_many = {fresh.price(Labels("anthropic", model=f"mystery-{n}"), ONE_EACH, NOV) for n in range(25)}
    assert (len(costs_of_many), len(fresh._remembered)) == (1, 5)


def test_B6_prices_stated_anew_hold_at_once():
    prices, nova = Prices(), Labels("anthropic", model="claude-nova-9")
    before = prices.price(nova, ONE_EACH, NOV)
    prices.state({"claude-nova-9": OwnPrice(Decimal(1), Decimal(5))})
    assert (before.estimated, prices.price(nova, ONE_EACH, NOV)) == (True, costs("0.06"))


def test_a_table_that_does_not_load_says_so_and_makes_estimates():
    def broken():
        raise ImportError("no module named genai_prices")

    prices = Prices({"house-model": OwnPrice(Decimal(1), Decimal(2))}, load=broken)
    assert prices.price(Labels("anthropic", model="claude-haiku-4-5"), ONE_EACH, NOV) == costs("0.6", estimated=True)
    assert prices.price(Labels("anthropic", model="house-model"), ONE_EACH, NOV) == costs("0.03")
    assert prices.problem.startswith(
        "the price table cannot be loaded (ImportError: no module named genai_prices): costs are estimated"
    )


def test_a_price_that_changes_at_midnight_changes_at_midnight_utc(prices):
    usage, labels = Usage(input=300_000, requests=1), Labels("anthropic", model="claude-opus-4-6")
    change = datetime(2026, 3, 13, tzinfo=UTC)
    found = [prices.price(labels, usage, change + timedelta(seconds=s)).pico for s in (-1, 0)]
    assert found == [3 * 10**12, 15 * 10**11]


def test_B6_the_fingerprint_changes_with_the_prices_alone():
    nova = {"claude-nova-9": OwnPrice(Decimal(1), Decimal(5))}
    dearer = {"claude-nova-9": OwnPrice(Decimal(2), Decimal(5))}
    assert Prices(nova).fingerprint == Prices(dict(nova)).fingerprint
    assert len({Prices(own).fingerprint for own in ({}, nova, dearer)}) == 3
