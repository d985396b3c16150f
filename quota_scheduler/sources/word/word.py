"""What one report comes to, and how its amounts and instants are read.

    status line, events, headers, limit lines, texts ──a parser──► Word(observations, throttles, refused, unknown)

Doors differ in their units: 0-100 or 0-1, epoch seconds or ISO. Each parser knows its own; here they become ratios and
instants. A report is never refused as a whole: what cannot be meant is named in ``refused`` and the rest is taken, and
a key that nobody knows is named in ``unknown``. What is absent is unknown, never 0.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from quota_scheduler.core.instants import is_plausible
from quota_scheduler.core.observations.observation import Observation, ProviderWindow, Standing, Throttle

ANTHROPIC = "anthropic"
OPENAI = "openai"
REFUSED = frozenset({429, 529})
"""Status codes of a refusal that may be for a moment: too many requests, and too many of everybody's."""
MOST_USED = 2.0
"""More than twice a window's amount is a wrong unit, a percentage read as a share: 102 % and 1.02 were seen."""
FARTHEST_RESET = timedelta(days=62)
"""A reset farther from its report than two months, before or after, is a wrong unit: the longest window that providers
name is a month. One that has just passed is told by clients that show an old answer."""
LONGEST_RETRY = timedelta(days=31)
"""Longer than this nobody asks to be left alone: ``retry-after`` of a weekly limit can be days."""
MILLIS_FROM = 10**11
"""Epoch counts from here on are milliseconds: as seconds they lie in the year 5138."""
MOST_NAMED = 50
"""Refused entries and unknown keys that one report names: what somebody else writes must not fill a disk."""
LONGEST_NAME = 80


class Teller(Struct, frozen=True):
    """Who says it, and when: the account of a provider, by which door (``source``), at the instant of the record."""

    account: str
    at: datetime
    source: str
    provider: str = ANTHROPIC


class Word(Struct):
    """What a report said. ``refused`` says of each entry left out what it was and why, ``unknown`` names its keys.

    ``version`` is that of the program that wrote it, where it says so.
    """

    observations: list[Observation] = field(default_factory=list)
    throttles: list[Throttle] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    version: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing that is kept."""
        return not (self.observations or self.throttles)

    def refuse(self, what: str) -> None:
        """Leave an entry out, and say which and why."""
        if len(self.refused) < MOST_NAMED:
            self.refused.append(what)

    def look_over(self, said: Mapping[Any, Any], known: Collection[str], where: str) -> None:
        """Name the keys of an object that nobody here knows; ``where`` is the object's own name."""
        for key in said:
            if key not in known and len(self.unknown) < MOST_NAMED:
                self.unknown.append(f"{where}.{str(key)[:LONGEST_NAME]}")

    def add(self, other: "Word") -> "Word":
        """Take over what another part of the same report said; returns itself."""
        self.observations += other.observations
        self.throttles += other.throttles
        self.refused += other.refused[: MOST_NAMED - len(self.refused)]
        self.unknown += other.unknown[: MOST_NAMED - len(self.unknown)]
        self.version = self.version or other.version
        return self

    def observe(
        self,
        teller: Teller,
        window: ProviderWindow,
        scope: str = "",
        *,
        used_ratio: float | None = None,
        resets_at: datetime | None = None,
        standing: Standing = Standing.UNKNOWN,
        overage: bool = False,
    ) -> None:
        """Add one observation; one that says neither amount nor reset nor standing would say nothing, and is not."""
        if used_ratio is None and resets_at is None and not standing and not overage:
            return
        self.observations.append(
            Observation(
                provider=teller.provider,
                account=teller.account,
                window=window,
                observed_at=teller.at,
                source=teller.source,
                used_ratio=used_ratio,
                resets_at=resets_at,
                scope=scope,
                standing=standing,
                overage=overage,
            )
        )

    def throttle(self, teller: Teller, retry_after: timedelta | None = None) -> None:
        """Add that the provider refused for a moment."""
        self.throttles.append(Throttle(teller.provider, teller.account, teller.at, teller.source, retry_after))

    def ratio(self, said: object, *, per: float, name: str) -> float | None:
        """An amount as a ratio of its window; ``per`` is what the door writes for all of it: 1 or 100."""
        if said is None:
            return None
        number = number_of(said)
        if number is None or not 0 <= number / per <= MOST_USED:
            self.refuse(f"{name}: {shown(said)} is not a share from 0 to {per:g}")
            return None
        return number / per

    def instant(self, said: object, *, name: str, at: datetime) -> datetime | None:
        """A reset as an instant, whether it is told in epoch seconds, milliseconds or ISO 8601; ``at`` is the report's.

        None and 0 are "not told": some builds write 0 before the first answer.
        """
        if said is None or said == 0 or said == "":
            return None
        read = instant_of(said)
        if read is None or not is_plausible(read) or abs(read - at) > FARTHEST_RESET:
            self.refuse(f"{name}: {shown(said)} is no instant at which a window can end")
            return None
        return read

    def standing(self, said: object, *, name: str) -> Standing:
        """A status word; one that nobody knows is named and means nothing."""
        if said is None or said == "":
            return Standing.UNKNOWN
        try:
            return Standing(str(said).lower())
        except ValueError:
            self.refuse(f"{name}: {shown(said)} is no status that is known")
            return Standing.UNKNOWN


def of_account(word: Word, account: str, provider: str) -> Word:
    """The same word as that of an account: whose it is, a reader of files cannot know."""
    return Word(
        [replace(report, account=account, provider=provider) for report in word.observations],
        [replace(moment, account=account, provider=provider) for moment in word.throttles],
        word.refused,
        word.unknown,
        word.version,
    )


def number_of(said: object) -> float | None:
    """A finite number, also one written as text; None for anything else, a truth value included."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    try:
        number = float(said)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def instant_of(said: object) -> datetime | None:
    """Epoch seconds, epoch milliseconds or ISO 8601 with a zone; None where it is none of them."""
    number = number_of(said)
    try:
        if number is not None:
            return datetime.fromtimestamp(number / 1000 if number >= MILLIS_FROM else number, UTC)
        at = datetime.fromisoformat(said) if isinstance(said, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return None if at is None or at.tzinfo is None else at.astimezone(UTC)


def pause_of(seconds: object) -> timedelta | None:
    """How long a provider asked to be left alone; None where it did not say, or said what cannot be meant."""
    number = number_of(seconds)
    if number is None or not 0 <= number <= LONGEST_RETRY.total_seconds():
        return None
    return timedelta(seconds=number)


def mapping_of(said: object) -> Mapping[str, Any]:
    """An object as it is; anything else is an empty one: a key of another shape than expected says nothing."""
    return said if isinstance(said, Mapping) else {}


def text_of(said: object) -> str:
    """A text as it is, anything else as an empty one."""
    return said if isinstance(said, str) else ""


def shown(said: object) -> str:
    """A value as a person may read it, cut where it is long."""
    text = repr(said)
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"
