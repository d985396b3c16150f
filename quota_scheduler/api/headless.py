"""What headless runs print: their whole output, as it came."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api.access import MOST_USAGE_BYTES, accepting, raw_output, require
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.pushed import taken
from quota_scheduler.api.render import json_response
from quota_scheduler.config import Role
from quota_scheduler.core.instants import SKEW, is_plausible, parse_instant
from quota_scheduler.core.labels import LONGEST_VALUE
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.scope import Scope
from quota_scheduler.service.headless import ORIGIN

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

MOST_NAMED = 20
"""Faults of an output that the answer names."""


async def record(request: Request) -> Response:
    """Record what a run has used, where no transcript says it, and what the provider told it of limits.

    202 says that it lies on this disk, and is recorded once the database is back.
    """
    asker, service = require(request, Role.RUNNER), accepting(request)
    account, at = _account(request, asker.scope), _ended(request, service)
    if len(account) > LONGEST_VALUE or not (account.isprintable()):
        raise Problem(422, "invalid_query", f"account has more than {LONGEST_VALUE} characters, or signs of no name")
    forked = request.query_params.get("forked", "") in {"1", "true"}
    output = await raw_output(request, most=MOST_USAGE_BYTES)
    run = await asyncio.to_thread(service.read_headless, output, at=at, account=account, forked=forked)
    run = service.claimed_run(run, asker.scope)
    observations, throttles = tuple(run.word.observations), tuple(run.word.throttles)
    delivery = Pushed(ORIGIN, observations=observations, throttles=throttles, totals=run.totals, scope=asker.scope)
    done = await taken(service, delivery, lambda: service.take_headless(run, asker.scope))
    answer = {
        "sessions": [total.session for total in run.totals],
        "observations": done.accepted if done else 0,
        "duplicate": done.duplicate if done else 0,
        "throttles": len(done.throttles if done else throttles),
        "refused": list(run.refused[:MOST_NAMED]),
    }
    return json_response(answer if done else {**answer, "spooled": delivery.size}, 200 if done else 202)


def _account(request: Request, scope: Scope) -> str:
    """Whose run it was: as the query says, which must be that of a token bound to one. Raises Problem."""
    own, said = dict(scope.bound).get("account", ""), request.query_params.get("account", "")
    if own and said not in ("", own):
        raise Problem(422, "invalid_query", f"account: this token is bound to account {own!r}: leave it out")
    return said or own


def _ended(request: Request, service: "Facade") -> datetime:
    """When the run ended: as the query says, else now. Raises Problem."""
    said = request.query_params.get("at", "")
    if not said:
        return service.now()
    try:
        at = parse_instant(said)
    except (ValueError, OverflowError) as error:
        raise Problem(422, "invalid_query", f"at: {error}") from None
    if not is_plausible(at) or at > service.now() + SKEW:
        raise Problem(422, "invalid_query", f"at: {said} is no time at which a run has ended")
    return at
