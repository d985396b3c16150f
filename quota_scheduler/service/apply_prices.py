"""Putting costs on usage before it is recorded: prices are looked up outside any transaction."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from quota_scheduler.core.instants import from_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.plain_events import PlainEvents
from quota_scheduler.core.pricing import Priced, PriceRates, highest
from quota_scheduler.core.tickets.ticket import Estimate, ModelUsage, Ticket
from quota_scheduler.core.units import PICO
from quota_scheduler.core.usage import ORDINARY, PriceTerms, Usage, UsageEvent

DAY = 86_400_000_000
"""Microseconds in which prices hold."""


class Pricer(Protocol):
    """Whoever knows prices."""

    def price(self, labels: Labels, usage: Usage, at: datetime, terms: PriceTerms, /) -> Priced:
        """The cost of one usage on the terms its response names."""
        ...

    def rates(self, labels: Labels, at: datetime, terms: PriceTerms, /) -> tuple[tuple[PriceRates, ...], bool]:
        """Rates of a day, the dearest of which holds, and whether they are a guess; none where they change in it."""
        ...


def priced_events(events: Iterable[UsageEvent], pricer: Pricer) -> list[UsageEvent]:
    """Events with their cost at their own time; one that names its own keeps it."""
    return [
        replace(event, cost_given=True)
        if event.usage.cost_microusd or event.usage.cost_rest
        else priced_anew(event, pricer)
        for event in events
    ]


def priced_anew(event: UsageEvent, pricer: Pricer) -> UsageEvent:
    """An event at what its price is now known to be; one without anything to charge as it is."""
    terms = event.terms or ORDINARY
    if not event.usage.tokens and not terms.web_searches:
        return event
    price = pricer.price(event.labels, event.usage, event.at, terms)
    return event.costing(price.pico, estimated=price.estimated)


def priced_plain(plain: PlainEvents, pricer: Pricer) -> PlainEvents:
    """The same with what each costs at its own time, at rates that are asked once for each kind and day."""
    days: dict[tuple[int, int], _Day] = {}
    costs: list[tuple[int, int, int, bool]] = []
    for kind, at, fresh, read, write_5m, write_1h, out, requests in zip(
        plain.kind, plain.at, *plain.usage, strict=True
    ):
        slot = kind, at // DAY
        day = days.get(slot)
        if day is None:
            day = days[slot] = _day(plain.kinds[kind], from_micros(at), pricer)
        tokens = fresh + read + write_5m + write_1h + out
        if day.exact is not None and tokens:
            r_fresh, r_read, r_5m, r_1h, r_out, r_request = day.exact
            pico = fresh * r_fresh + read * r_read + write_5m * r_5m + write_1h * r_1h + out * r_out
            cost, rest = divmod(pico + (requests or 1) * r_request, PICO)
            costs.append((cost, 0, rest, False))
            continue
        usage = Usage(fresh, read, write_5m, write_1h, out, requests)
        cost, rest, estimated = day.cost(usage, from_micros(at), pricer)
        costs.append((cost, tokens if estimated else 0, rest, estimated))
    return replace(plain, costs=tuple(zip(*costs, strict=True)))


class _Day(NamedTuple):
    """What calls of a kind cost on a day; ``exact`` where that is known and one whole rate for each kind of tokens."""

    like: UsageEvent
    rates: tuple[PriceRates, ...]
    estimated: bool
    exact: tuple[int, ...] | None

    def cost(self, usage: Usage, at: datetime, pricer: Pricer) -> tuple[int, int, bool]:
        """Whole micro-dollars, the rest and whether that is an estimate, of what may not be so simple."""
        terms = self.like.terms or ORDINARY
        if not usage.tokens and not terms.web_searches:
            return 0, 0, False
        if self.rates:
            pico, estimated = highest(self.rates, usage, terms.web_searches), self.estimated
        else:
            pico, estimated = pricer.price(self.like.labels, usage, at, terms)
        return *divmod(pico, PICO), estimated


def _day(like: UsageEvent, at: datetime, pricer: Pricer) -> _Day:
    terms = like.terms or ORDINARY
    rates, estimated = pricer.rates(like.labels, at, terms)
    is_simple = len(rates) == 1 and not estimated and not terms.web_searches
    return _Day(like, rates, estimated, rates[0].exact() if is_simple else None)


def priced_report(labels: Labels, usage: ModelUsage | None, at: datetime, pricer: Pricer) -> ModelUsage | None:
    """A lease's report with its cost, model by model."""
    if usage is None:
        return None
    return tuple(
        (model, _cost(labels._replace(model=model or labels.model), each, at, pricer)[0]) for model, each in usage
    )


def priced_ticket(ticket: Ticket, at: datetime, pricer: Pricer) -> Ticket:
    """A ticket whose estimate knows what it costs."""
    return ticket._replace(estimate=priced_estimate(ticket.labels, ticket.estimate, at, pricer))


def priced_estimate(labels: Labels, estimate: Estimate, at: datetime, pricer: Pricer) -> Estimate:
    """An estimate that knows what it costs."""
    reserve, estimated = _cost(labels, estimate.reserve, at, pricer)
    median = reserve if estimate.median == estimate.reserve else _cost(labels, estimate.median, at, pricer)[0]
    return estimate._replace(median=median, reserve=reserve, estimated_cost=estimated)


def unpriced(estimate: Estimate) -> Estimate:
    """An estimate that forgets what it costs, to be priced anew."""
    median, reserve = (usage.costing(0, unpriced_tokens=0) for usage in (estimate.median, estimate.reserve))
    return estimate._replace(median=median, reserve=reserve, estimated_cost=False)


def _cost(labels: Labels, usage: Usage, at: datetime, pricer: Pricer) -> tuple[Usage, bool]:
    if usage.cost_pico or not usage.tokens:
        return usage, False
    price = pricer.price(labels, usage, at, PriceTerms())
    unpriced = usage.tokens if price.estimated else 0
    return usage.costing(price.pico, unpriced_tokens=unpriced), price.estimated
