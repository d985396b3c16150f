"""The runs of the ledger as a replay takes them: what was used, what waited in vain, and what had to be assumed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from quota_scheduler.core.history.recorded_runs import Piece, RecordedRun, Recording, as_asked, in_vain, stitched
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.changes import effective
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.tickets.ticket import GIVEN_UP, State, Ticket
from quota_scheduler.core.usage import ORDINARY, Usage
from quota_scheduler.service.apply_prices import Pricer
from quota_scheduler.service.upkeep.learn_rates import with_rates
from quota_scheduler.store import Transaction, limit_changes, run_pieces, tickets

HISTORY = timedelta(days=28)
"""So much before the replay is read too: what forecasts are made from."""


def limits_as_they_hold(tx: Transaction, limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """The limits of a file with what was changed while the service runs, and what percent are worth by now."""
    return with_rates(tx, effective(limits, limit_changes.load(tx), now=tx.now))


def recorded_runs(tx: Transaction, since: datetime, until: datetime) -> Recording:
    """The runs of a span and of ``HISTORY`` before it, in order of arrival."""
    begin = since - HISTORY
    oldest = min(run_pieces.oldest_event(tx) or until, until)
    hours: list[Piece] = run_pieces.of_hours(tx, begin, oldest) if oldest > begin else []
    runs = stitched(run_pieces.of_events(tx, max(begin, oldest), until))
    asked = [ticket for ticket in tickets.submitted_since(tx, begin) if ticket.created_at < until]
    whole = sorted([*stitched(hours), *_joined(runs, asked)], key=lambda run: run.at)
    return Recording(tuple(whole), _assumed(hours, whole, asked))


def _joined(runs: Sequence[RecordedRun], asked: Sequence[Ticket]) -> list[RecordedRun]:
    """Runs as their tickets asked for them, and those that waited in vain."""
    by_name = {ticket.run_id: ticket for ticket in asked}
    by_name |= {ticket.lease.session: ticket for ticket in asked if ticket.lease and ticket.lease.session}
    known = [as_asked(run, by_name[run.name]) if run.name in by_name else run for run in runs]
    return known + [in_vain(ticket) for ticket in asked if _is_in_vain(ticket)]


def _is_in_vain(ticket: Ticket) -> bool:
    return ticket.state is State.WAITING or (ticket.state is State.CLOSED and ticket.outcome in GIVEN_UP)


def _assumed(hours: Sequence[Piece], runs: Sequence[RecordedRun], asked: Sequence[Ticket]) -> tuple[str, ...]:
    silent = sum(run.reserve is None for run in runs)
    vain = sum(map(_is_in_vain, asked))
    sentences = []
    if hours:
        sentences.append(
            f"{len(hours)} sums by hour stand for calls that were pruned: each counts as one run of an hour."
        )
    if silent:
        sentences.append(
            f"Of {silent} of {len(runs)} runs no ticket is known any more: they asked with their first call, and for "
            "what they used; what waited in vain more than a day ago is not among them."
        )
    if vain:
        sentences.append(f"{vain} tickets that wait, or waited in vain, count with what they were expected to use.")
    return tuple(sentences)


def priced_by(pricer: Pricer) -> Callable[[Labels, Usage, datetime], Usage]:
    """Put the cost of other labels on a usage, as if they had been used."""

    def reprice(labels: Labels, usage: Usage, at: datetime) -> Usage:
        price = pricer.price(labels, usage, at, ORDINARY)
        return usage.costing(price.pico, unpriced_tokens=usage.tokens if price.estimated else 0)

    return reprice
