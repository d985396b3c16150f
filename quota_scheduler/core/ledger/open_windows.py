"""The windows of limit instances: which one rules, counts or holds, how sessions begin, and what has ended.

Loaded from the store, changed in place by pure arithmetic, saved in the same transaction.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from operator import attrgetter

from quota_scheduler.core.instants import EARLIEST, LATEST, SKEW
from quota_scheduler.core.labels import LABEL_NAMES, Labels
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.limits.binding import Binding
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Session, Window, window_at

MOST_REMEMBERED = 20_000
"""Sets of labels whose limit instances are remembered; beyond that all are found anew."""


def _looked_at(limits: Iterable[Limit]) -> list[str]:
    """The labels by which any limit tells apart what falls to it: those that are alike in them fall to the same."""
    names = {name for limit in limits for name in (limit.per, *dict(limit.match)) if name in LABEL_NAMES}
    return sorted(names | {"provider", "team"})  # every limit looks at these: whose model, and whether a team is asked


class OpenWindows:
    """Windows by instance, oldest first, as of ``now``.

    One may serve many journeys of the only writer: between them it keeps the open windows and who binds what.
    """

    def __init__(self, limits: Iterable[Limit], rows: Iterable[Balance], *, now: datetime) -> None:
        self.limits = tuple(limit for limit in limits if not limit.is_per_run)
        self.now = now
        self.by_name: dict[str, list[Balance]] = {}
        self.values: dict[str, set[str]] = {limit.id: set() for limit in self.limits}
        self.dropped: list[int] = []
        self.ends_next: datetime | None = None
        self.starts_last: datetime | None = None
        self._by_id = {limit.id: limit for limit in self.limits}
        self._binding = Binding(self.limits)
        self._instances: dict[Labels, tuple[LimitInstance, ...]] = {}
        self._instances_alike: dict[object, tuple[LimitInstance, ...]] = {}
        self._looked_at = attrgetter(*_looked_at(self.limits))
        self._next_id = -1
        self._is_settled = False
        """Whether none is closed, and the next end and the last beginning are those of all of them."""
        self.take(rows)

    def limit(self, name: str) -> Limit | None:
        """A limit by id."""
        return self._by_id.get(name)

    def take(self, rows: Iterable[Balance]) -> None:
        """Hold these windows and no others."""
        self.by_name, self.ends_next, self.starts_last, self._is_settled = {}, None, None, False
        for balance in sorted(rows, key=lambda t: (t.window is None, t.window.starts_at if t.window else self.now)):
            self.add(balance)

    def replace(self, rows: Iterable[Balance]) -> None:
        """Hold these windows in place of what was held of each; one that is closed is held no more."""
        moved = {balance.id: balance for balance in rows}
        if not moved:
            return
        for name in {balance.name for balance in moved.values()} & self.by_name.keys():
            self.by_name[name] = [balance for balance in self.by_name[name] if balance.id not in moved]
        for balance in sorted(moved.values(), key=lambda t: t.id):
            if not balance.closed:
                self.add(balance)
                self._sort(self.by_name[balance.name])
        self._is_settled = False
        OpenWindows.rest(self)

    def rest(self) -> None:
        """Let go what only one journey needed: closed windows."""
        if not self._is_settled:
            self._settle()
        if len(self._instances) > MOST_REMEMBERED:
            self._instances.clear()
            self._instances_alike.clear()

    def _settle(self) -> None:
        self.ends_next = self.starts_last = None
        for row in self.by_name.values():
            if any(balance.closed for balance in row):
                row[:] = [balance for balance in row if not balance.closed]
            for balance in row:
                self._watch(balance)
        self._is_settled = True

    def add(self, balance: Balance) -> Balance:
        """Put a window among the others; a new one gets a provisional id below zero."""
        self._is_settled = False
        if not balance.id:
            balance.id, self._next_id = self._next_id, self._next_id - 1
        row = self.by_name.setdefault(balance.name, [])
        row.append(balance)
        if balance.window and len(row) > 1 and row[-2].window and row[-2].window.starts_at > balance.window.starts_at:
            self._sort(row)
        self.values[balance.limit.id].add(balance.value)
        self._watch(balance)
        return balance

    def drop(self, balance: Balance) -> None:
        """Let a window that never was go for good; nothing may be reserved in it."""
        self._is_settled = False
        self.by_name[balance.name].remove(balance)
        if balance.id > 0:
            self.dropped.append(balance.id)

    def _watch(self, balance: Balance) -> None:
        """Remember the next end and the last beginning, which every cycle asks for."""
        if balance.closed or balance.window is None:
            return
        if self.ends_next is None or balance.window.ends_at < self.ends_next:
            self.ends_next = balance.window.ends_at
        if self.starts_last is None or balance.window.starts_at > self.starts_last:
            self.starts_last = balance.window.starts_at

    def _sort(self, row: list[Balance]) -> None:
        row.sort(key=lambda t: (t.window is None, t.window.starts_at if t.window else self.now))

    def instances(self, labels: Labels) -> tuple[LimitInstance, ...]:
        """Every limit instance that these labels fall to, in the order of the configuration."""
        instances = self._instances.get(labels)
        if instances is None:
            alike = self._looked_at(labels)
            instances = self._instances_alike.get(alike)
            if instances is None:
                instances = self._instances_alike[alike] = self._found(labels)
            self._instances[labels] = instances
        return instances

    def _found(self, labels: Labels) -> tuple[LimitInstance, ...]:
        instances = tuple(
            LimitInstance(limit, limit.value_of(labels, self.values[limit.id])) for limit in self._binding.of(labels)
        )
        for instance in instances:
            self.values[instance.limit.id].add(instance.value)
        return instances

    def all(self) -> Iterator[Balance]:
        """Every window."""
        for row in self.by_name.values():
            yield from row

    # which one rules, counts or holds

    def ruling(self, instance: LimitInstance) -> Balance:
        """The window that rules a decision now; a session not yet open counts as empty and begins now."""
        balance = self.find(instance, self.now)
        return balance or Balance(0, instance.limit, instance.value, window_at(instance.limit.schedule, self.now))

    def find(self, instance: LimitInstance, at: datetime) -> Balance | None:
        """The window that contains an instant, or the one that has not begun."""
        unbegun: Balance | None = None
        for balance in reversed(self.by_name.get(instance.name, ())):
            if balance.window is None:
                unbegun = unbegun or balance
            elif balance.window.contains(at):
                return balance
        return unbegun

    def to_correct(self, instance: LimitInstance, at: datetime) -> Balance | None:
        """The window that counted usage at an instant; a session that has not begun counted none."""
        for balance in self.by_name.get(instance.name, ()):
            if balance.window.contains(at) if balance.window else not isinstance(balance.limit.schedule, Session):
                return balance
        return None

    def open_for_use(self, instance: LimitInstance, at: datetime) -> Balance | None:
        """The window that a use at ``at`` counts in, opened if the use opens it.

        None for a use that is history: rollups keep it. A session opens at the exact instant of the first use at or
        after the last one's end; what comes late and would have opened one earlier is the matter of ``rechained``.
        """
        if isinstance(instance.limit.schedule, Session):
            return self._opened_session(instance, instance.limit.schedule, at)
        if balance := self.find(instance, at):
            return balance
        window = window_at(instance.limit.schedule, at)
        if window and window.ends_at <= self.now:
            return None
        return self.add(Balance(0, instance.limit, instance.value, window))

    def counts_from(self, labels: Labels, remembered: dict[str, datetime] | None = None) -> datetime:
        """The instant before which no use of these labels counts in any window: it is history, as most of a first pass.

        It holds for ``now`` and what is loaded, whatever uses open meanwhile. ``remembered`` keeps what was found of
        each instance, for who asks for many labels.
        """
        kept = {} if remembered is None else remembered
        for instance in self.instances(labels):
            if instance.name not in kept:
                kept[instance.name] = self._instance_counts_from(instance)
        return min((kept[instance.name] for instance in self.instances(labels)), default=LATEST)

    def _instance_counts_from(self, instance: LimitInstance) -> datetime:
        known = [balance.window.starts_at for balance in self.by_name.get(instance.name, ()) if balance.window]
        match instance.limit.schedule:
            case Calendar() as schedule:
                return min([*known, schedule.span(self.now)[0]])
            case Session(length):
                return min([*known, self.now - length])
            case _:
                return EARLIEST

    def open_for_offer(self, instance: LimitInstance) -> Balance:
        """The window that holds what is offered now; of a session, one that has not begun."""
        if balance := self.find(instance, self.now):
            return balance
        begins = None if isinstance(instance.limit.schedule, Session) else window_at(instance.limit.schedule, self.now)
        return self.add(Balance(0, instance.limit, instance.value, begins))

    # how sessions begin

    def _opened_session(self, instance: LimitInstance, schedule: Session, at: datetime) -> Balance | None:
        row = self.by_name.get(instance.name, [])
        for balance in row:
            if balance.window and (balance.window.contains(at) or at < balance.window.starts_at <= self.now + SKEW):
                return balance if balance.window.contains(at) else None
        if at + schedule.length <= self.now or at > self.now + SKEW:
            return None
        unbegun = next((balance for balance in row if balance.window is None), None)
        balance = unbegun or self.add(Balance(0, instance.limit, instance.value, None))
        self.begins(balance, at)
        return balance

    def begins(self, balance: Balance, at: datetime) -> None:
        """Let a session begin at an instant: one that was only held in, or one that is put in its place."""
        if window := window_at(balance.limit.schedule, at):
            self.move(balance, window)

    def move(self, balance: Balance, window: Window) -> None:
        """Let a window be another span of time."""
        balance.window, balance.dirty, self._is_settled = window, True, False
        self._sort(self.by_name[balance.name])
        self._watch(balance)

    def let_drift(self) -> None:
        """Allow in every window for what is used elsewhere, as of now."""
        for row in self.by_name.values():
            for balance in row:
                if balance.drift:
                    balance.let_drift(self.now)

    # what has ended

    def due(self) -> list[Balance]:
        """Windows that have ended and are still open, in order of their end."""
        if self.ends_next is None or self.ends_next > self.now:
            return []
        ended = [t for t in self.all() if t.window and not t.closed and t.window.ends_at <= self.now]
        return sorted(ended, key=lambda t: (t.window.ends_at if t.window else self.now, t.name))
