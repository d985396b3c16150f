"""The sentences in which agents tell a person that a limit was reached, of all eras.

    text ──prefix──► what it means ──name of the limit──► window ──"resets …"──► instant (see ``clocks``)

Only messages that an agent made up itself may be read so: the same sentences stand in tool results and in answers of
models. Both apostrophes are met, and ``·``, ``∙`` or `` - `` between the parts. What a sentence does not say is not
guessed: a limit without a name is the five hours' where it ends within five hours, the week's where it ends later,
and none where it does not say.
"""

import re
from datetime import datetime, timedelta, tzinfo
from enum import Enum

from quota_scheduler.core.observations.observation import ProviderWindow, Standing
from quota_scheduler.sources.word.clocks import LOCAL, reset_in
from quota_scheduler.sources.word.windows import (
    CREDITS,
    FIVE_HOUR,
    SESSION,
    WEEKLY,
    Named,
    scope_of_model,
    window_ending,
)
from quota_scheduler.sources.word.word import Teller, Word

LONGEST_TEXT = 4_000
"""A longer message is no sentence about a limit."""
LONGEST_RESET = 80
"""Characters of a sentence in which its reset is looked for, behind the word that announces it."""
WEEK = timedelta(days=7)


class Meaning(Enum):
    """What a sentence says about the account."""

    OVERAGE = "work goes on in paid credits"
    WARNING = "a limit is close"
    SPENT = "a limit was reached"
    MOMENT = "refused for a moment"


PREFIXES = {
    # the list of the agent SDK 0.3.330
    "you're now using usage credits": Meaning.OVERAGE,
    "now using usage credits": Meaning.OVERAGE,
    "now using credits": Meaning.OVERAGE,
    "you're now using your usage allocation": Meaning.OVERAGE,
    "now using your usage allocation": Meaning.OVERAGE,
    "you're now using extra usage": Meaning.OVERAGE,
    "now using extra usage": Meaning.OVERAGE,
    "you've used": Meaning.WARNING,
    "you're close to": Meaning.WARNING,
    "you've hit your": Meaning.SPENT,
    "you've reached your": Meaning.SPENT,
    "you're out of usage credits": Meaning.SPENT,
    "your org is out of usage": Meaning.SPENT,
    "your seat type doesn't include": Meaning.SPENT,
    "your usage allocation has been disabled by your admin": Meaning.SPENT,
    "your group's usage limit is set to $0": Meaning.SPENT,
    "fable 5 requires usage credits": Meaning.SPENT,
    "you're out of extra usage": Meaning.SPENT,
    # earlier transcripts, the apps gateway, prepaid credit
    "claude ai usage limit reached": Meaning.SPENT,
    "5-hour limit reached": Meaning.SPENT,
    "session limit reached": Meaning.SPENT,
    "weekly limit reached": Meaning.SPENT,
    "opus weekly limit reached": Meaning.SPENT,
    "opus limit reached": Meaning.SPENT,
    "spend limit reached": Meaning.SPENT,
    "credit balance is too low": Meaning.SPENT,
    "you have reached your specified api usage limits": Meaning.SPENT,
    # refusals that say nothing about a plan
    "server is temporarily limiting requests": Meaning.MOMENT,
    "request rejected (429)": Meaning.MOMENT,
    "repeated 529": Meaning.MOMENT,
    "429": Meaning.MOMENT,
    "529": Meaning.MOMENT,
    "overloaded": Meaning.MOMENT,
    "exceeded retry limit, last status: 429": Meaning.MOMENT,
    "selected model is at capacity": Meaning.MOMENT,
}
"""How sentences begin, in lower case and with the straight apostrophe, and what they mean."""
_NAMED_LIMIT = re.compile(
    r"\b(?:your|of) ((?:[\w'.-]+ ){0,4}?)(?:usage )?limits?\b|^((?:[\w'.-]+ ){0,3}?)limit reached", re.IGNORECASE
)
_RESETS = re.compile(
    r"(?:\byour ((?:[\w'.-]+ ){1,3}?)limit )?(?:\bresets?\b|\btry again\b|\bregain access\b|limit reached(?=\|))"
    r"(?: at| on)?",
    re.IGNORECASE,
)
_PERCENT = re.compile(r"\b(\d{1,3}(?:\.\d+)?) ?%")
_SPAN_OF_SPEND = re.compile(r"\((daily|weekly)\b", re.IGNORECASE)
_SESSION_NAMES = frozenset({"session", "5-hour", "five-hour", "5 hour"})
_WEEK_NAMES = frozenset({"weekly", "7-day", "week's"})


