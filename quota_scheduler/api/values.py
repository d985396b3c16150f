"""Values of bodies: text, numbers, amounts, instants and lengths of time, bounded, and how each is described."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from quota_scheduler.api.bounds import LARGEST, LONGEST_TTL, LONGEST_WAIT
from quota_scheduler.core.instants import is_plausible
from quota_scheduler.core.labels import LONGEST_VALUE, is_control
from quota_scheduler.core.limits.schedule import parse_span
from quota_scheduler.core.units import Unit, amount_in


def _whole(value: object) -> object:
    """A whole number as JSON has it: 5 and 5.0 are one, true and "5" are none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


WHOLE = BeforeValidator(_whole)
Count = Annotated[int, Field(ge=0, le=LARGEST, strict=True), WHOLE]


def _one_line(text: str) -> str:
    if text.isascii() and text.isprintable():  # nearly every one: a look at each sign takes a fifth of reading a body
        return text
    if found := next((sign for sign in text if is_control(sign)), ""):
        raise ValueError(f"it holds the control character {found!r}: write plain text on one line")
    return text


OneLine = AfterValidator(_one_line)
"""No control characters: what clients send is shown in terminals, subjects of messages and tables."""
_SIGN = r"[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
PLAIN = Field(json_schema_extra={"pattern": f"^{_SIGN}*$"})
PLAIN_AND_THERE = Field(json_schema_extra={"pattern": rf"^(?!\s){_SIGN}*$"})
"""The same for the OpenAPI document."""
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_VALUE), OneLine, PLAIN]
Key = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_VALUE), OneLine, PLAIN_AND_THERE
]
Word = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20), OneLine, PLAIN]
"""What a response says about its price in one word: ``fast``, ``us``, ``batch``."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), OneLine, PLAIN]


def _tokens(value: int | float | str) -> int:
    return amount_in(value, Unit.TOKENS)


AMOUNT = WithJsonSchema(
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": LARGEST},
            {"type": "string", "pattern": r"^[1-9][0-9]{0,2}[kM]?$", "examples": ["2.5M", "800k"]},
        ],
        "description": "tokens, as a number or as people write it: 2500000, 2.5M",
    }
)
Amount = Annotated[int, BeforeValidator(_tokens), Field(le=LARGEST), AMOUNT]
DOLLARS = WithJsonSchema(
    {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 10**6},
            {"type": "string", "pattern": r"^[0-9]{1,6}(\.[0-9]{1,9})?$"},
        ]
    }
)


def _span(value: str | int | float) -> timedelta:
    try:
        return parse_span(value)
    except OverflowError:
        raise ValueError(f"{value!r} is longer than any length of time") from None


def _instant(at: datetime) -> datetime:
    if not is_plausible(at):
        raise ValueError(f"{at.isoformat()} is no instant of these two centuries")
    return at.astimezone(UTC)


def _length(longest: timedelta) -> WithJsonSchema:
    """How a length of time is described."""
    text = {"type": "string", "pattern": r"^[1-9][0-9]?[smh]([1-9][0-9]?[sm])?$", "examples": ["5h", "1h30m", "2d"]}
    number = {"type": "number", "minimum": 1, "maximum": longest.total_seconds()}
    return WithJsonSchema({"anyOf": [text, number], "description": "a length of time: 1h30m, or seconds as a number"})


Ttl = Annotated[timedelta, BeforeValidator(_span), Field(le=LONGEST_TTL), _length(LONGEST_TTL)]
Wait = Annotated[timedelta, BeforeValidator(_span), Field(le=LONGEST_WAIT), _length(LONGEST_WAIT)]
INSTANT = WithJsonSchema(
    {
        "type": "string",
        "format": "date-time",
        "pattern": r"^(20[0-9]{2}|21[0-8][0-9])-",
        "description": "an instant with its offset from UTC, of the years 2000 to 2199",
    }
)
Instant = Annotated[AwareDatetime, AfterValidator(_instant), INSTANT]
