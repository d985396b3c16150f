"""What was used over all windows, as counters, and what of it has no price."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.names import canonical_model, canonical_provider
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.readings import Counter
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import KINDS, Extent, Usage

Sums = Sequence[int]
"""The members of a ``Usage``, as they are stored."""
Sets = Mapping[int, tuple[Labels, Priority]]
"""Label sets as the store numbers them."""
NOTHING = Usage()
UNPRICED = Usage._fields.index("unpriced_tokens")
PROVIDER_AND_MODEL = 2
"""Parts of a slot that is no limit's."""


class SetApart(NamedTuple):
    """A part of the totals that is no whole call: how many ``answers``, and what was used."""

    label_set: int
    extent: Extent
    origin: str
    is_backfill: bool
    answers: int
    usage: Usage


class _Counted(Struct, frozen=True):
    """What of one label set is counted: all of it, the part that was backfilled, and that beyond the listed calls."""

    whole: Sums = NOTHING
    backfilled: Sums = NOTHING
    unlisted: Sums = NOTHING


class Consumption:
    """Tokens and cost over all windows, by limit, provider and model, and without any limit.

    What is backfilled is counted apart: rates are made of these counters. So is what was used beyond the calls that
    are listed, but in limits, where it counts like all else. Kept up from look to look: only label sets of which
    something moved are added up again.
    """

    def __init__(self) -> None:
        self._counted: dict[int, _Counted] = {}
        self._sums: dict[tuple[str, ...], Usage] = {}
        self._backfills: dict[str, int] = {}
        self._counters: list[Counter] = []

    def counters(
        self,
        totals: Mapping[int, Sums],
        backfilled: Mapping[int, Sums],
        apart: Sequence[SetApart],
        *,
        sets: Sets,
        bind: Callable[[Labels], Iterable[LimitInstance]],
    ) -> list[Counter]:
        """Return the counters as of now; ``totals`` and what of them is ``backfilled`` are by label set.

        ``bind`` says to which limit instances labels fall: to the same ones with every look.
        """
        unlisted = _unlisted(apart)
        has_moved = False
        for number in self._counted.keys() | totals.keys():
            before = self._counted.get(number)
            whole, late = totals.get(number, NOTHING), backfilled.get(number, NOTHING)
            beyond = unlisted.get(number, NOTHING)
            if before is None or (before.whole, before.backfilled, before.unlisted) != (whole, late, beyond):
                self._counted[number] = after = _Counted(whole, late, beyond)
                self._move(sets[number][0], before or _Counted(), after, bind)
                has_moved = True
        if has_moved:
            self._counters = self._added_up()
        return self._counters + _apart(unlisted, sets, apart)

    def _move(
        self, labels: Labels, before: _Counted, after: _Counted, bind: Callable[[Labels], Iterable[LimitInstance]]
    ) -> None:
        """Count a label set as it is now in the place of what it was."""
        slot = canonical_provider(labels.provider), canonical_model(labels.model)
        late = _difference(after.backfilled, before.backfilled)
        self._backfills[slot[0]] = self._backfills.get(slot[0], 0) + late.tokens
        more = _difference(after.whole, before.whole).minus(late)
        self._add(slot, more.minus(_difference(after.unlisted, before.unlisted)))
        for instance in bind(labels):
            self._add((instance.name, *slot), more)

    def _add(self, slot: tuple[str, ...], more: Usage) -> None:
        self._sums[slot] = self._sums.get(slot, NOTHING).plus(more)

    def _added_up(self) -> list[Counter]:
        counters = [
            Counter("quota_backfilled_tokens_total", (name,), tokens)
            for name, tokens in sorted(self._backfills.items())
        ]
        for slot, usage in sorted(self._sums.items()):
            name = "quota_consumed" if len(slot) > PROVIDER_AND_MODEL else "quota_recorded"
            counters += [
                Counter(f"{name}_tokens_total", (*slot, kind), value)
                for kind, value in zip(KINDS, usage.kinds, strict=True)
            ]
            counters.append(Counter(f"{name}_usd_total", slot, usage.amount(Unit.USD)))
        return counters


def _difference(after: Sums, before: Sums) -> Usage:
    return Usage(*after).minus(Usage(*before))


def _unlisted(apart: Iterable[SetApart]) -> dict[int, Usage]:
    """What was used beyond the calls that are listed, backfills aside."""
    sums: dict[int, Usage] = {}
    for one in apart:
        if one.extent is Extent.UNLISTED and not one.is_backfill:
            sums[one.label_set] = sums.get(one.label_set, NOTHING).plus(one.usage)
    return sums


def _apart(unlisted: Mapping[int, Usage], sets: Sets, apart: Iterable[SetApart]) -> list[Counter]:
    sums: dict[tuple[str, str], Usage] = {}
    for number, usage in unlisted.items():
        labels, _ = sets[number]
        slot = canonical_provider(labels.provider), canonical_model(labels.model)
        sums[slot] = sums.get(slot, NOTHING).plus(usage)
    counters = [
        Counter("quota_unlisted_tokens_total", (*slot, kind), value)
        for slot, usage in sorted(sums.items())
        for kind, value in zip(KINDS, usage.kinds, strict=True)
    ]
    counters += [Counter("quota_unlisted_usd_total", slot, u.amount(Unit.USD)) for slot, u in sorted(sums.items())]
    answers: dict[str, int] = {}
    for one in apart:
        if one.extent is Extent.PARTIAL:
            source = one.origin.partition("@")[0]
            answers[source] = answers.get(source, 0) + one.answers
    return counters + [Counter("quota_partial_answers_total", (source,), n) for source, n in sorted(answers.items())]


def unpriced_models(totals: Mapping[int, Sums], sets: Sets, limits: Sequence[Limit]) -> dict[str, int]:
    """Return tokens without a price by model, where a limit counts dollars: elsewhere nobody needs one.

    Work that names no model has none that could be stated.
    """
    in_dollars = [limit for limit in limits if limit.unit is Unit.USD]
    tokens: dict[str, int] = {}
    for number, usage in totals.items() if in_dollars else ():
        if usage[UNPRICED] > 0:
            labels, _ = sets[number]
            if labels.model and any(limit.selects(labels) for limit in in_dollars):
                name = f"{canonical_provider(labels.provider)}/{canonical_model(labels.model)}"
                tokens[name] = tokens.get(name, 0) + usage[UNPRICED]
    return tokens
