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
from quota_scheduler.core.usage import KINDS, PriceTerms, Usage
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
        ("deepseek", "deepseek-v3.1-terminus"),
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
        pytest.param("anthropic", "opus", "claude-opus-5", "0.79475", id="an alias costs like what it stands for"),
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


def per_million(prices, provider, model, at):
    """Dollars per million tokens of each kind, in small requests, and whether that is estimated."""
    small = 10_000
    kinds = [Usage(**{kind: 1_000_000}, requests=1_000_000 // small) for kind in KINDS]
    found = [prices.price(Labels(provider, model=model), usage, datetime.fromisoformat(at)) for usage in kinds]
    return " ".join(f"{(Decimal(one.pico) / 10**12).normalize():f}" for one in found), found[0].estimated


PLAIN = "2026-11-27T12:00Z"


@pytest.mark.parametrize(
    ("provider", "model", "at", "usd"),
    [
        pytest.param("anthropic", "claude-opus-5-5", PLAIN, "4 0.2 5 8 20", id="newer than ccusage's table"),
        pytest.param("anthropic", "claude-sonnet-5-5", PLAIN, "2 0.1 2.5 4 10", id="so is this"),
        pytest.param("anthropic", "claude-haiku-5-5", PLAIN, "0.1 0.01 0.125 0.2 0.5", id="and this, below its step"),
        pytest.param("openai", "gpt-6-sol", PLAIN, "2 0.2 2.5 2.5 10", id="OpenAI's cache writes, where listed"),
        pytest.param("openai", "gpt-5.5", PLAIN, "5 0.5 5 5 30", id="as input, where not"),
        pytest.param("google", "gemini-2.5-pro", PLAIN, "1.25 0.125 1.25 1.25 10", id="Gemini's as input"),
        pytest.param("zai", "glm-4.7", PLAIN, "0.6 0.11 0.6 0.6 2.2", id="GLM's as input: they were read as fresh"),
        pytest.param("anthropic", "glm-4.7", PLAIN, "0.6 0.11 0.6 0.6 2.2", id="GLM behind Claude Code"),
        pytest.param("x-ai", "grok-code-fast-1", PLAIN, "0.2 0.02 0.2 0.2 1.5", id="xAI's list, which two tables have"),
        pytest.param("bedrock", "us.anthropic.claude-opus-5", PLAIN, "5.5 0.55 6.875 11 27.5", id="a region"),
        pytest.param("anthropic", "us.anthropic.claude-opus-5", PLAIN, "5.5 0.55 6.875 11 27.5", id="whoever sends it"),
        pytest.param("vertex", "claude-opus-5@default", PLAIN, "5 0.5 6.25 10 25", id="the default version"),
        pytest.param("openrouter", "anthropic/claude-opus-5", PLAIN, "5 0.5 6.25 10 25", id="an hour at a reseller"),
        pytest.param("github-copilot", "claude-opus-5", PLAIN, "5 0.5 6.25 10 25", id="and at another"),
        pytest.param("openai", "openai/gpt-5.5", PLAIN, "5 0.5 5 5 30", id="a prefix is no other model"),
        pytest.param("anthropic", "claude-opus-4-1", PLAIN, "15 1.5 18.75 30 75", id="retired models keep their price"),
        pytest.param("anthropic", "claude-3-5-haiku-20241022", PLAIN, "0.8 0.08 1 1.6 4", id="this one, too"),
        pytest.param("x-ai", "grok-4", PLAIN, "3 0.75 3 3 15", id="and this"),
        pytest.param("moonshotai", "kimi-k2-thinking", PLAIN, "0.6 0.15 0.6 0.6 2.5", id="and this one"),
        pytest.param("google", "gemini-4-argon", "2026-11-30T23:59:59Z", "2 0.1 2 2 10", id="before it doubles"),
        pytest.param("google", "gemini-4-argon", "2026-12-01T00:00Z", "4 0.2 4 4 20", id="after"),
        pytest.param("google", "gemini-3.6-flash", "2026-12-31T23:59Z", "0.75 0.075 0.75 0.75 3.75", id="old year"),
        pytest.param("google", "gemini-3.6-flash", "2027-01-01T00:00Z", "1.5 0.15 1.5 1.5 7.5", id="new year"),
        pytest.param("openai", "gpt-5.6-sol", "2026-08-20T23:59Z", "5 0.5 6.25 6.25 30", id="before it fell"),
        pytest.param("openai", "gpt-5.6-sol", "2026-08-21T00:00Z", "4 0.4 5 5 20", id="after it fell"),
        pytest.param("deepseek", "deepseek-chat", "2025-09-28T20:00Z", "0.135 0.035 0.135 0.135 0.55", id="V3, night"),
        pytest.param("deepseek", "deepseek-chat", "2025-09-29T20:00Z", "0.28 0.028 0.28 0.28 0.42", id="V3.2"),
        pytest.param("deepseek", "deepseek-reasoner", PLAIN, "0.28 0.028 0.28 0.28 0.42", id="V3.2 thinking"),
        pytest.param("deepseek", "deepseek-v4-pro", "2026-07-24T02:00Z", "0.435 0.003625 0.435 0.435 0.87",
                     id="DeepSeek before it had peak hours"),
        pytest.param("deepseek", "deepseek-v4-pro", "2026-08-21T02:00Z", "1.32 0.044 1.32 1.32 3.96", id="a peak hour"),
        pytest.param("deepseek", "deepseek-v4-pro", "2026-08-21T04:00Z", "0.66 0.022 0.66 0.66 1.98", id="its end"),
        pytest.param("deepseek", "deepseek-v4-pro", "2026-11-28T02:00Z", "0.66 0.022 0.66 0.66 1.98", id="a Saturday"),
        pytest.param("deepseek", "deepseek-flash", "2026-11-27T09:59Z", "0.3 0.006 0.3 0.3 1.2", id="the other hours"),
    ],
)  # fmt: skip
def test_where_tables_disagree_it_is_decided(prices, provider, model, at, usd):
    assert per_million(prices, provider, model, at) == (usd, False)


@pytest.mark.parametrize(
    ("provider", "model", "at", "usd"),
    [
        pytest.param("anthropic", "claude-sonnet-4-5", PLAIN, "2.085", id="sonnet-4-5 has a step at 200 k"),
        pytest.param("anthropic", "claude-sonnet-4-6", "2026-03-12T12:00Z", "2.085", id="sonnet-4-6 had one"),
        pytest.param("anthropic", "claude-sonnet-4-6", "2026-03-13T12:00Z", "1.08", id="and lost it"),
        pytest.param("anthropic", "claude-haiku-5-5", PLAIN, "0.18", id="haiku-5-5 has one at 100 k: five times"),
        pytest.param("openai", "gpt-5.4", PLAIN, "1.775", id="above 272 k the whole request: twice, output 1.5 times"),
        pytest.param("google", "gemini-3-pro-preview", PLAIN, "1.42", id="Gemini's at 200 k"),
        pytest.param("anthropic", "claude-opus-5", PLAIN, "1.8", id="opus-5 has none"),
    ],
)
def test_a_long_request_costs_what_its_step_says(prices, provider, model, at, usd):
    usage = Usage(input=310_000, output=10_000, requests=1)
    found = prices.price(Labels(provider, model=model), usage, datetime.fromisoformat(at))
    assert found == costs(usd)


def test_a_sum_of_requests_has_the_step_of_the_mean_one(prices):
    haiku = Labels("anthropic", model="claude-haiku-5-5")
    one_of_each = [prices.price(haiku, Usage(input=tokens, requests=1), NOV).pico for tokens in (150_000, 30_000)]
    together = prices.price(haiku, Usage(input=180_000, requests=2), NOV).pico
    assert (sum(one_of_each), together) == (78_000 * 10**6, 18_000 * 10**6)


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
