"""Tickets and answers as JSON types."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import asdict
from starlette.responses import Response

from quota_scheduler.api.problems import Problem, inside
from quota_scheduler.core.admission.decide import Admit, Blocker, Defer, Reject, Verdict
from quota_scheduler.core.admission.explanation import explain, unnamed_model
from quota_scheduler.core.admission.preflight import Check
from quota_scheduler.core.cycle.requests import Answer, Refusal, Refused, Reply
from quota_scheduler.core.efficiency.optimization import ADVICE, Optimization
from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.limit import Limit, parts_of
from quota_scheduler.core.tickets.ticket import Estimate, Lease, Reason, State, Ticket
from quota_scheduler.core.units import in_units
from quota_scheduler.core.usage import KINDS
from quota_scheduler.service.operate.holds import EverythingHeld

REFUSED = {
    Refusal.NOT_FOUND: (404, "there is no such ticket; it may have been closed more than a day ago"),
    Refusal.KEY_REUSED: (409, "this key names a ticket with another body: use a new key for other work"),
    Refusal.NOT_OWNER: (403, "this ticket belongs to another token: only that one, or an operator, may act on it"),
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


def problem_of(refused: Refused, *, what: str = "ticket") -> Problem:
    """A refusal as a problem; ``what`` was asked for."""
    status, detail = REFUSED[refused.refusal]
    if refused.refusal is Refusal.NOT_FOUND:
        detail = detail.replace("ticket", what, 1)
    return Problem(status, refused.refusal.value, detail)


def answer(
    reply: Reply, limits: Mapping[str, Limit], *, zone: str, fence: bool, held: EverythingHeld | None
) -> dict[str, Any]:
    """One answer as JSON types; a refusal inside a batch as a problem. ``fence``: whether that of a lease is shown."""
    if isinstance(reply, Refused):
        return inside(problem_of(reply))
    body = _answered(reply, limits, zone, fence=fence)
    return _say_hold(body, held) if held and not reply.ticket.on_hold else body


def _say_hold(body: dict[str, Any], held: EverythingHeld) -> dict[str, Any]:
    """Say who holds everything and why, where that is what keeps a ticket back: nobody knows until when."""
    if "checks" in body:
        advice = "Wait until an operator lets it go on: quota-scheduler hold --release."
        body["checks"] = [asdict(Check("hold", False, held.sentence(), advice)), *body["checks"]]
    if body["verdict"] == "defer":
        sentence = held.sentence()
        besides = "" if body["reason"] == Reason.HELD.value else f" {body['message']}"
        body["message"] = f"{sentence[0].upper()}{sentence[1:]}.{besides}"
        body["until"] = body["expected_start"] = None
        body["hold"] = held.document()
    return body


def _answered(reply: Answer, limits: Mapping[str, Limit], zone: str, *, fence: bool) -> dict[str, Any]:
    ticket, verdict = reply.ticket, reply.verdict
    body: dict[str, Any] = {
        "id": ticket_id(ticket.id) if ticket.id else None,
        "key": ticket.key,
        "state": ticket.state.value,
        "class": ticket.priority.value,
        "verdict": verdict_word(verdict),
        "reason": _reason(verdict, ticket),
        "message": " ".join(
            filter(
                None,
                [
                    explain(ticket, verdict, zone=zone, figures=reply.figures),
                    _refused(reply, zone),
                    unnamed_model(ticket, limits.values()),
                ],
            )
        ),
        "binding": [_binding(blocker, reply) for blocker in _blockers(verdict)],
        "warned": [_blocker(blocker) for blocker in verdict.warned] if verdict else [],
        "until": _until(verdict),
        "position": reply.position,
        "expected_start": _expected(reply),
        "counterfactuals": list(reply.counterfactuals),
        "advice": {
            "optimization_level": str(reply.optimization),
            "model": reply.model or None,
            "advice": ADVICE[Optimization(reply.optimization)].text,
        },
    }
    if reply.checks:
        body["estimate"] = _estimate(ticket.estimate)
        body["checks"] = [asdict(check) for check in reply.checks]
    if ticket.state is State.CLOSED:
        body["outcome"] = ticket.outcome.value if ticket.outcome else None
    if ticket.lease and ticket.state is State.RUNNING:
        body["lease"] = _lease(reply, limits, fence=fence)
        body["stop"] = reply.stop
    return body


def _refused(reply: Answer, zone: str) -> str:
    """For people, who may start all the same: that their provider refuses for the moment."""
    if reply.refused_until is None:
        return ""
    clock = f"{reply.refused_until.astimezone(ZoneInfo(zone)):%H:%M:%S} {zone}"
    return f"{reply.ticket.labels.provider} refuses requests for the moment, until about {clock}."


def _estimate(estimate: Estimate) -> dict[str, Any]:
    """What work is expected to use: ``basis`` is how that is known, ``confidence`` from 0 to 1."""
    return {
        "tokens": estimate.median.tokens,
        "reserved_tokens": estimate.reserve.tokens,
        "cost_usd": estimate.median.cost_usd,
        "reserved_usd": estimate.reserve.cost_usd,
        "price_known": not estimate.estimated_cost,
        "basis": estimate.source,
        "confidence": round(estimate.confidence, 2),
    }


def _expected(reply: Answer) -> dict[str, str] | None:
    start = reply.expected
    return {"low": iso(start.low), "expected": iso(start.expected), "high": iso(start.high)} if start else None


def _lease(reply: Answer, limits: Mapping[str, Limit], *, fence: bool) -> dict[str, Any]:
    lease = reply.ticket.lease
    assert lease is not None
    return {
        "id": f"l{reply.ticket.id}",
        "fence": lease.fence if fence else None,
        "granted_at": iso(lease.granted_at),
        "expires_at": iso(lease.expires_at),
        "reserved": {name: in_units(amount, limits[parts_of(name)[0]].unit) for name, amount in reply.reserved},
    } | _reported(lease)


def _reported(lease: Lease) -> dict[str, Any]:
    """What a runner before has told of this lease: who takes its work up again adds to it."""
    by_model = {
        model: {kind: tokens for kind, tokens in zip(KINDS, usage.kinds, strict=True) if tokens}
        | {"requests": usage.requests, "cost_usd": usage.cost_usd}
        for model, usage in lease.reported
    }
    return {"reported": by_model} if by_model else {}


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


def _blockers(verdict: Verdict | None) -> tuple[Blocker, ...]:
    return verdict.held if isinstance(verdict, Defer | Reject) else ()


def _blocker(blocker: Blocker) -> dict[str, Any]:
    return {"limit": blocker.instance, "reason": blocker.reason.value, "until": iso(blocker.until)}


def _binding(blocker: Blocker, reply: Answer) -> dict[str, Any]:
    """A limit that keeps a ticket out, with what it has used and reserved and what was asked, in its unit."""
    figures = reply.figures.get(blocker.instance)
    return {**_blocker(blocker), **(figures.document() if figures else {})}


def _until(verdict: Verdict | None) -> str | None:
    """Until when a ticket waits; None where a person decides that."""
    return iso(verdict.until) if isinstance(verdict, Defer) and verdict.reason is not Reason.HELD else None
