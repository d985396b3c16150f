"""Single values: text in, a typed value out, ValueError with a sentence for a person otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from quota_scheduler.core.limits.schedule import parse_span
from quota_scheduler.core.units import Unit, amount_in

Choice = TypeVar("Choice", bound=StrEnum)
Parse = Callable[[str], object]

LONGEST_SPAN = timedelta(days=3660)
LONGEST_PRICE = 24
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_YES, _NO = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?|\.[0-9]+")
_HASH = re.compile(r"[0-9a-fA-F]{64}")


def text(value: str) -> str:
    """Any text but none."""
    if not value.strip():
        raise ValueError(f"{value!r} is empty: write a value or remove the key")
    return value.strip()


def slug(value: str) -> str:
    """A name for files, labels and addresses."""
    if not _SLUG.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a name: write letters, digits, '-', '_' or '.', at most 64, a letter or digit first"
        )
    return value


def yes_or_no(value: str) -> bool:
    """``true`` or ``false``, in the usual spellings."""
    word = value.lower()
    if word not in _YES | _NO:
        raise ValueError(f"{value!r} is neither true nor false")
    return word in _YES


def one_of(kind: type[Choice]) -> Callable[[str], Choice]:
    """A reader of one word of a closed set."""

    def parse(value: str) -> Choice:
        try:
            return kind(value)
        except ValueError:
            raise ValueError(not_among(value, [*kind])) from None

    return parse


def one_of_names(names: Iterable[str]) -> Callable[[str], str]:
    """A reader of one of these names."""
    allowed = tuple(names)

    def parse(value: str) -> str:
        if value not in allowed:
            raise ValueError(not_among(value, allowed))
        return value

    return parse


def not_among(value: str, allowed: Iterable[str]) -> str:
    """Say that a word is none of a closed set, and which was probably meant."""
    names = [str(name) for name in allowed]
    listed = " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "nothing, as there are none"
    return f"{value!r} is not known{did_you_mean(value, names) or ':'} it can be {listed}"


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """``: did you mean `amount`?`` where a known word is close, else nothing."""
    close = get_close_matches(word, list(allowed), n=1)
    return f": did you mean `{close[0]}`?" if close else ""


def span(value: str) -> timedelta:
    """A length of time such as ``5h`` or ``1h30m``; a bare number is seconds; at most ten years."""
    number = _NUMBER.fullmatch(value.strip())
    try:
        parsed = parse_span(float(value)) if number else parse_span(value)
    except OverflowError:
        parsed = LONGEST_SPAN * 2
    except ValueError as error:
        raise ValueError(str(error).replace(repr(float(value)), repr(value)) if number else str(error)) from None
    if parsed > LONGEST_SPAN:
        raise ValueError(f"{value!r} is too long: ten years at most")
    return parsed


def days(value: str) -> timedelta:
    """A length of time of a day or more."""
    parsed = span(value)
    if parsed < timedelta(days=1):
        raise ValueError(f"{value!r} is too short: one day at least, written 35d")
    return parsed


def span_or_zero(value: str) -> timedelta:
    """A length of time, nothing included."""
    return timedelta(0) if re.fullmatch(r"0+(\.0+)?\s*[a-zA-Z]*", value.strip()) else span(value)


def seconds(least: float, most: float) -> Callable[[str], float]:
    """A reader of a length of time in seconds, within bounds."""

    def parse(value: str) -> float:
        parsed = span(value).total_seconds()
        if not least <= parsed <= most:
            raise ValueError(f"{value!r} is out of range: {least:g} to {most:g} seconds")
        return parsed

    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    """A reader of an integer within bounds."""

    def parse(value: str) -> int:
        digits = value.replace("_", "")
        if not (digits.isascii() and digits.isdigit()) or not least <= int(digits[:18]) <= most:
            raise ValueError(f"{value!r} is not a whole number from {least} to {most}")
        return int(digits)

    return parse


def number(value: str) -> float:
    """A number of zero or more."""
    if not _NUMBER.fullmatch(value):
        raise ValueError(f"{value!r} is not a number of zero or more")
    return float(value)


def ratio(value: str) -> float:
    """A share, written ``80%`` or ``0.8``."""
    digits = value.removesuffix("%").strip()
    if not _NUMBER.fullmatch(digits):
        raise ValueError(f"{value!r} is not a share: write 80% or 0.8")
    parsed = float(digits) / 100 if value.endswith("%") else float(digits)
    if parsed > 1 and not value.endswith("%"):
        raise ValueError(f"{value!r} is more than everything: write {value}% or a number up to 1")
    if parsed > 10:
        raise ValueError(f"{value!r} is too large for a share")
    return parsed


def level(value: str) -> float:
    """The threshold of an alert: a share such as ``80%``, a number, or an amount such as ``3M`` or ``$5``."""
    if value.endswith("%"):
        return ratio(value)
    return number(value) if _NUMBER.fullmatch(value) else float(amount(Unit.TOKENS)(value.removeprefix("$")))


def amount(unit: Unit) -> Callable[[str], int]:
    """A reader of an amount into the base of ``unit``; refuses one that names another unit."""
    return lambda value: amount_in(value, unit)


def dollars(value: str) -> Decimal:
    """A price in dollars, to any number of decimals."""
    digits = value.strip().removeprefix("$").strip()
    if not _NUMBER.fullmatch(digits) or len(digits) > LONGEST_PRICE:
        raise ValueError(f"{value!r} is not a price: write dollars, such as 3 or 0.30")
    return Decimal(digits)


def secret_url(value: str) -> str:
    """An address with a scheme; never repeated in a problem."""
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://\S", value):
        raise ValueError("*** is not an address: write one for Apprise, such as slack://… or json://host/path")
    return value


def token_hash(value: str) -> str:
    """The SHA-256 of a token, in hexadecimal; never repeated in a problem."""
    if not _HASH.fullmatch(value):
        raise ValueError("*** is not a SHA-256: write the 64 digits of `printf %s TOKEN | sha256sum`, never the token")
    return value.lower()


def http_address(value: str, otherwise: str) -> SplitResult:
    """The parts of an address that is asked over HTTP. Raises ValueError with ``otherwise`` for what is none."""
    try:
        parts = urlsplit(value)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number or past 65535, a bracket that is not closed
        is_one = False
    if not is_one:
        raise ValueError(otherwise)
    return parts
