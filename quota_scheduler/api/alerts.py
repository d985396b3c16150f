"""Alerts over HTTP: look at them, acknowledge one, silence what fits."""

import asyncio
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator
from pydantic.config import JsonDict
from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api.access import accepting, body, facade_of, optional_body, require, written
from quota_scheduler.api.bodies import validated
from quota_scheduler.api.bounds import LONGEST_WAIT
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.render import json_response
from quota_scheduler.api.schemas import Body
from quota_scheduler.api.values import Instant, Key, Name, Text, Wait
from quota_scheduler.config import Role
from quota_scheduler.core.alerts.routing import MATCHABLE
from quota_scheduler.core.alerts.state import Silence
from quota_scheduler.service.operate import alerts as alerting

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade


def _patterns(value: Any) -> Any:
    """Several patterns of one name are alternatives."""
    several = isinstance(value, list) and value and all(isinstance(pattern, str) for pattern in value)
    return "|".join(value) if several else value


Pattern = Annotated[Key, BeforeValidator(_patterns)]


MATCHERS = Field(json_schema_extra={"propertyNames": {"enum": list(MATCHABLE)}})


_UNTIL_WHEN: JsonDict = {
    "oneOf": [
        {"required": ["until"], "properties": {"until": {"type": "string"}, "for": {"type": "null"}}},
        {"required": ["for"], "properties": {"for": {"type": ["string", "number"]}, "until": {"type": "null"}}},
    ]
}


class SilenceBody(Body):
    """What to be silent about, why, and until when: an instant, or ``for`` a length of time."""

    model_config = ConfigDict(json_schema_extra=_UNTIL_WHEN)

    matchers: Annotated[dict[str, Pattern], Field(min_length=1), MATCHERS]
    comment: Annotated[Text, Field(min_length=1)]
    author: Name = ""
    starts_at: Instant | None = None
    until: Instant | None = None
    length: Annotated[Wait | None, Field(alias="for")] = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if unknown := sorted(self.matchers.keys() - set(MATCHABLE)):
            raise ValueError(f"nothing is matched by {unknown[0]!r}; the names are {', '.join(MATCHABLE)}")
        if (self.until is None) == (self.length is None):
            raise ValueError("say until when: give either until or for")
        return self


class AckBody(Body):
    """Who takes care of an alert, and what they say."""

    author: Name = ""
    comment: Text = ""


SILENCE: TypeAdapter[SilenceBody] = TypeAdapter(SilenceBody)
ACK: TypeAdapter[AckBody] = TypeAdapter(AckBody)


async def look(request: Request) -> Response:
    """Alerts that are pending, firing or resolved lately."""
    asker = require(request, Role.VIEWER)
    return json_response(await asyncio.to_thread(facade_of(request).alerts, asker.scope))


async def silences(request: Request) -> Response:
    """Silences that have not ended."""
    asker = require(request, Role.VIEWER)
    return json_response(await asyncio.to_thread(facade_of(request).silences, asker.scope))


async def silence(request: Request) -> Response:
    """Tell nobody about alerts that every matcher fits."""
    who, service = require(request, Role.OPERATOR).name, accepting(request)
    wanted = _silence(validated(await body(request), SILENCE), service, who)
    return json_response(await written(service.silence(wanted, who=who)))


async def end_silence(request: Request) -> Response:
    """End a silence now."""
    who, service = require(request, Role.OPERATOR).name, accepting(request)
    number = _number(request.path_params["silence"])
    if not await written(service.end_silence(number, who=who)):
        raise Problem(404, "not_found", f"there is no silence {number} that still lasts; see GET /v1/silences")
    return json_response({"id": number, "ended": True})


async def acknowledge(request: Request) -> Response:
    """Stop the repeats of a firing alert."""
    who, service = require(request, Role.OPERATOR).name, accepting(request)
    asked = validated(await optional_body(request), ACK)
    number, author = _number(request.path_params["alert"]), asked.author or who
    done = await written(service.acknowledge(number, author=author, comment=asked.comment, who=who))
    if done is alerting.Acknowledged.UNKNOWN:
        raise Problem(404, "not_found", f"there is no alert {number}; see GET /v1/alerts")
    if done is alerting.Acknowledged.NOT_FIRING:
        raise Problem(409, "not_firing", f"alert {number} does not fire: there is nothing to acknowledge")
    return json_response({"id": number, "acknowledged_by": author})


def _silence(asked: SilenceBody, service: "Facade", who: str) -> Silence:
    """The silence that is asked for. Raises Problem for one that nothing could fit or that is over already."""
    now = service.now()
    pattern = asked.matchers.get("rule", "*")
    if not any(fnmatchcase(rule, part) for rule in service.rules for part in pattern.split("|")):
        raise Problem(
            409, "no_rule", f"/matchers/rule: no rule fits {pattern!r}; the rules are {', '.join(service.rules)}"
        )
    starts_at = asked.starts_at or now
    ends_at = asked.until or starts_at + (asked.length or timedelta(0))
    if ends_at <= max(starts_at, now):
        raise Problem(409, "wrong_time", "/until: it would be over before it began: name a later instant")
    if ends_at > now + 2 * LONGEST_WAIT:
        raise Problem(409, "wrong_time", "/until: two years at most: switch the rule off in the configuration instead")
    return Silence(tuple(sorted(asked.matchers.items())), asked.author or who, asked.comment, starts_at, ends_at)


def _number(text: str) -> int:
    """An id from a path. Raises Problem for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Problem(404, "not_found", f"{text!r} is no id: it is a whole number, as the list shows it")
    return int(text)
