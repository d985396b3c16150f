"""What a bound token claims: labels that are missing are filled in, and what claims to be of others is refused.

Nothing is looked up here; whether a session or a call is recorded as somebody else's, ``service.own_work`` asks.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from quota_scheduler.core.ledger.metered import Metered
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.ledger.source_batch import Batch
from quota_scheduler.core.ledger.unlisted import SessionTotal, StatedUsage
from quota_scheduler.core.observations.observation import Observation, Throttle
from quota_scheduler.core.observations.report_key import DEFAULT_ACCOUNT
from quota_scheduler.core.scope import Scope
from quota_scheduler.core.usage import UsageEvent


def of_scope(delivery: Pushed, scope: Scope) -> Pushed:
    """What was pushed, with the labels of who pushed it; what claims to be of others is among the refused."""
    if not scope.is_bound:
        return delivery
    events: list[UsageEvent] = []
    metered: list[Metered] = []
    refused = list(delivery.refused)
    for event in map(scope.event, delivery.events):
        if isinstance(event, str):
            refused.append(event)
        else:
            events.append(event)
    for point in delivery.metered:
        draft = scope.event(point.draft)
        if isinstance(draft, str):
            refused.append(draft)
        else:
            series, group = scope.named(point.series), scope.named(point.group)
            metered.append(replace(point, draft=draft, series=series, group=group))
    produced = tuple(replace(one, series=scope.named(one.series)) for one in delivery.produced)
    observations, throttles = own_word(delivery.observations, delivery.throttles, scope)
    return replace(
        delivery,
        events=tuple(events),
        metered=tuple(metered),
        observations=observations,
        throttles=throttles,
        refused=tuple(refused),
        produced=produced,
        scope=scope,
    )


def own_word(
    observations: Sequence[Observation], throttles: Sequence[Throttle], scope: Scope
) -> tuple[tuple[Observation, ...], tuple[Throttle, ...]]:
    """What providers said about the account that a scope is bound to; about shared accounts all are believed."""
    own = dict(scope.bound).get("account")
    if own is None:
        return tuple(observations), tuple(throttles)
    unnamed = ("", DEFAULT_ACCOUNT, own)
    return (
        tuple(replace(one, account=own) for one in observations if one.account in unnamed),
        tuple(replace(one, account=own) for one in throttles if one.account in unnamed),
    )


def claimed(batch: Batch, scope: Scope) -> tuple[Batch, list[str]]:
    """A shipment with the labels of who sent it, and the sentences about what claims to be of others."""
    if not scope.is_bound:
        return batch, []
    events: list[UsageEvent] = []
    refused: list[str] = []
    for event in map(scope.event, batch.events):
        if isinstance(event, str):
            refused.append(event)
        else:
            events.append(event)
    totals: list[SessionTotal] = []
    for total in batch.totals:
        told = claimed_total(total, scope)
        if isinstance(told, str):
            refused.append(told)
        else:
            totals.append(told)
    observations, throttles = own_word(batch.observations, batch.throttles, scope)
    kept = replace(batch, events=tuple(events), totals=tuple(totals), observations=observations, throttles=throttles)
    return kept, refused


def claimed_total(total: SessionTotal, scope: Scope) -> SessionTotal | str:
    """A session's total with the labels of who tells it; a sentence where it claims to be of others."""
    stated: list[StatedUsage] = []
    for one in total.stated:
        labels = scope.filled(one.labels)
        if isinstance(labels, str):
            return labels
        stated.append(one._replace(labels=labels))
    return replace(total, stated=tuple(stated))
