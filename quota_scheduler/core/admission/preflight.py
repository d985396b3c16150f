"""Pre-flight: quota available, then the forecast, then the run budget; each failing check says what to do.

No probe spends quota: everything is read from what is known.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from quota_scheduler.core.admission.decide import Defer, Reject, Verdict
from quota_scheduler.core.admission.headroom import Headroom
from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.core.tickets.ticket import Reason, Ticket, need
from quota_scheduler.core.units import Unit, format_amount
from quota_scheduler.core.usage import Usage

NOTE_FROM = 0.8
"""Share of the run cap from which a passing estimate is worth a note (design, section 4)."""
FORECAST_REASONS = frozenset({Reason.PACED, Reason.THROTTLED})


class Check(Struct, frozen=True):
    """One check: its name, whether it passes, the figures, and what to do where it does not."""

    check: str
    ok: bool
    detail: str
    advice: str = ""


def checks(
    ticket: Ticket,
    verdict: Verdict,
    headrooms: Sequence[Headroom],
    caps: Sequence[Limit],
    used: Usage,
    *,
    now: datetime,
) -> tuple[Check, ...]:
    """The three checks of a ticket that is not submitted yet; before them its provider, where that refuses just now."""
    three = _available(ticket, verdict, headrooms, now), _forecast(verdict, headrooms), _budget(ticket, caps, used)
    return *_refused(ticket, verdict), *three


def _refused(ticket: Ticket, verdict: Verdict) -> tuple[Check, ...]:
    if not isinstance(verdict, Defer) or verdict.reason is not Reason.PROVIDER_THROTTLED:
        return ()
    detail = f"{ticket.labels.provider} refuses requests for the moment, without naming a quota"
    return (Check("provider", False, detail, f"Wait until {iso(verdict.until)}, or use another account."),)


def _available(ticket: Ticket, verdict: Verdict, headrooms: Sequence[Headroom], now: datetime) -> Check:
    figures = [_figures(ticket, headroom, now) for headroom in headrooms]
    detail = "; ".join(figures) or "no limit binds it"
    held = verdict.held if isinstance(verdict, Defer | Reject) else ()
    short = [blocker for blocker in held if blocker.reason not in {*FORECAST_REASONS, Reason.RUN_CAP}]
    if not short:
        return Check("quota", True, detail)
    last = max(short, key=lambda blocker: blocker.until)
    if last.reason is Reason.NEVER_FITS:
        return Check("quota", False, detail, f"It is larger than {last.instance} allows in a whole window: split it.")
    zone = next(
        (headroom.balance.limit.zone for headroom in headrooms if headroom.balance.name == last.instance), "UTC"
    )
    advice = f"Wait for {last.instance} until {local_time(last.until, zone)}, reduce the scope, or raise the limit."
    return Check("quota", False, detail, advice)


def _figures(ticket: Ticket, headroom: Headroom, now: datetime) -> str:
    unit, balance = headroom.instance.limit.unit, headroom.balance
    free = headroom.ceiling(ticket.priority, now) - headroom.committed(ticket.priority)
    needed = need(ticket, headroom.instance.limit)
    return f"{balance.name}: needs {format_amount(needed, unit)}, {format_amount(free, unit)} free"


def _forecast(verdict: Verdict, headrooms: Sequence[Headroom]) -> Check:
    foreseen = [headroom for headroom in headrooms if headroom.outlook and headroom.outlook.risk != "unknown"]
    detail = "; ".join(_outlook(headroom) for headroom in foreseen) or "little history: no forecast holds it back yet"
    blockers = verdict.held if isinstance(verdict, Defer) else ()
    held = [blocker for blocker in blockers if blocker.reason in FORECAST_REASONS]
    if not held:
        return Check("forecast", True, detail)
    names = ", ".join(blocker.instance for blocker in held)
    advice = (
        f"More important work is expected in {names}: submit it as a ticket and it starts as soon as there is room."
    )
    return Check("forecast", False, detail, advice)


def _outlook(headroom: Headroom) -> str:
    outlook = headroom.outlook
    assert outlook is not None
    return f"{headroom.balance.name}: {outlook.projected_ratio:.0%} expected at the reset, risk {outlook.risk}"


def _budget(ticket: Ticket, caps: Sequence[Limit], used: Usage) -> Check:
    tokens = ticket.estimate.reserve.tokens
    for cap in caps:
        amount = cap.charge(used.plus(ticket.estimate.reserve))
        share = amount / cap.amount if cap.amount else 1.0
        figures = f"{format_amount(amount, cap.unit)} of {format_amount(cap.amount, cap.unit)} per run ({share:.0%})"
        if share > 1:
            return Check("run_budget", False, figures, "Reduce the scope, or split it into runs that fit the cap.")
        if share >= NOTE_FROM:
            return Check("run_budget", True, figures, "It is close to the run cap: watch it.")
    return Check("run_budget", True, f"{format_amount(tokens, Unit.TOKENS)} estimated")
