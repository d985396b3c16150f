"""Limits over HTTP: how they stand, what they are, and changing one at run time."""

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, WithJsonSchema
from pydantic.config import JsonDict
from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api.access import accepting, body, facade_of, require, written
from quota_scheduler.api.bodies import validated
from quota_scheduler.api.bounds import LARGEST
from quota_scheduler.api.problems import Problem, pointed
from quota_scheduler.api.render import json_response
from quota_scheduler.api.schemas import Body
from quota_scheduler.api.values import Instant
from quota_scheduler.config import Role
from quota_scheduler.config.writing import written_limit
from quota_scheduler.core.instants import iso, iso_or_none
from quota_scheduler.core.limits.changes import FIELDS
from quota_scheduler.core.limits.limit import AtLimit, Limit, Mode, Policy
from quota_scheduler.core.limits.sight import EVERYTHING, ScopeView
from quota_scheduler.core.readings.documents import limit_document
from quota_scheduler.core.readings.refusing import breaker_documents
from quota_scheduler.core.readings.sighted import own_accounts

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade


_AMOUNT: JsonDict = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": LARGEST},
        {"type": "string", "pattern": r"^[1-9][0-9]{0,2}[kM]?$", "examples": ["2.5M", "$10"]},
    ],
    "description": "an amount in the limit's unit, as a number or as people write it",
}
_SHARE: JsonDict = {"type": "string", "pattern": "^[1-9][0-9]?%$", "examples": ["80%"]}


def _or_null(*kinds: JsonDict) -> JsonDict:
    """A value of one of these kinds, or null, which takes a change back."""
    return {"anyOf": [*kinds, {"type": "null"}]}


def _by_value(kind: JsonDict) -> JsonDict:
    """A value for each instance that is named."""
    return {"type": "object", "additionalProperties": _or_null(kind)}


def _one_of(words: type[StrEnum]) -> JsonDict:
    return {"enum": [word.value for word in words]}


class LimitBody(Body):
    """Fields of a limit to change; null takes a change back. ``until`` is when the file's values hold again.

    With ``dry_run`` the answer says what would hold, and nothing is changed.
    """

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": [name]} for name in FIELDS]})

    amount: Annotated[Any, WithJsonSchema(_or_null(_AMOUNT))] = None
    holdback: Annotated[Any, WithJsonSchema(_or_null(_SHARE, _AMOUNT))] = None
    borrow: Annotated[Any, WithJsonSchema(_or_null(_AMOUNT))] = None
    lend: Annotated[Any, WithJsonSchema(_or_null(_AMOUNT))] = None
    overrides: Annotated[Any, WithJsonSchema(_or_null(_by_value(_AMOUNT)))] = None
    mode: Annotated[Any, WithJsonSchema(_or_null(_one_of(Mode)))] = None
    policy: Annotated[Any, WithJsonSchema(_or_null(_one_of(Policy)))] = None
    warn_at: Annotated[Any, WithJsonSchema(_or_null(_SHARE, _by_value(_SHARE)))] = None
    at_limit: Annotated[Any, WithJsonSchema(_or_null(_one_of(AtLimit), _by_value(_one_of(AtLimit))))] = None
    until: Instant | None = None
    dry_run: Annotated[bool, Field(strict=True)] = False

    def given(self) -> dict[str, Any]:
        """The fields that were given."""
        return {name: getattr(self, name) for name in FIELDS if name in self.model_fields_set}


PLAIN = frozenset({"amount", "holdback", "borrow", "lend", "mode", "policy"})
"""Fields of a limit whose changes name no value of its label."""
LIMIT: TypeAdapter[LimitBody] = TypeAdapter(LimitBody)


async def limits(request: Request) -> Response:
    """Every limit as of the last tick, the caps of runs, and whether everything is held or an alert muted."""
    asker, service = require(request, Role.VIEWER), facade_of(request)
    sight = await asyncio.to_thread(service.sight, asker.scope)
    readings = service.seen(sight)
    muted = await asyncio.to_thread(service.alerts_muted, asker.scope)
    return json_response(
        {
            "at": iso(readings.at),
            "zone": service.config.timezone,
            "tells_nobody": not service.config.receivers,
            "limits": [limit_document(reading) for reading in readings.limits],
            "hold": service.held.document() if service.held else None,
            "run_caps": [
                sight.written(limit, written_limit(limit))
                for limit in service.limits.values()
                if limit.is_per_run and sight.sees_limit(limit)
            ],
            "breakers": own_accounts(breaker_documents(readings.breakers, service.now()), sight),
            "alerts_muted": muted,
            "sources": [
                {"source": source.source, "catching_up": source.catching_up, "errors": source.errors}
                for source in readings.sources
            ],
            **({"replica": replicas} if (replicas := service.replicas) else {}),
        }
    )


async def limit(request: Request) -> Response:
    """One limit as it stands in the file, as it holds now, and what was changed about it by whom."""
    asker, service = require(request, Role.VIEWER), facade_of(request)
    sight = await asyncio.to_thread(service.sight, asker.scope)
    rule = _limit(service, request, sight)
    changes = await asyncio.to_thread(service.limit_changes, rule.id)
    in_file = next((limit for limit in service.config.limits if limit.id == rule.id), rule)
    return json_response(
        {
            "limit": rule.id,
            "holds": sight.written(rule, written_limit(rule)),
            "file": sight.written(in_file, written_limit(in_file)),
            "changes": [
                {
                    "field": change.field,
                    "value": change.value,
                    "who": change.who,
                    "at": iso(change.at),
                    "until": iso_or_none(change.expires_at),
                }
                for change in changes
                if not sight.scope.is_bound or change.field in PLAIN
            ],
        }
    )


async def change_limit(request: Request) -> Response:
    """Change a limit at run time; it takes effect with the next cycle, also for what waits."""
    who, service = require(request, Role.OPERATOR).name, accepting(request)
    before = _limit(service, request)
    asked = validated(await body(request), LIMIT)
    if not asked.given():
        raise Problem(422, "invalid_body", f"name what to change: {', '.join(FIELDS)}")
    if asked.until and asked.until <= service.now():
        raise pointed("/until", f"{iso(asked.until)} is over: name a later instant, or leave it out")
    hold = await written(
        service.change_limit(before.id, asked.given(), until=asked.until, who=who, dry_run=asked.dry_run)
    )
    if isinstance(hold, str):
        raise Problem(422, "invalid_body", hold)
    after = next(limit for limit in hold.limits if limit.id == before.id)
    return json_response(
        {
            "limit": before.id,
            "changed": sorted(asked.given()),
            "dry_run": asked.dry_run,
            "before": _fields(written_limit(before), asked.given()),
            "after": _fields(written_limit(after), asked.given()),
        }
    )


def _limit(service: "Facade", request: Request, sight: ScopeView = EVERYTHING) -> Limit:
    """The limit a path names. Raises Problem."""
    rule = request.path_params["limit"]
    limits = {name: limit for name, limit in service.limits.items() if sight.sees_limit(limit)}
    if rule not in limits:
        raise Problem(404, "no_limit", f"there is no limit {rule!r}; there are: {', '.join(limits) or 'none'}")
    return limits[rule]


def _fields(spec: Mapping[str, object], names: Mapping[str, Any]) -> dict[str, object]:
    """The named parts of a limit, None for those at their default."""
    return {name: spec.get(name) for name in sorted(names)}
