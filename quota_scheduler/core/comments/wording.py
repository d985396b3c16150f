"""What a comment says about a ticket: the four cases of the founding document, then start, end and cost.

Everything that runners or operators chose stands in code spans; every time in a named zone.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import assert_never

from msgspec import Struct

from quota_scheduler.core.admission.decide import Admit, Defer, Reject
from quota_scheduler.core.admission.explanation import WHY, WHY_SEVERAL
from quota_scheduler.core.admission.figures import Figures
from quota_scheduler.core.comments.markdown import code, codes, within
from quota_scheduler.core.cycle.requests import Answer
from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.core.readings.readings import LimitReading
from quota_scheduler.core.tickets.ticket import Outcome, Reason, State, Ticket
from quota_scheduler.core.units import format_amount, format_number
from quota_scheduler.core.usage import Usage

EXPECTATION = frozenset({Reason.THROTTLED, Reason.PACED})
"""Reasons to be throttled by what is expected; all others say that it cannot start as things are."""
ENDINGS = {
    Outcome.COMPLETED: "✅ **Workflow Finished**",
    Outcome.FAILED: "❌ **Workflow Failed**",
    Outcome.PAUSED_QUOTA: "⏸️ **Workflow Paused: Quota Used Up**",
    Outcome.EXPIRED: "⚠️ **Workflow Lost**",
    Outcome.WITHDRAWN: "⏹️ **Workflow Withdrawn**",
    Outcome.REVOKED: "⏹️ **Workflow Stopped**",
    Outcome.DEADLINE: "⌛ **Workflow Not Started**",
    Outcome.WAITED_TOO_LONG: "⌛ **Workflow Not Started**",
    Outcome.ABANDONED: "⌛ **Workflow Not Started**",
    Outcome.REJECTED: "💰 **Budget Exceeded**",
}
AFTERWARDS = {
    Outcome.EXPIRED: "Its runner was not heard of any more; what it had reported counts.",
    Outcome.PAUSED_QUOTA: "Its quota was used up on the way; what it used counts, and the same key may ask again.",
    Outcome.REVOKED: "An operator took its lease away.",
    Outcome.DEADLINE: "Its deadline has passed.",
    Outcome.WAITED_TOO_LONG: "It waited longer than it was to wait.",
    Outcome.ABANDONED: "Its runner did not claim three offers.",
}


class CommentFacts(Struct, frozen=True):
    """What a comment needs beside the answer: the zone of people, limits as they stand by instance, and what was used.

    ``amounts`` are, in words and by instance, the whole amounts of the limits that turned a ticket away; ``used`` is
    what the run has used in all, None where it never ran.
    """

    zone: str
    limits: Mapping[str, LimitReading]
    amounts: Mapping[str, str]
    used: Usage | None = None


def comment(answer: Answer, around: CommentFacts) -> str:
    """The text of a comment about a ticket as it stands; one that GitHub takes, without its mark."""
    ticket = answer.ticket
    match ticket.state:
        case State.WAITING:
            blocks = _waiting(answer, around)
        case State.OFFERED | State.RUNNING:
            blocks = _running(answer, around)
        case State.CLOSED:
            blocks = _rejected(answer, around) if ticket.outcome is Outcome.REJECTED else _closed(ticket, around)
        case _:
            assert_never(ticket.state)
    return within("\n\n".join(block for block in [*blocks, _about(ticket)] if block))


def _waiting(answer: Answer, around: CommentFacts) -> Sequence[str]:
    verdict = answer.verdict
    if not isinstance(verdict, Defer):
        return ["⏳ **Workflow Waits**", _when(answer, around)]
    throttled = verdict.reason in EXPECTATION
    limits = [blocker.instance for blocker in verdict.held if blocker.reason is verdict.reason]
    return [
        "⏳ **Workflow Throttled**" if throttled else "⏸️ **Cannot Start Workflow**",
        f"**Reason:** {_why(verdict.reason, limits, answer.ticket)}",
        _figures(limits, answer.figures),
        _forecasts(limits, around) if throttled else "",
        _when(answer, around),
        _advice(answer),
        "It starts by itself; nobody has to do anything." if verdict.reason is not Reason.HELD else "",
    ]


def _running(answer: Answer, around: CommentFacts) -> Sequence[str]:
    ticket = answer.ticket
    if answer.stop:
        first = "🛑 **Workflow Is Stopping**\n\nIts quota is spent: it ends at its next safe point."
    elif isinstance(answer.verdict, Admit | None):
        first = "✅ **Pre-Flight Checks Passed**"
    else:
        first = "✅ **Workflow Runs**"
    lines = [
        _expected_use(ticket),
        *(f"**{_risk(name, around)}**" for name, _ in answer.reserved if _risk(name, around)),
    ]
    if answer.refused_until is not None:
        lines.append(f"**Provider:** refuses requests for the moment, until about "
                     f"{local_time(answer.refused_until, around.zone)}")  # fmt: skip
    waited = (ticket.lease.granted_at - ticket.created_at) if ticket.lease else timedelta(0)
    started = f"**Started:** {local_time(ticket.lease.granted_at, around.zone)}" if ticket.lease else ""
    if started and waited >= timedelta(minutes=1):
        started += f", after it had waited {_span(waited)}"
    ready = "🚀 Starting workflow…" if ticket.state is State.RUNNING else "🚀 Its turn has come: its runner is called."
    return [first, "\n".join(line for line in [*lines, started] if line), ready]


def _rejected(answer: Answer, around: CommentFacts) -> Sequence[str]:
    ticket = answer.ticket
    never = ticket.reason in (Reason.NEVER_FITS, Reason.RUN_CAP)
    amounts = "\n".join(f"**Budget limit:** {amount} ({code(name)})" for name, amount in around.amounts.items())
    verdict = answer.verdict
    named = [blocker.instance for blocker in verdict.held] if isinstance(verdict, Reject) else []
    return [
        "💰 **Budget Exceeded**" if never else "⏸️ **Cannot Start Workflow**",
        f"**Reason:** {_why(ticket.reason, named or list(around.amounts), ticket)}",
        "\n".join(line for line in (_expected_use(ticket), amounts) if line),
        "**Recommendation:** Split this into smaller, focused issues." if never else "",
    ]


def _closed(ticket: Ticket, around: CommentFacts) -> Sequence[str]:
    outcome = ticket.outcome or Outcome.COMPLETED
    lines = []
    if ticket.lease and ticket.closed_at:
        lines.append(f"**Ended:** {local_time(ticket.closed_at, around.zone)}, after "
                     f"{_span(ticket.closed_at - ticket.lease.granted_at)}")  # fmt: skip
    elif ticket.closed_at:
        lines.append(f"**Closed:** {local_time(ticket.closed_at, around.zone)}")
    if around.used is not None:
        cost = f"${around.used.cost_usd:,.2f}"
        lines.append(f"**Final cost:** {cost} for {around.used.tokens:,} tokens "
                     f"(expected: {_money(ticket)} for {ticket.estimate.median.tokens:,})")  # fmt: skip
    return [ENDINGS[outcome], AFTERWARDS.get(outcome, ""), "\n".join(lines)]


def _why(reason: Reason, limits: Sequence[str], ticket: Ticket) -> str:
    """The reason as a sentence, its limits in code spans."""
    words = WHY_SEVERAL.get(reason, WHY[reason]) if len(limits) > 1 else WHY[reason]
    text = words.format(
        limit=codes(limits) if limits else "the limit",
        priority=ticket.priority.value,
        provider=code(ticket.labels.provider),
    )
    return f"{text[:1].upper()}{text[1:]}."


def _figures(limits: Sequence[str], figures: Mapping[str, Figures]) -> str:
    lines = [f"- {code(name)}: {figures[name].sentence()}" for name in limits[:10] if name in figures]
    return "\n".join(["**Figures:**", *lines]) if lines else ""


def _forecasts(limits: Sequence[str], around: CommentFacts) -> str:
    """Of each limit that holds it: used, projected, amount, risk."""
    blocks = []
    for name in limits[:3]:
        reading = around.limits.get(name)
        if reading is None or reading.projection.forecast is None:
            continue
        projected = reading.projection.forecast
        low, high = (format_amount(value, reading.unit) for value in (projected.low, projected.high))
        blocks.append(
            f"**Forecast of {code(name)}:**\n"
            f"- Current: {format_amount(reading.balance.used, reading.unit)}\n"
            f"- Projected: {format_amount(projected.expected, reading.unit)} ({low} to {high})\n"
            f"- Limit: {format_amount(reading.balance.amount, reading.unit)}\n"
            f"- Risk: {reading.projection.risk}"
        )
    return "\n\n".join(blocks)


def _when(answer: Answer, around: CommentFacts) -> str:
    """Place in line, and the expected start with its interval."""
    lines = [f"**Place in line:** {answer.position}"] if answer.position else []
    if (start := answer.expected) is not None:
        low, high = (local_time(at, around.zone) for at in (start.low, start.high))
        between = f" (between {low} and {high})" if low != high else ""
        lines.append(f"**Expected start:** {local_time(start.expected, around.zone)}{between}")
    return "\n".join(lines)


def _advice(answer: Answer) -> str:
    """What would let it start at once."""
    lines = []
    for change in answer.counterfactuals:
        if change.get("change") == "model":
            lines.append(f"- with the model {code(str(change['model']))} it could start now")
        elif change.get("change") == "estimate":
            lines.append(f"- with up to {format_number(int(change['tokens']))} tokens it could start now")
    return "\n".join(["**Recommendations:**", *lines]) if lines else ""


def _expected_use(ticket: Ticket) -> str:
    estimate = ticket.estimate
    return f"**Estimated tokens:** {estimate.median.tokens:,} (confidence {estimate.confidence:.0%}, {_money(ticket)})"


def _money(ticket: Ticket) -> str:
    about = "about " if ticket.estimate.estimated_cost else ""
    return f"{about}${ticket.estimate.median.cost_usd:,.2f}"


def _risk(name: str, around: CommentFacts) -> str:
    """The forecast's risk of a limit that something is reserved in; empty where there is none to name."""
    reading = around.limits.get(name)
    if reading is None or reading.projection.forecast is None or reading.projection.risk == "unknown":
        return ""
    return f"Forecast of {code(name)}: {reading.projection.risk} risk"


def _about(ticket: Ticket) -> str:
    """Which work this is about, in small print."""
    names = [f"workflow {code(ticket.labels.workflow)}"] if ticket.labels.workflow else []
    names += [f"{name} {code(value)}" for name in ("team", "model") if (value := ticket.labels.value(name))]
    return f"<sub>{' · '.join([*names, f'class {ticket.priority.value}', f'ticket t{ticket.id}'])}</sub>"


def _span(length: timedelta) -> str:
    """A length for people: ``45 s``, ``12 min``, ``3 h 05 min``."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
