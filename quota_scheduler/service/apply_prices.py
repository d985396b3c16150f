"""Putting costs on usage before it is recorded: prices are looked up outside any transaction."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.pricing import Priced
from quota_scheduler.core.tickets.ticket import Estimate, ModelUsage, Ticket
from quota_scheduler.core.usage import ORDINARY, PriceTerms, Usage, UsageEvent


class Pricer(Protocol):
    """Whoever knows prices."""

    def price(self, labels: Labels, usage: Usage, at: datetime, terms: PriceTerms, /) -> Priced:
        """The cost of one usage on the terms its response names."""
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


def priced_report(labels: Labels, usage: ModelUsage | None, at: datetime, pricer: Pricer) -> ModelUsage | None:
    """A lease's report with its cost, model by model."""
    if usage is None:
        return None
    return tuple(
        (model, _cost(labels._replace(model=model or labels.model), each, at, pricer)[0]) for model, each in usage
    )


def priced_ticket(ticket: Ticket, at: datetime, pricer: Pricer) -> Ticket:
    """A ticket whose estimate knows what it costs."""
    estimate = ticket.estimate
    reserve, estimated = _cost(ticket.labels, estimate.reserve, at, pricer)
    median = reserve if estimate.median == estimate.reserve else _cost(ticket.labels, estimate.median, at, pricer)[0]
    return ticket._replace(estimate=estimate._replace(median=median, reserve=reserve, estimated_cost=estimated))


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
