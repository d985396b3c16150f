"""Plain events: the calls of a batch that are simply new unless the ledger knows their ids, told by columns.

    events ──parted──► plain: who and where once for each kind, and of each call its ids, its instant and its numbers
                  └──► the others: they share an id with another of the batch, or anything about them is out of the way

Nearly all of months of history is plain. Rows are made of columns without looking at any event, and they cross a
process boundary as arrays; everything that must look at events asks for those it needs.
"""

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import chain, compress
from operator import attrgetter

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.instants import HOUR_MICROS, from_micros, to_micros
from quota_scheduler.core.ledger.deduplicate import LONGEST_ID, MESSAGE_KEY, pair_key, request_of
from quota_scheduler.core.ledger.doors import DoorRank, door_of
from quota_scheduler.core.units import LARGEST_EVENT
from quota_scheduler.core.usage import Extent, Usage, UsageEvent

_KIND = attrgetter(
    "labels", "session", "run", "sidechain", "priority", "flags", "prompt_version", "status", "estimated", "terms",
    "cost_given", "origin", "extent",
)  # fmt: skip
"""What calls of one kind have in common."""
_UNCHARGED = (0, 0, 0)
Columns = tuple[Sequence[int], ...]


class PlainEvents(Struct, frozen=True):
    """Calls by columns. ``kinds`` are one event each with what many have in common; ``kind`` says which is whose.

    ``at`` is in microseconds since 1970. ``usage`` are the columns of token kinds and requests, ``costs`` those of
    whole micro-dollars, unpriced tokens, the rest in pico-dollars, and whether that is an estimate; none unpriced.
    """

    kinds: tuple[UsageEvent, ...] = ()
    kind: Sequence[int] = ()
    keys: Sequence[str] = ()
    messages: Sequence[str] = ()
    at: Sequence[int] = ()
    usage: Columns = ((),) * 6
    costs: Columns = ()

    def __len__(self) -> int:
        return len(self.keys)

    def events(self) -> list[UsageEvent]:
        """All of them, one by one."""
        return self._made(self)

    def where(self, chosen: Sequence[bool]) -> list[UsageEvent]:
        """Those that are chosen, each by its place."""
        return self._made(self.only(chosen)) if any(chosen) else []

    def only(self, chosen: Sequence[bool]) -> "PlainEvents":
        """The same without those that are not chosen."""

        def some(columns: Columns) -> Columns:
            return tuple(list(compress(column, chosen)) for column in columns)

        kind, at = some((self.kind, self.at))
        keys, messages = (list(compress(names, chosen)) for names in (self.keys, self.messages))
        return PlainEvents(self.kinds, kind, keys, messages, at, some(self.usage), some(self.costs))

    def hourly(self) -> list[UsageEvent]:
        """One event for each kind and hour: who tells of which hours."""
        return [
            replace(self.kinds[kind], at=from_micros(hour * HOUR_MICROS))
            for kind, hour in set(zip(self.kind, [at // HOUR_MICROS for at in self.at], strict=True))
        ]

    def ends(self) -> list[UsageEvent]:
        """The earliest of each kind, and the newest in the order they were told."""
        first: dict[int, int] = {}
        last: dict[int, tuple[int, int]] = {}
        for place, (kind, at) in enumerate(zip(self.kind, self.at, strict=True)):
            if kind not in last:
                first[kind], last[kind] = at, (place, at)
            elif at >= last[kind][1]:
                last[kind] = place, at
            elif at < first[kind]:
                first[kind] = at
        newest = sorted((place, at, kind) for kind, (place, at) in last.items())
        return [
            *(replace(self.kinds[kind], at=from_micros(at)) for kind, at in first.items()),
            *(replace(self.kinds[kind], at=from_micros(at)) for _, at, kind in newest),
        ]

    @staticmethod
    def _made(plain: "PlainEvents") -> list[UsageEvent]:
        costs = plain.costs or ([0] * len(plain),) * 4
        usages = map(Usage, *plain.usage, *costs[:3])
        made = []
        columns = zip(plain.kind, plain.keys, plain.messages, plain.at, usages, costs[3], strict=True)
        for kind, key, message, at, whole, estimated in columns:
            like = plain.kinds[kind]
            event = replace(like, key=key, message=message, at=from_micros(at), usage=whole, estimated=bool(estimated))
            made.append(event)
        return made


NOTHING = PlainEvents()


def parted(events: Sequence[UsageEvent]) -> tuple[PlainEvents, tuple[UsageEvent, ...]]:
    """The plain ones of a batch, and the others, both in the order they were told."""
    told = Counter(chain(map(attrgetter("key"), events), map(attrgetter("message"), events)))
    numbers: dict[tuple[object, ...], int] = {}
    kinds: list[UsageEvent] = []
    plain_kinds: list[bool] = []
    plain: list[UsageEvent] = []
    numbered: list[int] = []
    others: list[UsageEvent] = []
    for event in events:
        if told[event.key] > 1 or told[event.message] > 1 or not _is_plain(event):
            others.append(event)
            continue
        what = _KIND(event)
        number = numbers.get(what)
        if number is None:
            number = numbers[what] = len(kinds)
            kinds.append(event)
            plain_kinds.append(_is_plain_kind(event))
        if plain_kinds[number]:
            plain.append(event)
            numbered.append(number)
        else:
            others.append(event)
    if not plain or touches(others, (event.key for event in plain), (event.message for event in plain)):
        return NOTHING, tuple(events)
    usage = zip(*(event.usage[:6] for event in plain), strict=True)
    columns = PlainEvents(
        tuple(kinds),
        array("q", numbered),
        [event.key for event in plain],
        [event.message for event in plain],
        array("q", [to_micros(event.at) for event in plain]),
        tuple(array("q", column) for column in usage),
    )
    return columns, tuple(others)


def unknown(plain: PlainEvents, names: Collection[str]) -> tuple[PlainEvents, list[UsageEvent]]:
    """What stays plain where the ledger knows these keys and messages, and the others as events."""
    if not names:
        return plain, []
    is_new = [
        key not in names and message not in names for key, message in zip(plain.keys, plain.messages, strict=True)
    ]
    return plain.only(is_new), plain.where([not new for new in is_new])


def touches(events: Iterable[UsageEvent], keys: Iterable[str], messages: Iterable[str]) -> bool:
    """Whether events have to do with any of these ids, by their own or by one that they may be given."""
    names = {name for event in events for name in (event.key, event.message, request_of(event), pair_key(event))}
    return not (names.isdisjoint(keys) and names.isdisjoint(messages))


def _is_plain(event: UsageEvent) -> bool:
    """Whether its ids and numbers are as they will be stored; what is told without a message may be of any."""
    key, message, usage = event.key, event.message, event.usage
    return (
        0 < len(message) <= LONGEST_ID
        and len(key) <= LONGEST_ID
        and (not key.endswith(message) or key == MESSAGE_KEY + message)
        and usage[6:] == _UNCHARGED
        and sum(usage[:6]) <= LARGEST_EVENT
    )


def _is_plain_kind(event: UsageEvent) -> bool:
    return (
        door_of(event.origin) is DoorRank.FILES
        and event.extent is not Extent.UNLISTED
        and not (event.estimated or event.cost_given or event.is_unsplit)
    )
