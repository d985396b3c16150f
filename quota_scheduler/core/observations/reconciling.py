"""Three figures of the same use side by side: what was counted here, what the provider says, what it bills.

    own sum ─────────┐
    provider's word ─┼──► drift ──► its likely cause, and a sentence with what to do
    bill ────────────┘

Each is compared as of the same instant: the own sum up to the report, or up to where the bill is closed. A cause is the
likeliest that the figures bear out, never more than that.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct

from quota_scheduler.core.instants import iso, iso_or_none
from quota_scheduler.core.observations.points import POINT, Rate
from quota_scheduler.core.observations.report_key import ReportKey
from quota_scheduler.core.observations.reported_window import ReportedWindow, WindowChange
from quota_scheduler.core.units import MICRO, PICO
from quota_scheduler.core.usage import Usage

ROUNDING = 1.0
"""Percent points: most doors tell whole ones."""
TOKENS_ALIKE = 0.005
"""Of what is billed: retries that both count once, hours that a clock puts aside."""
COSTS_ALIKE = 0.02
"""Of what is charged: rounding of every line, and taxes of some."""
FEW = 0.1
"""Of what is billed: calls that no file lists make up this much at most (compaction, titles, web search)."""
STALE = timedelta(minutes=30)
"""A report older than this is no longer of now (design, section 2)."""


class DriftCause(StrEnum):
    """Why figures differ, as far as they tell."""

    AGREES = "agrees"
    PASSED = "window_passed"
    NO_SHARE = "no_share_told"
    NOT_LEARNED = "rate_not_learned"
    NOTHING_HERE = "nothing_counted_here"
    HOST_SILENT = "host_silent"
    ELSEWHERE = "used_elsewhere"
    GIVEN_BACK = "given_back"
    TOO_MUCH_HERE = "more_counted_here"
    PARTIAL_ANSWERS = "partial_answers"
    HIDDEN_CALLS = "hidden_calls"
    UNPRICED = "unpriced"
    PRICES = "prices_differ"


SENTENCES: dict[DriftCause, str] = {
    DriftCause.AGREES: "They agree.",
    DriftCause.PASSED: "Its reset has passed: nothing was reported on the window of now.",
    DriftCause.NO_SHARE: "The provider told where the window stands, and not how much of it is used.",
    DriftCause.NOT_LEARNED: "How much a percent is has not been learned: it takes three reports over two points, and a "
    "limit in percent that observes the window.",
    DriftCause.NOTHING_HERE: "Nothing of it was counted here: is the account named as its source names it, and are its "
    "files read?",
    DriftCause.HOST_SILENT: "A host that ships has been silent: {hosts}.",
    DriftCause.ELSEWHERE: "More is used than was counted here: in a browser, on a host that does not ship, or by "
    "calls that no file lists.",
    DriftCause.GIVEN_BACK: "The provider counts less than before: it gave something back, or allows more.",
    DriftCause.TOO_MUCH_HERE: "More was counted here than the provider counts: other accounts under this name, or "
    "calls that it does not charge.",
    DriftCause.PARTIAL_ANSWERS: "Only output is missing here, and {partial} answers were interrupted: their rest is "
    "in no file.",
    DriftCause.HIDDEN_CALLS: "A few calls are missing here: those that no file lists (compaction, titles, web search).",
    DriftCause.UNPRICED: "Tokens agree, and {unpriced} of them have no known price: state it under `prices`.",
    DriftCause.PRICES: "Tokens agree and the cost does not: a discount, a tier, or a price that changed; state it "
    "under `prices`.",
}
"""What is told about each cause, and what to do."""


class Circumstances(NamedTuple):
    """What else is known of a span: hosts that ship and were silent in it, and how many answers were interrupted."""

    silent_hosts: tuple[str, ...] = ()
    partial: int = 0


class Reconciliation(Struct, frozen=True):
    """One account and span. ``own`` is up to ``as_of``, when the others said what they say.

    Percent are points (0-100) of the provider's window: ``own_percent`` as learned, ``low`` to ``high`` its interval,
    ``said_percent`` what was reported. ``billed`` are tokens of the usage report, ``charged_pico`` of the cost report.
    The drift is what others say less what was counted here.
    """

    provider: str
    account: str
    window: str
    starts_at: datetime
    ends_at: datetime
    as_of: datetime
    own: Usage
    cause: DriftCause
    detail: str
    own_percent: float | None = None
    low: float | None = None
    high: float | None = None
    said_percent: float | None = None
    source: str = ""
    stale: bool = False
    billed: Usage | None = None
    charged_pico: int | None = None

    @property
    def drift_percent(self) -> float | None:
        """Points that the provider counts beyond the own sum."""
        return None if self.said_percent is None or self.own_percent is None else self.said_percent - self.own_percent

    @property
    def drift_tokens(self) -> int | None:
        """Tokens that are billed beyond the own sum."""
        return None if self.billed is None else self.billed.tokens - self.own.tokens

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        drift = self.drift_percent
        return {
            "provider": self.provider,
            "account": self.account,
            "window": self.window,
            "starts_at": iso(self.starts_at),
            "ends_at": iso(self.ends_at),
            "as_of": iso_or_none(self.as_of),
            "own": {
                "tokens": self.own.tokens,
                "cost_usd": self.own.cost_usd,
                "percent": _rounded(self.own_percent),
                "percent_low": _rounded(self.low),
                "percent_high": _rounded(self.high),
            },
            "said": None
            if not self.source
            else {"percent": _rounded(self.said_percent), "source": self.source, "stale": self.stale},
            "bill": None
            if self.billed is None
            else {
                "tokens": self.billed.tokens,
                "cost_usd": None if self.charged_pico is None else self.charged_pico / (MICRO * PICO),
            },
            "drift_percent": _rounded(drift),
            "drift_tokens": self.drift_tokens,
            "cause": self.cause.value,
            "detail": self.detail,
        }


def _rounded(percent: float | None) -> float | None:
    return None if percent is None else round(percent, 2)


def reconcile_word(
    key: ReportKey, window: ReportedWindow, own: Usage, rate: Rate | None, around: Circumstances, *, now: datetime
) -> Reconciliation:
    """A window as its provider reports it beside what was used here until that report."""
    low, middle, high = (
        (own.cost_pico * part / (PICO * MICRO * POINT) for part in (rate.low, rate.middle, rate.high))
        if rate
        else (None, None, None)
    )
    said = None if window.ratio is None else window.ratio * 100
    cause = _cause_of_word(window, own, said, (low, middle, high), around, now)
    return Reconciliation(
        key.provider, key.account, f"{key.window.value}{'/' if key.scope else ''}{key.scope}",
        window.began_at, window.ends_at, window.observed_at, own, cause, _sentence(cause, own, around),
        own_percent=middle, low=low, high=high, said_percent=said, source=window.source,
        stale=now - window.heard_at > STALE,
    )  # fmt: skip


def _cause_of_word(
    window: ReportedWindow,
    own: Usage,
    said: float | None,
    percents: Sequence[float | None],
    around: Circumstances,
    now: datetime,
) -> DriftCause:
    if window.ends_at <= now:
        return DriftCause.PASSED
    if said is None:
        return DriftCause.NO_SHARE
    if not own.tokens and said > ROUNDING:
        return DriftCause.HOST_SILENT if around.silent_hosts else DriftCause.NOTHING_HERE
    low, _, high = percents
    if low is None or high is None:
        return DriftCause.NOT_LEARNED
    if said > high + ROUNDING:
        return DriftCause.HOST_SILENT if around.silent_hosts else DriftCause.ELSEWHERE
    if said < low - ROUNDING:
        is_lower = any(notice.change is WindowChange.LOWERED for notice in window.notices)
        return DriftCause.GIVEN_BACK if is_lower else DriftCause.TOO_MUCH_HERE
    return DriftCause.AGREES


def reconcile_bill(
    provider: str,
    account: str,
    span: tuple[datetime, datetime],
    own: Usage,
    billed: Usage,
    charged_pico: int | None,
    around: Circumstances,
) -> Reconciliation:
    """A closed span of a provider's reports beside what was used here in it."""
    cause = _cause_of_bill(own, billed, charged_pico, around)
    return Reconciliation(
        provider, account, "bill", *span, span[1], own, cause, _sentence(cause, own, around),
        billed=billed, charged_pico=charged_pico,
    )  # fmt: skip


def _cause_of_bill(own: Usage, billed: Usage, charged_pico: int | None, around: Circumstances) -> DriftCause:
    missing = billed.tokens - own.tokens
    if abs(missing) <= TOKENS_ALIKE * billed.tokens:
        if charged_pico is None or abs(charged_pico - own.cost_pico) <= COSTS_ALIKE * charged_pico:
            return DriftCause.AGREES
        return DriftCause.UNPRICED if own.unpriced_tokens else DriftCause.PRICES
    if missing < 0:
        return DriftCause.TOO_MUCH_HERE
    if around.silent_hosts:
        return DriftCause.HOST_SILENT
    if not own.tokens:
        return DriftCause.NOTHING_HERE
    if around.partial and abs(billed.input_side - own.input_side) <= TOKENS_ALIKE * billed.input_side:
        return DriftCause.PARTIAL_ANSWERS
    return DriftCause.HIDDEN_CALLS if missing <= FEW * billed.tokens else DriftCause.ELSEWHERE


def _sentence(cause: DriftCause, own: Usage, around: Circumstances) -> str:
    hosts = ", ".join(around.silent_hosts)
    return SENTENCES[cause].format(hosts=hosts, partial=around.partial, unpriced=own.unpriced_tokens)
