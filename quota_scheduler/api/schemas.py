"""Bodies that come in over HTTP: validated once, here, and turned into core values."""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.config import JsonDict

from quota_scheduler.api.bounds import DEFAULT_TTL, LARGEST_FENCE, MOST_MODELS
from quota_scheduler.api.values import (
    DOLLARS,
    WHOLE,
    Amount,
    Count,
    Instant,
    Key,
    Name,
    Ttl,
    Wait,
    Word,
)
from quota_scheduler.core.comments.place import LARGEST_ISSUE, issue_text
from quota_scheduler.core.comments.place import PATTERN as REPOSITORY
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.names import canonical_provider
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.estimate import SPLIT_WORDS, TASK_ALIASES, TASK_TOKENS, Description, declared
from quota_scheduler.core.tickets.run_history import EstimateBasis
from quota_scheduler.core.tickets.ticket import Estimate, ModelUsage, Outcome, Ticket
from quota_scheduler.core.units import MICRO, PICO
from quota_scheduler.core.usage import Extent, Usage, UsageEvent, price_terms


class Body(BaseModel):
    """Strict: unknown keys are errors. What validates one is built when the first of its kind comes in."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class LabelsBody(Body):
    """The closed set of labels; only ``provider`` is required."""

    provider: Key
    account: Name = ""
    model: Name = ""
    team: Name = ""
    project: Name = ""
    workflow: Name = ""
    task_type: Name = ""
    agent: Name = ""

    def labels(self) -> Labels:
        """As the core has them."""
        provider = canonical_provider(self.provider)
        return Labels(
            provider, self.account, self.model, self.team, self.project, self.workflow, self.task_type, self.agent
        )


class TokensBody(Body):
    """Tokens by kind; absent kinds are 0."""

    input: Count = 0
    cache_read: Count = 0
    cache_write_5m: Count = 0
    cache_write_1h: Count = 0
    output: Count = 0
    requests: Count | None = None
    cost_usd: Annotated[Decimal, Field(ge=0, le=10**6), DOLLARS] | None = None

    def usage(self) -> Usage:
        """As the core has it; the cost as given, else 0 until it is priced."""
        cost = round(self.cost_usd * MICRO * PICO) if self.cost_usd is not None else 0
        kinds = (self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.output)
        usage = Usage(*kinds, requests=1 if self.requests is None else self.requests)
        return usage.costing(cost) if cost else usage


_KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
_SOMETHING: JsonDict = {
    "oneOf": [
        {
            "required": ["tokens"],
            "properties": {"tokens": {"type": ["integer", "string"]}, **{kind: {"const": 0} for kind in _KINDS}},
        },
        {
            "properties": {"tokens": {"type": "null"}},
            "anyOf": [{"required": [kind], "properties": {kind: {"minimum": 1}}} for kind in _KINDS],
        },
        {
            "required": ["cost_usd"],
            "properties": {
                "tokens": {"type": "null"},
                "cost_usd": {"type": "number", "exclusiveMinimum": 0},
                **{kind: {"const": 0} for kind in _KINDS},
            },
        },
    ]
}


class EstimateBody(TokensBody):
    """A bare number of tokens, or tokens by kind; ``duration`` is how long the run is expected to take."""

    model_config = ConfigDict(json_schema_extra=_SOMETHING)

    tokens: Amount | None = None
    duration: Wait | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.tokens is not None and self.usage().tokens:
            raise ValueError("give either tokens or tokens by kind, not both")
        if not (self.tokens or self.usage().tokens or self.cost_usd):
            raise ValueError("an estimate needs tokens, tokens by kind, or cost_usd, and more than 0 of it")
        return self

    def estimate(self, basis: EstimateBasis, labels: Labels) -> Estimate:
        """The estimate; a bare number is split over the kinds as work like it was."""
        usage = self.usage()
        if self.tokens is not None:
            usage = basis.of_tokens(self.tokens, labels, requests=usage.requests).costing(usage.cost_pico)
        return declared(usage)._replace(duration=self.duration)


_WORDS: JsonDict = {
    "anyOf": [
        {"required": ["task_type"], "properties": {"task_type": {"enum": [*TASK_TOKENS, *TASK_ALIASES]}}},
        {"required": ["text"], "properties": {"text": {"pattern": "[a-z]"}}},
    ]
}


class DescribeBody(Body):
    """A task in words, for runners that cannot estimate; also a task type that completed runs had."""

    model_config = ConfigDict(json_schema_extra=_WORDS)

    task_type: Name = ""
    text: Annotated[str, StringConstraints(max_length=200_000)] = ""
    files: Annotated[int, Field(ge=0, le=100_000, strict=True), WHOLE] = 0
    complexity: Literal["simple", "normal", "complex"] = "normal"
    urgent: Annotated[bool, Field(strict=True)] = False

    def description(self, task_type: str = "") -> Description:
        """As the core has it; ``task_type`` is that of the labels, for one that names none."""
        return Description(self.task_type or task_type, self.text, self.files, self.complexity, self.urgent)


class ResumeBody(Body):
    """Go on by itself after resets, but not after an instant: then the ticket closes."""

    until: Instant


_ONE_WAY: JsonDict = {
    "oneOf": [
        {"required": ["estimate"], "properties": {"estimate": {"type": "object"}, "describe": {"type": "null"}}},
        {"required": ["describe"], "properties": {"describe": {"type": "object"}, "estimate": {"type": "null"}}},
    ]
}


class GithubBody(Body):
    """The issue or pull request at which people are told what becomes of the ticket."""

    repo: Annotated[str, StringConstraints(strip_whitespace=True, pattern=f"^{REPOSITORY}$")]
    issue: Annotated[int, Field(ge=1, le=LARGEST_ISSUE, strict=True), WHOLE]


class TicketBody(Body):
    """What a runner submits."""

    model_config = ConfigDict(json_schema_extra=_ONE_WAY)

    key: Key
    labels: LabelsBody
    priority: Annotated[Priority | None, Field(alias="class")] = None
    estimate: EstimateBody | None = None
    describe: DescribeBody | None = None
    run: Name = ""
    session: Name = ""
    model: Name = ""
    flags: Annotated[tuple[Key, ...], Field(max_length=20)] = ()
    deadline: Instant | None = None
    max_wait: Wait | None = None
    resume: Literal["auto"] | ResumeBody = "auto"
    ttl: Ttl = DEFAULT_TTL
    github: GithubBody | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.estimate is None) == (self.describe is None):
            raise ValueError("give either estimate or describe")
        return self

    def draft(self, basis: EstimateBasis, *, now: datetime) -> Ticket | str:
        """The ticket to submit, its cost still to be priced; a sentence where its description cannot be estimated."""
        labels = self.labels.labels()
        if self.model:
            labels = labels._replace(model=self.model)
        task = self.describe.description(labels.task_type) if self.describe else None
        estimate = basis.of_task(task, labels) if task else self._declared(basis, labels)
        if isinstance(estimate, str):
            return estimate
        return Ticket(
            id=0,
            key=self.key,
            body=self.fingerprint(),
            labels=labels._replace(task_type=labels.task_type or (task.task_type if task else "")),
            priority=self.priority or (task.priority if task else Priority.NORMAL),
            estimate=estimate,
            created_at=now,
            waiting_since=now,
            ttl=self.ttl,
            run=self.run,
            session=self.session,
            flags=tuple(sorted(set(self.flags))),
            deadline=self.deadline,
            wait_until=self._wait_until(now),
            comment_on=issue_text(self.github.repo, self.github.issue) if self.github else "",
        )

    def _wait_until(self, now: datetime) -> datetime | None:
        ends = [now + self.max_wait] if self.max_wait else []
        if isinstance(self.resume, ResumeBody):
            ends.append(self.resume.until.astimezone(UTC))
        return min(ends, default=None)

    def _declared(self, basis: EstimateBasis, labels: Labels) -> Estimate:
        assert self.estimate is not None
        return self.estimate.estimate(basis, labels)

    def fingerprint(self) -> str:
        """What makes two submissions under one key the same."""
        return hashlib.blake2b(self.model_dump_json(exclude_unset=True).encode(), digest_size=16).hexdigest()

    @property
    def advice(self) -> str:
        """What to tell about the description itself."""
        words = self.describe.description().words if self.describe else 0
        return f"The description has {words} words: split it." if words > SPLIT_WORDS else ""


class PreflightBody(TicketBody):
    """What a runner would submit; nothing is kept, so it needs no key."""

    key: Key = "preflight"


class PlanBody(Body):
    """The items of a plan, in the order they are to run."""

    items: Annotated[tuple[TicketBody, ...], Field(min_length=1, max_length=1_000)]


class ReportBody(Body):
    """Renew or release: usage is the total of the run so far, one sum or by model."""

    fence: Annotated[int, Field(ge=1, le=LARGEST_FENCE, strict=True), WHOLE]
    session: Name = ""
    usage: TokensBody | Annotated[dict[Key, TokensBody], Field(max_length=MOST_MODELS)] | None = None
    status: Literal["completed", "failed", "paused_quota"] = "completed"
    ttl: Ttl | None = None

    def reported(self, model: str) -> ModelUsage | None:
        """Usage by model; ``model`` is whose it is when none is named."""
        if self.usage is None:
            return None
        named = {model: self.usage} if isinstance(self.usage, TokensBody) else self.usage
        return tuple(sorted((name, tokens.usage()) for name, tokens in named.items()))

    @property
    def outcome(self) -> Outcome:
        """How the run ended."""
        return Outcome(self.status)


class EventBody(TokensBody):
    """One usage event."""

    provider: Key
    key: Key
    at: Instant
    model: Name = ""
    run: Name = ""
    session: Name = ""
    labels: dict[Literal["account", "team", "project", "workflow", "task_type", "agent"], Name] = Field(
        default_factory=dict
    )
    flags: Annotated[tuple[Key, ...], Field(max_length=20)] = ()
    status: Name = ""
    prompt_version: Name = ""
    priority: Annotated[Priority, Field(alias="class")] = Priority.INTERACTIVE
    speed: Word = ""
    inference_geo: Word = ""
    service_tier: Word = ""
    web_searches: Annotated[int, Field(ge=0, le=10_000, strict=True), WHOLE] = 0
    message: Name = ""
    sidechain: Annotated[bool, Field(strict=True)] = False
    origin: Name = ""
    extent: Extent = Extent.WHOLE

    def event(self) -> UsageEvent:
        """As the core has it; without a cost until it is priced."""
        given: dict[str, str] = {str(name): value for name, value in self.labels.items()}
        return UsageEvent(
            key=self.key,
            at=self.at,
            labels=Labels(provider=canonical_provider(self.provider), model=self.model, **given),
            usage=self.usage(),
            run=self.run or self.session,
            session=self.session,
            flags=tuple(sorted(set(self.flags))),
            prompt_version=self.prompt_version,
            status=self.status,
            priority=self.priority,
            terms=price_terms(
                speed=self.speed, geo=self.inference_geo, tier=self.service_tier, web_searches=self.web_searches
            ),
            message=self.message,
            sidechain=self.sidechain,
            origin=self.origin,
            extent=self.extent,
        )
