"""The breakers of all accounts as the tickets of one cycle find them: a start or a report moves what the next sees."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from quota_scheduler.core.admission import breaker as states
from quota_scheduler.core.admission.breaker import Breaker, BreakerPhase
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.observations.observation import Throttle
from quota_scheduler.core.observations.report_key import DEFAULT_ACCOUNT
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Outcome, Ticket

Account = tuple[str, str]
"""A provider and one of its accounts."""


class Breakers:
    """Every breaker that is not forgotten, as of ``now``; changed in place.

    ``changed`` is what to save, by account, None for one that is forgotten. ``eased`` says that somebody may start who
    could not before.
    """

    def __init__(self, rows: Iterable[Breaker] = (), *, now: datetime | None = None) -> None:
        self.changed: dict[Account, Breaker | None] = {}
        self.eased = False
        self._by_account: dict[Account, Breaker] = {}
        for row in rows:
            self._by_account[row.provider, row.account] = row
            if now is not None and (settled := states.as_of(row, now)) != row:
                self._put(row, settled)

    @property
    def is_any(self) -> bool:
        """Whether any account is known whose provider refuses, or did so lately."""
        return bool(self._by_account)

    def __iter__(self) -> Iterator[Breaker]:
        return iter([self._by_account[account] for account in sorted(self._by_account)])

    def _put(self, before: Breaker, after: Breaker | None) -> None:
        account = before.provider, before.account
        if after == before:
            return
        self.changed[account] = after
        if after is None:
            del self._by_account[account]
        else:
            self._by_account[account] = after
        self.eased |= after is None or after.closed_at is not None or not after.probe

    def that_bind(self, labels: Labels) -> list[Breaker]:
        """The breakers that are about a ticket: of its account, or of any of its provider's where it names none."""
        if not self._by_account:
            return []
        mine = (one for one in self if one.provider == labels.provider)
        return [one for one in mine if labels.account in ("", one.account)]

    def waits_until(self, ticket: Ticket, now: datetime) -> datetime | None:
        """When a ticket may be tried, as far as its provider is concerned; None for now, and for people."""
        if ticket.priority is Priority.INTERACTIVE:
            return None
        return self.refuses_until(ticket, now)

    def refuses_until(self, ticket: Ticket, now: datetime) -> datetime | None:
        """The same whoever asks: what people, who are not kept waiting, are told."""
        return max((at for one in self.that_bind(ticket.labels) if (at := one.waits_until(now))), default=None)

    def next_change(self, now: datetime) -> datetime | None:
        """The next instant at which somebody may start without anything else happening."""
        return min((at for one in self if (at := one.next_change(now)) and at > now), default=None)

    # what moves them

    def let_in(self, ticket: Ticket, now: datetime, *, running: bool) -> None:
        """A ticket starts or is offered: it is the probe of every breaker that has none and whose pause is over."""
        for one in self.that_bind(ticket.labels):
            if one.phase(now) is BreakerPhase.HALF_OPEN and not one.probe:
                self._put(one, states.let_in(one, ticket.id, now, running=running))

    def begins(self, ticket: int, now: datetime) -> None:
        """An offered ticket was claimed: its probe runs from now on."""
        for one in self._probed_by(ticket):
            if one.probing_since is None:
                self._put(one, states.let_in(one, ticket, now, running=True))

    def reported(self, ticket: int, now: datetime) -> None:
        """A running ticket has reported: as a probe it got through."""
        for one in self._probed_by(ticket):
            self._put(one, states.closed(one, now))

    def ended(self, ticket: int, outcome: Outcome | None, now: datetime) -> None:
        """A ticket has ended, or was taken back (None): a probe that completed got through, of others nobody knows."""
        for one in self._probed_by(ticket):
            if outcome is Outcome.COMPLETED:
                self._put(one, states.closed(one, now))
            else:
                self._put(one, states.given_back(one, now, failed=outcome is Outcome.FAILED))

    def _probed_by(self, ticket: int) -> list[Breaker]:
        return [one for one in self if one.probe == ticket] if self._by_account else []

    def refuse(self, throttles: Iterable[Throttle], now: datetime) -> None:
        """Providers have refused for a moment."""
        for throttle in throttles:
            account = throttle.provider, throttle.account or DEFAULT_ACCOUNT
            before = self._by_account.get(account)
            named = throttle if throttle.account else _of_default(throttle)
            after = states.refused(before, named, now)
            if after is not None and after != before:
                self._by_account[account] = self.changed[account] = after

    def answer(self, newest: Mapping[Account, datetime], now: datetime) -> None:
        """Usage has arrived, the newest of each account at these instants."""
        for (provider, account), at in newest.items():
            if one := self._by_account.get((provider, account or DEFAULT_ACCOUNT)):
                self._put(one, states.answered(one, at, now))


def _of_default(throttle: Throttle) -> Throttle:
    return Throttle(throttle.provider, DEFAULT_ACCOUNT, throttle.observed_at, throttle.source, throttle.retry_after)
