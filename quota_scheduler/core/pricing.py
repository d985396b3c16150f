"""Prices: what a usage costs at known rates, exactly, in micro-dollars.

Rates are integers of 10^-24 dollars per token, so that every published price ($ per million tokens with up to eighteen
decimals) is exact, and a cost is rounded once, half to even, at the end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from quota_scheduler.core.usage import KINDS, Usage

PER_MICROUSD = 10**18
"""Rate units in one micro-dollar."""
PER_USD_A_MILLION = 10**18
"""Rate units per token of one dollar per million tokens."""

KindRates = tuple[int, int, int, int, int]
"""A rate per token for each of ``KINDS``, in their order."""


class Priced(NamedTuple):
    """A cost in micro-dollars; ``estimated`` when the model's own price is not known."""

    cost_microusd: int
    estimated: bool


@dataclass(frozen=True, slots=True)
class Tier:
    """The rates of a whole request whose input side is ``above`` this many tokens, as the providers charge it."""

    above: int
    kinds: KindRates


@dataclass(frozen=True, slots=True)
class PriceRates:
    """What one model costs at one time: rates by kind, the tiers for long inputs ascending, and a rate per request."""

    kinds: KindRates
    tiers: tuple[Tier, ...] = ()
    request: int = 0

    def cost(self, usage: Usage) -> int:
        """Micro-dollars of this usage, half to even.

        The tier is that of the mean request, so that a run's sum is not taken for one long request.
        """
        requests = usage.requests or 1
        fresh, read, write_5m, write_1h, out = self.at_input(usage.input_side // requests) if self.tiers else self.kinds
        a, b, c, d, e = usage[:5]
        return half_even(
            a * fresh + b * read + c * write_5m + d * write_1h + e * out + requests * self.request, PER_MICROUSD
        )

    def at_input(self, tokens: int) -> KindRates:
        """The rates of a request with this many tokens on its input side."""
        return next((tier.kinds for tier in reversed(self.tiers) if tokens > tier.above), self.kinds)

    def at_most(self, other: "PriceRates") -> bool:
        """Whether no usage at all costs more here than at the rates of ``other``."""
        steps = {0, *(tier.above + 1 for tier in (*self.tiers, *other.tiers))}
        pairs = ((self.at_input(step), other.at_input(step)) for step in steps)
        return self.request <= other.request and all(
            a <= b for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True)
        )


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """A price the operator states, in dollars per million tokens; 0 is a price.

    A kind that is not given costs as much as ``input``: no discount is assumed that nobody has stated.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None
    request: Decimal = field(default=Decimal(0))

    def rates(self) -> PriceRates:
        """The same as rates."""
        given = (getattr(self, kind) for kind in KINDS)
        fresh, read, write_5m, write_1h, out = (per_million(self.input if usd is None else usd) for usd in given)
        return PriceRates((fresh, read, write_5m, write_1h, out), request=per_million(self.request * 1_000_000))


def per_million(usd: Decimal) -> int:
    """Turn dollars per million tokens into a rate per token. Raises ValueError for a negative price."""
    if not usd.is_finite() or usd < 0:
        raise ValueError(f"{usd} is not a price: it must be zero or more dollars per million tokens")
    return int((usd * PER_USD_A_MILLION).to_integral_value())


def half_even(amount: int, unit: int) -> int:
    """Divide a non-negative amount by a unit, rounding half to even."""
    whole, rest = divmod(amount, unit)
    return whole + (rest * 2 > unit or (rest * 2 == unit and whole % 2 == 1))


def dearest(rates: Iterable[PriceRates]) -> tuple[PriceRates, ...]:
    """Keep only rates that some usage could find the dearest; any other never costs more than one of them."""
    kept: list[PriceRates] = []
    for one in dict.fromkeys(rates):
        if not any(one.at_most(other) for other in kept):
            kept = [other for other in kept if not other.at_most(one)] + [one]
    return tuple(kept)


def highest(rates: Sequence[PriceRates], usage: Usage) -> int:
    """Micro-dollars of a usage at whichever of these rates makes it cost most."""
    return rates[0].cost(usage) if len(rates) == 1 else max([one.cost(usage) for one in rates])
