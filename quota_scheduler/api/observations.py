"""The provider's word over HTTP: what it says about its windows, and that it refuses for a moment."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema, model_validator
from pydantic.config import JsonDict
from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api.access import MOST_IN_ARRAY, accepting, body, facade_of, require
from quota_scheduler.api.problems import Problem, pointers
from quota_scheduler.api.pushed import taken
from quota_scheduler.api.render import json_response
from quota_scheduler.api.schemas import Body
from quota_scheduler.api.values import INSTANT, Instant, Key, Name, Wait
from quota_scheduler.config import Role
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.names import canonical_provider
from quota_scheduler.core.observations.judging import longest
from quota_scheduler.core.observations.observation import Observation, ProviderWindow, Standing, Throttle
from quota_scheduler.core.observations.report_key import LENGTHS, PROVIDERS
from quota_scheduler.core.scope import Scope
from quota_scheduler.service.observe import OLDEST

DOOR = "observations"
MOST_RATIO = 2.0
"""A window of which more than twice its amount is used is a percentage in the wrong place: 102 % was seen."""
FARTHEST_RESET = timedelta(days=62)
"""A reset farther away than two months is a wrong unit: the longest window that providers name is a month."""
_EPOCH = {
    "anyOf": [
        dict(INSTANT.json_schema or {}),
        {"type": "number", "minimum": 946684800, "maximum": 7258118399, "description": "seconds since 1970"},
    ]
}


def _moment(value: Any) -> Any:
    """Epoch seconds, as providers write resets, beside instants with a zone. Raises ValueError for milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not 0 <= value < 10**11:
        raise ValueError("these are no seconds since 1970: write seconds, or an instant such as 2026-11-22T17:40:00Z")
    return datetime.fromtimestamp(value, UTC)


Moment = Annotated[Instant, BeforeValidator(_moment), WithJsonSchema(_EPOCH)]
_PAUSE = {"anyOf": [{"type": "number", "minimum": 0, "maximum": 86_400}, {"type": "null"}]}
"""Described without an example: alone it does not fit beside a window."""
_ABOUT_WINDOW = ("window", "scope", "used_ratio", "used_percent", "resets_at", "status")
_SAYS: dict[str, JsonDict] = {
    "used_ratio": {"type": "number"},
    "used_percent": {"type": "number"},
    "resets_at": {"type": ["string", "number"]},
    "status": {"enum": [standing.value for standing in Standing if standing]},
    "overage": {"const": True},
}
"""What a report may say about a window; it says one of these at least."""
_ONE_WAY: JsonDict = {
    "oneOf": [
        {
            "required": ["window"],
            "properties": {
                "window": {"type": "string"},
                "throttled": {"const": False},
                "retry_after": {"type": "null"},
            },
            "anyOf": [{"required": [name], "properties": {name: value}} for name, value in _SAYS.items()],
            "allOf": [
                {"anyOf": [{"properties": {name: {"type": "null"}}} for name in ("used_ratio", "used_percent")]},
                {
                    "anyOf": [
                        {"properties": {"window": {"not": {"const": ProviderWindow.WEEKLY_MODEL.value}}}},
                        {"required": ["scope"], "properties": {"scope": {"type": "string", "pattern": r"\S"}}},
                    ]
                },
            ],
        },
        {
            "required": ["throttled"],
            "properties": {"throttled": {"const": True}},
            "not": {"anyOf": [{"required": [name]} for name in _ABOUT_WINDOW]},
        },
    ]
}


