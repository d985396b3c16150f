"""Unlisted usage: what a session's own total holds beyond the calls that it lists.

A client keeps calls out of its transcript (compaction, the search behind a tool, titles) and yet states a total per
model that holds them. What the listed calls do not explain was used all the same.

    stated total  −  listed calls until then  −  what a fork began with  =  unlisted, never below 0

All three grow and come in any order, so the figure is derived anew from all that is known whenever one of them moves:
a call that some other door lists later takes its part out of the unlisted again, and nothing counts twice.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from msgspec import Struct

from quota_scheduler.core.instants import MICROSECOND
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.names import canonical_model
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import KINDS, Usage


class Inheritance(NamedTuple):
    """A fork repeats calls of another session; ``at`` is the instant of the last that it has copied."""

    session: str
    ancestor: str
    at: datetime


class StatedUsage(NamedTuple):
    """What a session states that one model was used for, from its beginning on, and on whose behalf."""

    labels: Labels
    priority: Priority
    usage: Usage
    web_searches: int = 0


class SessionTotal(Struct, frozen=True):
    """A total that a session stated ``at`` an instant, of all that it had used by then, its ancestors' use included.

    ``place`` is where it stands in the session's file: of two totals the later one is the truer. What belongs to it
    happened before ``until``, the next thing that the session tells; None while it has told nothing.
    """

    session: str
    place: int
    at: datetime
    stated: tuple[StatedUsage, ...]
    until: datetime | None = None


class GoingOn(NamedTuple):
    """A session tells something ``at`` an instant, at a place of its file: a total that was the last before it ends."""

    session: str
    place: int
    at: datetime


class ListedUse(NamedTuple):
    """A call that some door listed, as far as it matters here.

    ``beside`` the main conversation stand calls that no fork copies: a sub-agent's, and what only other doors tell of.
    """

    at: datetime
    model: str
    usage: Usage
    web_searches: int = 0
    beside: bool = False
    partial: bool = False


class UnlistedUse(NamedTuple):
    """What came to a session's unlisted usage of one model by the total that stands at a place of its file."""

    place: int
    at: datetime
    labels: Labels
    priority: Priority
    usage: Usage
    web_searches: int = 0


Figures = tuple[int, ...]
"""Tokens by kind, and web searches behind them."""
NOTHING: Figures = (0,) * (len(KINDS) + 1)
ByModel = dict[str, Figures]
"""By the one name of a model: transcripts and totals spell it differently (``[1m]``)."""


def unlisted(
    totals: Sequence[SessionTotal], listed: Iterable[ListedUse], began_with: Mapping[str, Figures]
) -> list[UnlistedUse]:
    """Return what a session used beyond what is listed, by model and by the total that first tells of it.

    The last total rules. Earlier ones only say when it was used: of what each leaves unexplained as much counts as none
    of those after it takes back, each kind of tokens by itself.
    """
    totals = sorted(totals, key=lambda total: total.place)
    calls = _Calls(_in_totals(totals, listed, began_with))
    left = [_left(total, calls, began_with) for total in totals]
    for before, after in reversed(list(pairwise(left))):
        for model, figures in before.items():
            before[model] = tuple(map(min, figures, after.get(model, NOTHING)))
    uses: list[UnlistedUse] = []
    counted: ByModel = {}
    for total, figures_of in zip(totals, left, strict=True):
        for model, figures in figures_of.items():
            more = tuple(a - b for a, b in zip(figures, counted.get(model, NOTHING), strict=True))
            if any(more):
                uses.append(_use(total, model, calls.spelt.get(model), more))
        counted = figures_of
    return uses


