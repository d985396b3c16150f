"""Usage events, their sums, and the rule that counts one API response once.

The same response stands on several transcript lines that grow while it streams, is replayed into other files by
resumed sessions, and mirrored by sub-agents. ``supersedes`` decides which copy is the true one; every total is then
corrected by the difference.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from operator import add, sub
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import astuple, replace

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import MICRO, PICO, Unit

KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
"""The five kinds of tokens; ``input`` is what was not read from the cache, ``output`` includes reasoning."""

PER_MILLE = 1000
EVEN_WEIGHTS = (PER_MILLE,) * len(KINDS)
"""Each kind counts once: subscriptions meter cached tokens too. Weights are integers per thousand."""


class Usage(NamedTuple):
    """A sum of usage: tokens by kind, API requests, micro-dollars, and how much of it had no known price.

    ``cost_rest`` is what it costs beyond whole micro-dollars, in pico-dollars: single calls of small models cost less
    than one. In sums it may pass a micro-dollar; whoever reads a cost asks ``amount`` or ``cost_usd``.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    requests: int = 0
    cost_microusd: int = 0
    unpriced_tokens: int = 0
    cost_rest: int = 0

    @property
    def kinds(self) -> tuple[int, int, int, int, int]:
        """The five token kinds, in the order of ``KINDS``."""
        return self[:5]

    @property
    def tokens(self) -> int:
        """All tokens, each kind counted once."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h + self.output

    @property
    def input_side(self) -> int:
        """Tokens that went in: fresh input, cache reads and cache writes."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    def plus(self, other: "Usage") -> "Usage":
        """The sum of two usages."""
        return Usage(*map(add, self, other))

    def minus(self, other: "Usage") -> "Usage":
        """The difference; members may be negative, as a correction is."""
        return Usage(*map(sub, self, other))

    def at_least(self, other: "Usage") -> "Usage":
        """The larger of each member: what two reports of one total agree was spent at least."""
        larger = Usage(*map(max, zip(self, other, strict=True)))
        priced, estimated = (other, self) if self.unpriced_tokens else (self, other)
        if estimated.unpriced_tokens and not priced.unpriced_tokens and priced.tokens >= estimated.tokens:
            return larger.costing(priced.cost_pico, unpriced_tokens=0)  # what was a guess is known by now
        return larger.costing(max(self.cost_pico, other.cost_pico))

    def scaled(self, numerator: int, denominator: int) -> "Usage":
        """This usage times a fraction, each member rounded down; nothing when the denominator is 0."""
        if not denominator:
            return Usage()
        return Usage(*(part * numerator // denominator for part in self)).costing(
            self.cost_pico * numerator // denominator
        )

    @property
    def cost_pico(self) -> int:
        """What it costs, in pico-dollars."""
        return self.cost_microusd * PICO + self.cost_rest

    @property
    def cost_usd(self) -> float:
        """What it costs, in dollars."""
        return self.cost_microusd / MICRO if not self.cost_rest else self.cost_pico / (MICRO * PICO)

    def costing(self, pico: int, *, unpriced_tokens: int | None = None) -> "Usage":
        """The same usage at another cost, in pico-dollars, and with as much of it unpriced as is said."""
        whole, rest = divmod(pico, PICO)
        return Usage(*self[:6], whole, self.unpriced_tokens if unpriced_tokens is None else unpriced_tokens, rest)

    def amount(self, unit: Unit, weights: tuple[int, ...] = EVEN_WEIGHTS) -> int:
        """What this usage takes out of a limit of ``unit``, rounded down; ``weights`` apply to tokens only."""
        return self.fine_amount(unit, weights) // fineness(unit, weights)

    def fine_amount(self, unit: Unit, weights: tuple[int, ...] = EVEN_WEIGHTS) -> int:
        """The same without rounding, in parts of the unit's base: there are ``fineness`` of them in one.

        Sums are made of these and rounded once, so that a thousand calls of a third of a token are 333 tokens.
        """
        if unit is Unit.TOKENS:
            if weights == EVEN_WEIGHTS:
                return self.tokens
            return sum(k * w for k, w in zip(self[:5], weights, strict=True))
        if unit is Unit.USD:
            return self.cost_pico
        return self.requests if unit is Unit.REQUESTS else 0


def fineness(unit: Unit, weights: tuple[int, ...] = EVEN_WEIGHTS) -> int:
    """Parts of the base of a unit: pico-dollars of a micro-dollar, thousandths of a token where it is weighed."""
    if unit is Unit.USD:
        return PICO
    return PER_MILLE if unit is Unit.TOKENS and weights != EVEN_WEIGHTS else 1


class PriceTerms(NamedTuple):
    """What a response says about its own price: ``fast`` speed, the ``us`` as geography, its service tier, searches."""

    speed: str = ""
    geo: str = ""
    tier: str = ""
    web_searches: int = 0


ORDINARY = PriceTerms()
"""The terms of most calls: nothing but the model says what they cost."""
USUAL_WORDS = frozenset({"standard", "default", "normal", "auto", "not_available", "global"})
"""How clients and providers write out the usual speed, geography and tier."""


@lru_cache(1024)
def price_terms(*, speed: str = "", geo: str = "", tier: str = "", web_searches: int = 0) -> PriceTerms:
    """Terms as a response words them."""
    speed, geo, tier = ("" if word in USUAL_WORDS else word for word in (speed.lower(), geo.lower(), tier.lower()))
    terms = PriceTerms(speed, geo, tier, web_searches)
    return terms if any(terms) else ORDINARY


def total(usages: Iterable[Usage]) -> Usage:
    """Add usages up."""
    return Usage(*map(sum, zip(Usage(), *usages, strict=True)))


class Extent(StrEnum):
    """How much of a call a record tells."""

    WHOLE = ""  # all that the provider counted
    PARTIAL = "partial"  # an answer that was interrupted: its output is a lower bound
    UNLISTED = "unlisted"  # no single call: what a session's own total holds beyond the calls that it lists


UNSPLIT = frozenset({"otlp/genai/metrics", "otlp/opencode/metrics"})
"""Doors whose figures do not tell cached input from fresh."""

FRESH = timedelta(hours=1)
"""Usage that is recorded later than this after its own time is a backfill: it counts in every amount and window, but
in no counter that rates are made of, or the first import of months of transcripts would be a day of a hundred."""


class UsageEvent(Struct, frozen=True):
    """One recorded API call. ``key`` is unique per provider: the request id, else ``msg:<message id>``.

    ``message`` is the provider's message id where known (empty otherwise) and ``sidechain`` marks a sub-agent's line:
    both serve counting once, see ``supersedes``. ``priority`` is the priority class it counts as; without a lease
    it is ``interactive``, because people do not ask. ``estimated`` says that the cost is that of a model of its kind.
    ``terms`` is what else its price depends on, None where that was not kept; ``cost_given`` that the cost was reported
    and is not ours to correct. ``origin`` is the door it came through: a source's name, behind ``@`` the host that it
    was read on if that is another; ``extent`` how much of a call it tells. ``thread`` is the part of its
    session that made the call, where that has an id of its own, which other doors may call the session; it is used as
    the call comes in, and not kept.
    """

    key: str
    at: datetime
    labels: Labels
    usage: Usage
    run: str = ""
    session: str = ""
    message: str = ""
    sidechain: bool = False
    priority: Priority = Priority.INTERACTIVE
    flags: tuple[str, ...] = ()
    prompt_version: str = ""
    status: str = ""
    estimated: bool = False
    terms: PriceTerms | None = ORDINARY
    cost_given: bool = False
    origin: str = ""
    extent: Extent = Extent.WHOLE
    thread: str = ""

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"usage event {self.key!r} has a time without a zone: {self.at}")

    def __eq__(self, other: object) -> bool:
        """Whether all but the thread is the same: that is not kept."""
        return isinstance(other, UsageEvent) and astuple(self)[:-1] == astuple(other)[:-1]

    def __hash__(self) -> int:
        return hash((self.key, self.at))

    @property
    def is_unsplit(self) -> bool:
        """Whether its input was reported without what came from the cache: its cost is a bound."""
        return self.origin.partition("@")[0] in UNSPLIT

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two records the same event."""
        return self.labels.provider, self.key

    def costing(self, pico: int, *, estimated: bool) -> "UsageEvent":
        """The same call at another cost, in pico-dollars.

        One that is ``estimated`` counts all tokens as unpriced; what is not split is a guess at any price.
        """
        usage = self.usage
        cost, rest = divmod(pico, PICO)
        priced = Usage(*usage[:6], cost, usage.tokens if estimated else 0, rest)
        return UsageEvent(
            self.key, self.at, self.labels, priced, self.run, self.session, self.message, self.sidechain,
            self.priority, self.flags, self.prompt_version, self.status, estimated or self.is_unsplit, self.terms,
            self.cost_given, self.origin, self.extent, self.thread,
        )  # fmt: skip

    def is_backfill(self, now: datetime) -> bool:
        """Whether it comes so long after its own time that it says nothing about the rate of use now."""
        return self.at < now - FRESH


def supersedes(new: UsageEvent, old: UsageEvent) -> bool:
    """Whether ``new`` is the truer copy of the same response: the larger total, since streams grow.

    The kept record's time and labels are kept with it. On a tie a line of the main conversation beats a sub-agent's
    copy, then the earlier instant wins, then the smaller key: a strict order, so that it does not matter which copy is
    read first. Of copies equal in all of that the one of the smaller session counts; if they share that, too, neither
    supersedes the other, and the first one read stays.
    """
    if new.usage.tokens != old.usage.tokens:
        return new.usage.tokens > old.usage.tokens
    if new.sidechain != old.sidechain:
        return old.sidechain
    return (new.at, new.key, new.session) < (old.at, old.key, old.session)


def is_replay(new: UsageEvent, other: UsageEvent) -> bool:
    """Whether a side-chain line only repeats a message that is known under another request id (side questions).

    It repeats a line of the main conversation whatever the totals; of two side-chain copies the lesser is the replay.
    """
    if not new.sidechain or not new.message or new.message != other.message or new.identity == other.identity:
        return False
    return not other.sidechain or supersedes(other, new)


def relabelled(event: UsageEvent, labels: Labels, *, run: str, priority: Priority) -> UsageEvent:
    """The event with a lease's labels over its own: a lease bound to the session knows better than rules."""
    return replace(event, labels=event.labels.overlaid(labels), run=run or event.run, priority=priority)