class ObservationBody(Body):
    """What a provider said about one window, or with ``throttled`` that it refused without naming one.

    ``account`` is by default that of the provider's own program here, which ``folder``, where that program keeps its
    files, may tell from others. ``observed_at`` is by default now.
    """

    model_config = ConfigDict(json_schema_extra=_ONE_WAY)

    provider: Key
    account: Name = ""
    folder: Annotated[str, Field(max_length=4096)] = ""
    window: ProviderWindow | None = None
    scope: Name = ""
    used_ratio: Annotated[float, Field(ge=0, json_schema_extra={"maximum": MOST_RATIO})] | None = None
    used_percent: Annotated[float, Field(ge=0, le=100 * MOST_RATIO)] | None = None
    resets_at: Moment | None = None
    observed_at: Moment | None = None
    status: Standing = Standing.UNKNOWN
    overage: Annotated[bool, Field(strict=True)] = False
    source: Name = "api"
    throttled: Annotated[bool, Field(strict=True)] = False
    retry_after: Annotated[Wait | Literal[0] | None, WithJsonSchema(_PAUSE)] = None

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        about_window = self.model_fields_set.intersection(_ABOUT_WINDOW)
        if self.throttled and about_window:
            raise ValueError(f"throttled names no window: leave {min(about_window)} out, or send it as its own element")
        if not self.throttled and self.retry_after is not None:
            raise ValueError(
                "retry_after is of a short throttle: add throttled: true, or write resets_at of the window"
            )
        if not self.throttled:
            self._complete()
        return self

    def _complete(self) -> None:
        if self.window is None:
            raise ValueError(f"window is missing: one of {', '.join(ProviderWindow)}; or write throttled: true")
        if self.window is ProviderWindow.WEEKLY_MODEL and not self.scope:
            raise ValueError("weekly_model is about one model: name it, as in scope: opus")
        if self.used_ratio is not None and self.used_percent is not None:
            raise ValueError("used_ratio and used_percent say the same: write one of them")
        if self.used_ratio is not None and self.used_ratio > MOST_RATIO:
            raise ValueError(f"used_ratio goes from 0 to 1: for {self.used_ratio:g} % write used_percent")
        says = (self.used_ratio, self.used_percent, self.resets_at)
        if says == (None, None, None) and not self.status and not self.overage:
            raise ValueError("it says nothing: write used_ratio or used_percent, resets_at, or status")

    def said(self, account: Callable[[str, str], str], now: datetime) -> Observation | Throttle:
        """As the core has it. Raises ValueError for what lies too far from ``now``."""
        provider, at = canonical_provider(self.provider), self.observed_at or now
        provider = PROVIDERS.get(provider, provider)
        whose = self.account or account(provider, self.folder)
        if at < now - OLDEST:
            raise ValueError(f"observed_at lies more than {OLDEST.days} days back: nothing can be compared with it")
        if self.throttled:
            return Throttle(provider, whose, at, self.source, self.retry_after or None)
        if self.resets_at and self.resets_at > now + FARTHEST_RESET:
            raise ValueError(f"resets_at lies more than {FARTHEST_RESET.days} days ahead: no window is that long")
        assert self.window is not None
        if self.resets_at and self.resets_at > at + longest(LENGTHS[self.window]):
            hours = (self.resets_at - at) / timedelta(hours=1)
            raise ValueError(f"resets_at lies {hours:.0f} hours ahead: a {self.window} window is over long before")
        ratio = self.used_percent / 100 if self.used_percent is not None else self.used_ratio
        return Observation(
            provider=provider,
            account=whose,
            window=self.window,
            observed_at=at,
            source=self.source,
            used_ratio=ratio,
            resets_at=self.resets_at,
            scope=self.scope,
            standing=self.status,
            overage=self.overage,
        )


OBSERVATION: TypeAdapter[ObservationBody] = TypeAdapter(ObservationBody)


async def observe(request: Request) -> Response:
    """Take one report or an array; what is wrong with one does not keep the others out.

    202 says that they lie on this disk, and are recorded once the database is back.
    """
    asker, service = require(request, Role.RUNNER), accepting(request)
    raw = await body(request)
    items = raw if isinstance(raw, list) else [raw]
    if len(items) > MOST_IN_ARRAY:
        raise Problem(422, "too_many", f"{len(items)} reports: send at most {MOST_IN_ARRAY} at a time")
    said, rejected = await asyncio.to_thread(_valid, items, service.account_of, service.now(), asker.scope)
    observations = tuple(one for one in said if isinstance(one, Observation))
    throttles = tuple(one for one in said if isinstance(one, Throttle))
    delivery = Pushed(DOOR, observations=observations, throttles=throttles, scope=asker.scope)
    done = await taken(service, delivery, lambda: service.observe(observations, throttles))
    waiting = service.readings.queue
    counts: dict[str, Any] = {
        "accepted": done.accepted if done else 0,
        "duplicate": done.duplicate if done else 0,
        "throttles": len(throttles),
        "rejected": rejected,
        "waiting": sum(waits.waiting for waits in waiting.classes) if waiting else None,
    }
    if done is None:
        return json_response({**counts, "spooled": delivery.size}, 202)
    if rejected and not isinstance(raw, list):
        raise Problem(422, "invalid_body", str(rejected[0]["reason"]), **counts)
    return json_response(counts)


def _valid(
    items: list[Any], account: Callable[[str, str], str], now: datetime, scope: Scope
) -> tuple[list[Observation | Throttle], list[dict[str, Any]]]:
    """The reports among ``items``, and for each of the others its index and what is wrong with it."""
    said: list[Observation | Throttle] = []
    rejected = []
    for index, item in enumerate(items):
        try:
            said.append(_of_scope(OBSERVATION.validate_python(item), scope).said(account, now))
        except ValidationError as error:
            rejected.append({"index": index, "reason": "; ".join(pointers(error, item))})
        except ValueError as error:
            rejected.append({"index": index, "reason": str(error)})
    return said, rejected


def _of_scope(report: ObservationBody, scope: Scope) -> ObservationBody:
    """A report about an account of the scope's own, by default that. Raises ValueError for one about another's."""
    own = dict(scope.bound).get("account")
    if own is None:
        return report
    if report.account not in ("", own):
        raise ValueError(f"account: this token is bound to account {own!r}: leave it out")
    return report.model_copy(update={"account": own})


async def observations(request: Request) -> Response:
    """What each provider said last about each window, how old that is, and why it is not newer."""
    asker = require(request, Role.VIEWER)
    return json_response(await asyncio.to_thread(facade_of(request).observations, asker.scope))
