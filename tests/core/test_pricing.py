"""Rates and costs: exact integers, rounded once."""

from decimal import Decimal
from fractions import Fraction

import pytest

from quota_scheduler.core.pricing import OwnPrice, PriceRates, Tier, half_even, highest, per_million
from quota_scheduler.core.units import PICO
from quota_scheduler.core.usage import Usage


def rates(*usd, tiers=(), request=0):
    return PriceRates(tuple(per_million(Decimal(str(u))) for u in usd), tiers, request)


OPUS = rates(5, "0.5", "6.25", 10, 25)
LONG = rates(3, "0.3", "3.75", 6, 15, tiers=(Tier(200_000, rates(6, "0.6", "7.5", 12, "22.5").kinds),))


@pytest.mark.parametrize(
    ("model", "usage", "pico"),
    [
        pytest.param(OPUS, Usage(), 0, id="nothing costs nothing"),
        pytest.param(OPUS, Usage(10**6, 10**6, 10**6, 10**6, 10**6, 1), 46_750_000 * PICO, id="a million of each kind"),
        pytest.param(OPUS, Usage(cache_read=1, requests=1), PICO // 2, id="half a micro-dollar is kept"),
        pytest.param(rates("0.0000005", 0, 0, 0, 0), Usage(1), 0, id="half a pico-dollar rounds to even, down"),
        pytest.param(rates("0.0000005", 0, 0, 0, 0), Usage(3), 2, id="one and a half rounds to even, up"),
        pytest.param(LONG, Usage(input=200_000, requests=1), 600_000 * PICO, id="up to the step the base rate holds"),
        pytest.param(
            LONG, Usage(input=200_001, requests=1), 1_200_006 * PICO, id="one token above re-prices the whole request"
        ),
        pytest.param(
            LONG,
            Usage(cache_read=200_000, input=1, output=1000, requests=1),
            142_506 * PICO,
            id="the cache counts towards the step",
        ),
        pytest.param(
            LONG,
            Usage(input=300_000, requests=2),
            900_000 * PICO,
            id="the sum of two short requests is not one long one",
        ),
        pytest.param(
            rates(0, 0, 0, 0, 0, request=per_million(Decimal(5000))),
            Usage(requests=3),
            15_000 * PICO,
            id="a price per request",
        ),
    ],
)
def test_cost(model, usage, pico):
    assert model.cost(usage) == pico


@pytest.mark.parametrize(
    ("amount", "whole"), [(0, 0), (4, 0), (5, 0), (6, 1), (15, 2), (25, 2), (26, 3), (10**30 + 5, 10**29)]
)
def test_half_even(amount, whole):
    assert half_even(amount, 10) == whole


def test_own_price_without_cache_prices_charges_the_cache_as_input():
    assert OwnPrice(Decimal(2), Decimal(8)).rates().kinds == rates(2, 2, 2, 2, 8).kinds


def test_own_price_of_zero_is_a_price():
    assert OwnPrice(Decimal(0), Decimal(0)).rates().cost(Usage(10**9, output=10**9)) == 0


def test_negative_price_is_refused():
    with pytest.raises(ValueError, match=r"-1 is not a price: it must be zero or more dollars per million tokens"):
        OwnPrice(Decimal(-1), Decimal(0)).rates()


def test_the_dearest_for_a_usage_holds():
    cheap_in, cheap_out = rates(1, 1, 1, 1, 90), rates(9, 9, 9, 9, 10)
    assert highest((cheap_in, cheap_out), Usage(output=10)) == 900 * PICO
    assert highest((cheap_in, cheap_out), Usage(input=10)) == 90 * PICO


def test_a_multiple_leaves_web_searches_as_they_are():
    plain = PriceRates(LONG.kinds, LONG.tiers, request=10, search=7)
    twice = rates(6, "0.6", "7.5", 12, 30, tiers=(Tier(200_000, rates(12, "1.2", "15", 24, 45).kinds),))
    assert plain.times(Fraction(2)) == PriceRates(twice.kinds, twice.tiers, request=20, search=7)