def plain_text(text: str) -> str:
    """A message with straight apostrophes and single spaces, without the words that announce an error."""
    plain = " ".join(text[:LONGEST_TEXT].replace("\u2019", "'").split())
    return plain.removeprefix("API Error: ").removeprefix("Error: ")


def meaning_of(text: str) -> Meaning | None:
    """What a message means by how it begins; None where it is about something else."""
    if len(text) > LONGEST_TEXT:
        return None
    plain = plain_text(text).lower()
    return next((meaning for prefix, meaning in PREFIXES.items() if plain.startswith(prefix)), None)


def read_limit_text(text: str, teller: Teller, zone: tzinfo | None = LOCAL) -> Word:
    """What a sentence says, nothing where it is none about limits; ``zone`` is that of the machine it was shown on.

    Instants come after ``teller.at``, the record's own time: five hours at the latest for a session, seven days for a
    week, because a clock without a date can mean no other.
    """
    word, meaning, plain = Word(), meaning_of(text), plain_text(text)
    if meaning is None:
        return word
    if meaning is Meaning.MOMENT:
        told = [line for line in plain.split(" · ")[1:] if meaning_of(line) is Meaning.SPENT]
        if not told:
            word.throttle(teller)
            return word
        plain, meaning = told[0], Meaning.SPENT  # a server's own words about a month's spend
    own, others = _resets(plain, teller.at, zone)
    named = _window(plain, own, teller.at)
    if named is None and not others:
        word.refuse(f"{plain[:60]!r}: says neither which limit it is about nor when that ends")
    standing = Standing.WARNING if meaning is Meaning.WARNING else Standing.REJECTED
    if named and not (meaning is Meaning.OVERAGE and others):
        percent = _PERCENT.search(plain) if meaning is Meaning.WARNING else None
        ratio = word.ratio(percent[1], per=100, name="percent") if percent else None
        _observe(word, teller, named, own, standing, meaning, ratio)
    for other, resets_at in others:
        spent = Standing.REJECTED if meaning is Meaning.OVERAGE else Standing.UNKNOWN
        _observe(word, teller, other, resets_at, spent, meaning, None)
    return word


def _observe(
    word: Word,
    teller: Teller,
    named: Named,
    resets_at: datetime | None,
    standing: Standing,
    meaning: Meaning,
    ratio: float | None,
) -> None:
    longest = {ProviderWindow.FIVE_HOUR: SESSION, ProviderWindow.MONTHLY_SPEND: None}.get(named[0], WEEK)
    if resets_at and longest:
        resets_at = min(resets_at, teller.at + longest)
    word.observe(
        teller,
        *named,
        used_ratio=ratio,
        resets_at=word.instant(resets_at.isoformat() if resets_at else None, name="resets", at=teller.at),
        standing=standing,
        overage=meaning is Meaning.OVERAGE,
    )


def _resets(
    plain: str, at: datetime, zone: tzinfo | None
) -> tuple[datetime | None, list[tuple[Named, datetime | None]]]:
    """The reset of the limit that the sentence is about, and those of other limits that it names beside it."""
    own, others = None, []
    for match in _RESETS.finditer(plain):
        resets_at = reset_in(plain[match.end() : match.end() + LONGEST_RESET], at, zone)
        other = _limit_named(match[1], plain) if match[1] else None
        if other:
            others.append((other, resets_at))
        elif resets_at:
            own = own or resets_at
    return own, others


def _window(plain: str, resets_at: datetime | None, at: datetime) -> Named | None:
    """Which limit a sentence is about."""
    begin = plain.split(" · ")[0].split(" ∙ ")[0].split(" - ")[0]
    match = _NAMED_LIMIT.search(begin)
    name = (match[1] or match[2] or "").strip() if match else None
    if name is None:
        return CREDITS
    named = _limit_named(name, plain)
    if named or resets_at is None:
        return named
    return window_ending(resets_at, at)


def _limit_named(name: str, plain: str) -> Named | None:
    """A limit by the words before "limit"; None where they name none."""
    words = [word for word in name.lower().split() if word not in {"your", "usage", "claude", "ai", "the", "plan"}]
    if "$0" in plain:
        return CREDITS
    if {"spend", "monthly", "api", "daily"} & set(words):
        span = _SPAN_OF_SPEND.search(plain)
        whose = "individual" if "individual" in words else ""
        return ProviderWindow.MONTHLY_SPEND, span[1].lower() if span else whose
    if _SESSION_NAMES & set(words):
        return FIVE_HOUR
    models = [word for word in words if word not in _WEEK_NAMES]
    if models:
        return ProviderWindow.WEEKLY_MODEL, scope_of_model(" ".join(models))
    return WEEKLY if words else None
