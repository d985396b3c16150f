"""Prices: what a usage costs at known rates, in pico-dollars: a millionth of the micro-dollar that limits count in.

Rates are integers of 10^-24 dollars per token, so that every published price ($ per million tokens with up to eighteen
decimals) is exact, and a cost is rounded once, half to even, at the end.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from msgspec import Struct, field

from quota_scheduler.core.usage import KINDS, Usage

PER_PICO = 10**12
"""Rate units in one pico-dollar."""
PER_USD_A_MILLION = 10**18
"""Rate units per token of one dollar per million tokens."""

WEB_SEARCH = Decimal("0.01")
"""Dollars for one web search where nobody says otherwise: what Anthropic and OpenAI charge, $10 a thousand."""

KindRates = tuple[int, int, int, int, int]
"""A rate per token for each of ``KINDS``, in their order."""


class Priced(NamedTuple):
    """A cost in pico-dollars; ``estimated`` when the model's own price is not known."""

    pico: int
    estimated: bool


class Tier(Struct, frozen=True):
    """The rates of a whole request whose input side is ``above`` this many tokens, as the providers charge it."""

    above: int
    kinds: KindRates


class PriceRates(Struct, frozen=True):
    """What one model costs at one time: rates by kind, the tiers for long inputs ascending, and a rate per request.

    ``search`` is the rate of a web search that the provider makes for a response.
    """

    kinds: KindRates
    tiers: tuple[Tier, ...] = ()
    request: int = 0
    search: int = 0

    def cost(self, usage: Usage, web_searches: int = 0) -> int:
        """Pico-dollars of this usage, half to even.

        The tier is that of the mean request, so that a run's sum is not taken for one long request.
        """
        a, b, c, d, e, requests = usage[:6]
        requests = requests or 1
        fresh, read, write_5m, write_1h, out = self.at_input((a + b + c + d) // requests) if self.tiers else self.kinds
        tokens = a * fresh + b * read + c * write_5m + d * write_1h + e * out
        return half_even(tokens + requests * self.request + web_searches * self.search, PER_PICO)

    def exact(self) -> tuple[int, ...] | None:
        """The rates by kind and the one per request in pico-dollars, where every cost is a whole number of these.

        None where it depends on how much goes in, or has to be rounded.
        """
        if self.tiers or any(rate % PER_PICO for rate in (*self.kinds, self.request)):
            return None
        return *(rate // PER_PICO for rate in self.kinds), self.request // PER_PICO

    def times(self, factor: Fraction) -> "PriceRates":
        """These rates with all tokens and requests at a multiple, searches as they are."""

        def each(kinds: KindRates) -> KindRates:
            fresh, read, write_5m, write_1h, out = (int(rate * factor) for rate in kinds)
            return fresh, read, write_5m, write_1h, out

        tiers = tuple(Tier(tier.above, each(tier.kinds)) for tier in self.tiers)
        return PriceRates(each(self.kinds), tiers, int(self.request * factor), self.search)

    def at_input(self, tokens: int) -> KindRates:
        """The rates of a request with this many tokens on its input side."""
        kinds = self.kinds
        for tier in self.tiers:
            if tokens <= tier.above:
                break
            kinds = tier.kinds
        return kinds


class OwnPrice(Struct, frozen=True):
    """A price the operator states, in dollars per million tokens; 0 is a price.

    A kind that is not given costs as much as ``input``: no discount is assumed that nobody has stated. ``request`` and
    ``web_search`` are dollars each.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None
    request: Decimal = field(default=Decimal(0))
    web_search: Decimal = field(default=WEB_SEARCH)

    def rates(self) -> PriceRates:
        """The same as rates."""
        given = (getattr(self, kind) for kind in KINDS)
        fresh, read, write_5m, write_1h, out = (per_million(self.input if usd is None else usd) for usd in given)
        return PriceRates(
            (fresh, read, write_5m, write_1h, out),
            request=per_million(self.request * 1_000_000),
            search=per_million(self.web_search * 1_000_000),
        )


def per_million(usd: Decimal) -> int:
    """Turn dollars per million tokens into a rate per token. Raises ValueError for a negative price."""
    if not usd.is_finite() or usd < 0:
        raise ValueError(f"{usd} is not a price: it must be zero or more dollars per million tokens")
    return int((usd * PER_USD_A_MILLION).to_integral_value())


def half_even(amount: int, unit: int) -> int:
    """Divide a non-negative amount by a unit, rounding half to even."""
    whole, rest = divmod(amount, unit)
    return whole + (rest * 2 > unit or (rest * 2 == unit and whole % 2 == 1))


def highest(rates: Sequence[PriceRates], usage: Usage, web_searches: int = 0) -> int:
    """Pico-dollars of a usage at whichever of these rates makes it cost most."""
    if len(rates) == 1:
        return rates[0].cost(usage, web_searches)
    return max([one.cost(usage, web_searches) for one in rates])
