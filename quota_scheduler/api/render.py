"""Tickets and answers as JSON types."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec
from starlette.responses import Response

from quota_scheduler.api.problems import Problem
from quota_scheduler.core.admission.decide import Admit, Blocker, Defer, Reject, Verdict
from quota_scheduler.core.admission.explanation import explain, unnamed_model
from quota_scheduler.core.cycle.requests import Answer, Refusal, Refused, Reply
from quota_scheduler.core.efficiency.optimization import ADVICE, Optimization
from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.tickets.ticket import State, Ticket
from quota_scheduler.core.units import in_units

REFUSED = {
    Refusal.NOT_FOUND: (404, "there is no such ticket; it may have been closed more than a day ago"),
    Refusal.KEY_REUSED: (409, "this key names a ticket with another body: use a new key for other work"),
    Refusal.STALE_FENCE: (409, "this lease has ended or passed to another runner: stop; its usage was recorded"),
}


def ticket_id(number: int) -> str:
    """A ticket's id as the API writes it."""
    return f"t{number}"


def read_id(text: str) -> int:
    """The number of a ticket or lease id. Raises Problem for anything else."""
    digits = text[1:] if text[:1] in ("t", "l") else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise Problem(404, "not_found", f"{text!r} is no ticket or lease id: ids look like t42 and l42")
    return int(digits)


def json_response(body: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def problem_of(refused: Refused) -> Problem:
    """A refusal as a problem."""
    status, detail = REFUSED[refused.refusal]
    return Problem(status, refused.refusal.value, detail)


def answer(found: Reply, limits: Mapping[str, Limit], *, zone: str) -> dict[str, Any]:
    """One answer as JSON types; a refusal inside a batch as a problem."""
    if isinstance(found, Refused):
        problem = problem_of(found)
        return {"error": {"status": problem.status, "code": problem.code, "detail": problem.detail}}
    return _answered(found, limits, zone)


def _answered(found: Answer, limits: Mapping[str, Limit], zone: str) -> dict[str, Any]:
    ticket, verdict = found.ticket, found.verdict
    body: dict[str, Any] = {
        "id": ticket_id(ticket.id) if ticket.id else None,
        "key": ticket.key,
        "state": ticket.state.value,
        "class": ticket.priority.value,
        "verdict": verdict_word(verdict),
        "reason": _reason(verdict, ticket),
        "message": " ".join(
            filter(None, [explain(ticket, verdict, zone=zone), unnamed_model(ticket, limits.values())])
        ),
        "binding": [_held(held) for held in _holding(verdict)],
        "warned": [_held(held) for held in verdict.warned] if verdict else [],
        "until": iso(verdict.until) if isinstance(verdict, Defer) else None,
        "position": found.position,
        "expected_start": _expected(found),
        "counterfactuals": list(found.counterfactuals),
        "advice": {
            "optimization_level": str(found.optimization),
            "model": found.model or None,
            "advice": ADVICE[Optimization(found.optimization)].text,
        },
    }
    if found.checks:
        body["checks"] = [asdict(check) for check in found.checks]
    if ticket.state is State.CLOSED:
        body["outcome"] = ticket.outcome.value if ticket.outcome else None
    if ticket.lease and ticket.state is State.RUNNING:
        body["lease"] = _lease(found, limits)
        body["stop"] = found.stop
    return body


def _expected(found: Answer) -> dict[str, str] | None:
    each = found.expected
    return {"low": iso(each.low), "expected": iso(each.expected), "high": iso(each.high)} if each else None


def _lease(found: Answer, limits: Mapping[str, Limit]) -> dict[str, Any]:
    lease = found.ticket.lease
    assert lease is not None
    return {
        "id": f"l{found.ticket.id}",
        "fence": lease.fence,
        "granted_at": iso(lease.granted_at),
        "expires_at": iso(lease.expires_at),
        "reserved": {name: in_units(amount, limits[name.split("/")[0]].unit) for name, amount in found.reserved},
    }


def verdict_word(verdict: Verdict | None) -> str | None:
    """``admit``, ``defer`` or ``reject``."""
    match verdict:
        case Admit():
            return "admit"
        case Defer():
            return "defer"
        case Reject():
            return "reject"
        case _:
            return None


def _reason(verdict: Verdict | None, ticket: Ticket) -> str:
    return verdict.reason.value if isinstance(verdict, Defer | Reject) else ticket.reason.value


def _holding(verdict: Verdict | None) -> tuple[Blocker, ...]:
    return verdict.held if isinstance(verdict, Defer | Reject) else ()


def _held(held: Blocker) -> dict[str, Any]:
    return {"limit": held.instance, "reason": held.reason.value, "until": iso(held.until)}


def seconds_until(at: datetime, now: datetime) -> int:
    """Whole seconds to an instant, at least one."""
    return max(1, int((at - now).total_seconds()))