def began_with(
    inherited: Iterable[Inheritance],
    totals: Mapping[str, Sequence[SessionTotal]],
    listed: Mapping[str, Sequence[ListedUse]],
    session: str,
) -> ByModel:
    """Return the total that a session began with: nothing, or for a fork what its parent had stated by then.

    The parent is whom it has copied the latest call from. Its total is the last before it made a call that the fork
    has not copied, and before the fork did anything itself. Where the parent's file is not known, but the fork's first
    total has room for what is listed of the parent, it began with that at least.
    """
    parents = [one for one in inherited if one.session == session]
    own = sorted(totals.get(session, ()), key=lambda total: total.place)
    if not parents or not own:
        return {}
    parent = max(parents, key=lambda one: (one.at, one.ancestor))
    calls = listed.get(parent.ancestor, ())
    acted = min([own[0].at, *(call.at for call in listed.get(session, ()))])
    uncopied = min((call.at for call in calls if call.at > parent.at and not call.beside), default=None)
    stated = [
        total
        for total in totals.get(parent.ancestor, ())
        if total.at <= acted and (uncopied is None or total.at < uncopied)
    ]
    if stated:
        return _stated(max(stated, key=lambda total: total.place))
    if totals.get(parent.ancestor):
        return {}  # it had stated nothing yet
    copied = _Calls(call for call in calls if call.at <= parent.at).until(None)
    room = _left(own[0], _Calls(_in_totals(own, listed.get(session, ()), {})), {})
    fits = all(a <= b for m, f in copied.items() for a, b in zip(f, room.get(m, NOTHING), strict=True))
    return copied if fits else {}


def _in_totals(
    totals: Iterable[SessionTotal], listed: Iterable[ListedUse], base: Mapping[str, Figures]
) -> Iterable[ListedUse]:
    """The listed calls that a total may hold.

    A run that ends by an interrupt writes its total first and the interrupted answer then. Whether that is in the total
    depends on how far the client had heard it: it is where the total has room for its input, else it never comes in,
    since the next run goes on from that total.
    """
    ends = {total.until: total for total in totals if total.until}
    certain: list[ListedUse] = []
    doubtful: list[tuple[ListedUse, SessionTotal]] = []
    for call in listed:
        total = ends.get(call.at) if call.partial else None
        if total is None:
            certain.append(call)
        else:
            doubtful.append((call, total))
    if doubtful:
        calls = _Calls(certain)
        certain += [
            call._replace(at=call.at - MICROSECOND) for call, total in doubtful if _holds(total, call, calls, base)
        ]
    return certain


def _holds(total: SessionTotal, call: ListedUse, calls: "_Calls", base: Mapping[str, Figures]) -> bool:
    """Whether a total has room for the input of an interrupted answer beside the other calls."""
    room = _left(total, calls, base).get(canonical_model(call.model), NOTHING)
    return all(tokens <= left for tokens, left in zip(call.usage.kinds[:-1], room[: len(KINDS) - 1], strict=True))


class _Calls:
    """Listed calls by time, and how they spell their models. Many totals ask: sums are kept as they grow."""

    def __init__(self, listed: Iterable[ListedUse]) -> None:
        self.spelt: dict[str, str] = {}
        self._times: dict[str, list[datetime]] = {}
        self._sums: dict[str, list[Figures]] = {}
        for call in sorted(listed, key=lambda call: call.at):
            name = canonical_model(call.model)
            self.spelt[name] = min(call.model, self.spelt.get(name, call.model))
            sums = self._sums.setdefault(name, [NOTHING])
            sums.append(_added(sums[-1], (*call.usage.kinds, call.web_searches)))
            self._times.setdefault(name, []).append(call.at)

    def until(self, end: datetime | None) -> ByModel:
        """Their sums by model before an instant, None for all."""
        return {
            name: self._sums[name][len(times) if end is None else bisect_left(times, end)]
            for name, times in self._times.items()
        }


def _left(total: SessionTotal, calls: _Calls, base: Mapping[str, Figures]) -> ByModel:
    """What a total leaves unexplained, by model."""
    explained = calls.until(total.until)
    return {
        model: tuple(
            max(0, stated - called - begun)
            for stated, called, begun in zip(
                figures, explained.get(model, NOTHING), base.get(model, NOTHING), strict=True
            )
        )
        for model, figures in _stated(total).items()
    }


def _stated(total: SessionTotal) -> ByModel:
    sums: ByModel = {}
    for one in total.stated:
        name = canonical_model(one.labels.model)
        sums[name] = _added(sums.get(name, NOTHING), (*one.usage.kinds, one.web_searches))
    return sums


def _added(a: Figures, b: Figures) -> Figures:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _use(total: SessionTotal, model: str, spelt: str | None, figures: Figures) -> UnlistedUse:
    """What came with a total, under the labels that it states for the model, spelt as the session's calls spell it."""
    one = min((s for s in total.stated if canonical_model(s.labels.model) == model), key=lambda s: s.labels.model)
    labels = one.labels._replace(model=spelt or one.labels.model.partition("[")[0])
    *kinds, web_searches = figures
    return UnlistedUse(total.place, total.at, labels, one.priority, Usage(*kinds), web_searches)
