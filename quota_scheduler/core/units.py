"""Amounts as integers in one base per unit; reading and writing them for people.

Every amount in the core is an ``int`` in the base of its unit, so sums are exact and windows can be rebuilt to the last
token. ``None`` never means "no limit": a limit that should not bind is in mode ``off`` or not configured.
"""

import re
from decimal import Decimal, InvalidOperation
from enum import StrEnum

MICRO = 1_000_000
"""Micro-dollars of a dollar."""
PICO = 1_000_000
"""Pico-dollars in a micro-dollar: what one call costs is kept this fine, so that many small ones add up."""
_SUFFIX = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
_AMOUNT = re.compile(
    r"^\$?\s*((?:[0-9]{1,3}(?:[,_][0-9]{3})+|[0-9]+)(?:\.[0-9]+)?)\s*([kmgbt]?)\s*(?:tokens?|usd|requests?|leases?|%|percent)?$",
    re.IGNORECASE,
)
"""A comma stands between groups of three digits only: ``2,5M`` is a decimal comma, and no 25 million."""
LONGEST_TEXT = 60
"""Letters of an amount or a length of time as people write it; patterns take the square of it, or longer, to say no."""
_LARGEST = 10**15
"""The largest amount in whole units (a quadrillion tokens): everything up to it stays exact in SQLite and JSON."""

LARGEST_SUM = 2**62 - 2**9
"""The bound of every stored sum: two of them still add up to less than 2^63, past which SQLite has no integers.

The largest below 2^62 that is exact in floating point as well.
"""
LARGEST_EVENT = 10**10
"""Most tokens that one usage event may report: ten thousand times the largest context of any model."""


class Unit(StrEnum):
    """What a limit counts. The comment is the base its integers are in."""

    TOKENS = "tokens"  # one token
    USD = "usd"  # one micro-dollar
    REQUESTS = "requests"  # one request
    LEASES = "leases"  # one running lease
    PERCENT = "percent"  # a millionth of a percent point of what the provider allows

    @property
    def base(self) -> int:
        """How many base units make one unit as people write it."""
        return MICRO if self in (Unit.USD, Unit.PERCENT) else 1


def parse_amount(value: int | float | str | Decimal, unit: Unit = Unit.TOKENS) -> int:
    """Read ``2_500_000``, ``"2.5M"``, ``"300M tokens"`` or ``"$10"`` into the base of ``unit``.

    Suffixes k, M, G or B, T are powers of a thousand. Raises ValueError for anything else, for a negative amount, for a
    fraction of a token, and above 10^15.
    """
    is_share = isinstance(value, str) and value.rstrip().endswith("%") and unit is not Unit.PERCENT
    if isinstance(value, bool) or is_share or (isinstance(value, str) and len(value) > LONGEST_TEXT):
        raise ValueError(f"{value!r} is not an amount: write a number such as 2500000, 2.5M or $10")
    try:
        match = _AMOUNT.match(str(value).strip()) if isinstance(value, str) else None
        if match:
            number = Decimal(re.sub("[_,]", "", match[1])) * _SUFFIX[match[2].lower()]
        else:
            number = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(f"{value!r} is not an amount: write a number such as 2500000, 2.5M or $10") from None
    if not number.is_finite() or number < 0:
        raise ValueError(f"{value!r} is not an amount: it must be zero or more")
    if number > _LARGEST:
        raise ValueError(f"{value!r} is too large: the largest amount is {_LARGEST:.0e}")
    scaled = number * unit.base
    if scaled != scaled.to_integral_value():
        if unit.base == 1:
            raise ValueError(f"{value!r} is not a whole number of {unit.value}")
        scaled = scaled.to_integral_value()
    return int(scaled)


def amount_in(value: int | float | str | Decimal, unit: Unit) -> int:
    """An amount into the base of ``unit``. Raises ValueError where its text names another unit: ``"$5"`` of tokens."""
    named = unit_named(value) if isinstance(value, str) else None
    if named not in (None, unit):
        raise ValueError(f"{value!r} counts {named}, but the unit is {unit}: make them agree")
    return parse_amount(value, unit)


def unit_named(value: str) -> Unit | None:
    """The unit an amount says it is in: ``$10``, ``300M tokens``; None when it is a bare number."""
    if len(value) > LONGEST_TEXT:
        return None
    if value.lstrip().startswith("$"):
        return Unit.USD
    if value.rstrip().endswith("%"):
        return Unit.PERCENT
    word = re.search(r"[a-z]{3,}$", value.strip().lower())
    return next((unit for unit in Unit if word and word[0].rstrip("s") == unit.value.rstrip("s")), None)


def format_amount(amount: float, unit: Unit = Unit.TOKENS) -> str:
    """Write an amount for people: ``2.5M tokens``, ``$3.50``, ``12 requests``."""
    if unit is Unit.USD:
        return f"-${-amount / MICRO:,.2f}" if amount < 0 else f"${amount / MICRO:,.2f}"
    if unit is Unit.PERCENT:
        return f"{amount / MICRO:.3g} %" if abs(amount) < 99.95 * MICRO else f"{amount / MICRO:.0f} %"
    name = unit.value if abs(amount) != 1 else unit.value.removesuffix("s")
    return f"{format_number(amount)} {name}"


def format_number(amount: float) -> str:
    """Write a count with three significant digits and a suffix: ``950``, ``12.3k``, ``2.5M``."""
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    for limit, suffix in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if size >= limit * 0.9995:
            text = f"{size / limit:.3g}" if size < 999.5 * limit else f"{size / limit:,.0f}"
            return f"{sign}{text}{suffix}"
    return f"{sign}{size:.0f}"


def in_units(amount: int, unit: Unit) -> int | float:
    """Return an amount as people and JSON write it: dollars, percent points, the integer itself of other units."""
    return amount / unit.base if unit.base > 1 else amount
