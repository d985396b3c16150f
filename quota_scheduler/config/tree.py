"""The configuration: one frozen tree, every value checked. What a key means stands in docs/reference/config.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from quota_scheduler.config import places
from quota_scheduler.core.alerts.routing import Matchers
from quota_scheduler.core.alerts.rule import Severity
from quota_scheduler.core.labels import LabelRule
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.thresholds import Thresholds
from quota_scheduler.core.pricing import OwnPrice


class Role(StrEnum):
    """What a token allows: looking, also asking to run, also changing things."""

    VIEWER = "viewer"
    RUNNER = "runner"
    OPERATOR = "operator"


class LogFormat(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


class Listen(Struct, frozen=True):
    """Where the service listens; port 0 lets the system choose."""

    host: str = "127.0.0.1"
    port: int = 8484

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_everywhere(self) -> bool:
        """Whether it listens on all addresses, so that its own says nothing of where it is."""
        return self.host in ("0.0.0.0", "::")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Without(StrEnum):
    """What usage without a team does in limits per team: nothing, or it counts in their instance ``none``."""

    IGNORE = "ignore"
    NONE = "none"


class AgentSource(Struct, frozen=True):
    """The files of one agent. ``roots`` are absolute; none means the places where the agent keeps them itself.

    ``accounts`` are those of the roots that name one; all others are of ``account``.
    """

    enabled: bool
    account: str
    roots: tuple[Path, ...]
    accounts: tuple[tuple[Path, str], ...]
    labels: tuple[LabelRule, ...]
    without: Without
    poll_seconds: float


class Sources(Struct, frozen=True):
    """Where usage is read from; ``usage_endpoint`` says whether claude.ai is asked what is left of its accounts."""

    claude_code: AgentSource
    others: tuple[tuple[str, AgentSource], ...] = ()
    usage_endpoint: bool = False

    def by_name(self) -> dict[str, AgentSource]:
        """Every agent that files are read of."""
        return {"claude_code": self.claude_code, **dict(self.others)}


class BillProvider(StrEnum):
    """Whose reports can be read."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"


class BillApi(StrEnum):
    """Which generation of Anthropic's reports."""

    ANALYTICS = "analytics"
    USAGE_REPORT = "usage_report"


@dataclass(frozen=True, slots=True)
class Bill:
    """An organisation whose usage and cost reports are read; ``key`` is a secret, ``url`` empty for the vendor's."""

    provider: BillProvider
    account: str
    key: str = field(repr=False)
    api: BillApi
    url: str
    every: timedelta


class PushedSource(Struct, frozen=True):
    """What others push through one door: which names in it give which label, and whose account it is.

    ``accounts`` are pairs of what a call says of its caller and the account's name; others are of ``account``.
    """

    account: str
    accounts: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, tuple[str, ...]], ...]
    without: Without


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who gets notifications from ``min_severity`` on, of what ``match`` fits; ``url`` is a secret."""

    id: str
    url: str = field(repr=False)
    min_severity: Severity
    match: Matchers = ()


class GitHubApp(Struct, frozen=True):
    """A GitHub App in whose name is written: its number or client id, its key, and where it is installed."""

    id: str
    key_file: Path
    installation: int


@dataclass(frozen=True, slots=True)
class GitHub:
    """Where comments at issues are written, and as whom: a token, which is a secret, or an App.

    ``login`` is the account's name where the token cannot ask for it, empty else.
    """

    url: str
    token: str = field(repr=False, default="")
    app: GitHubApp | None = None
    login: str = ""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """Who may use the service; ``sha256`` of the token in lower-case hexadecimal.

    ``labels`` are those that it is bound to, in order of name; ``expires`` is from when on it is none any more.
    """

    name: str
    role: Role
    sha256: str = field(repr=False)
    labels: tuple[tuple[str, str], ...] = ()
    expires: datetime | None = None


class RateLimit(Struct, frozen=True):
    """How often one token may ask: ``per_second`` over time, ``burst`` at once. 0 a second: as often as it likes."""

    per_second: float = 0.0
    burst: int = 20


class Tls(Struct, frozen=True):
    """The files of a certificate, with those that vouch for it, and of its private key."""

    certificate: Path
    key: Path


class Tracing(Struct, frozen=True):
    """Where spans go, the base URL of a collector or empty for nowhere, and which share of traces is kept."""

    endpoint: str = ""
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class SpoolPlace:
    """Where usage is kept while the database is away, and how many bytes of it; 0: none.

    ``is_named``: the file was chosen, so that a database that is a file is kept for, too.
    """

    file: Path
    bytes: int
    is_named: bool = field(default=False, compare=False)


class Models(Struct, frozen=True):
    """Models in order of preference, dearest first."""

    fallback: tuple[str, ...]


class Config(Struct, frozen=True):
    """Everything that can be configured.

    ``origin`` says for people where the values come from, ``file`` is the file among them. ``database`` is an absolute
    path, or the URL of a server. ``alerts`` holds what is changed about the built-in alert rules, by rule, under the
    names of the file; ``prices`` are by model or ``provider/model``. ``home`` and ``variables`` are no keys: the user's
    folder, and what other programs' variables say about where they keep their files.
    """

    origin: str
    file: Path | None
    listen: Listen
    timezone: str
    database: Path | str
    database_patience: float
    spool: SpoolPlace
    sources: Sources
    otlp: PushedSource
    litellm: PushedSource
    limits: tuple[Limit, ...]
    bills: tuple[Bill, ...]
    github: GitHub | None
    receivers: tuple[Receiver, ...]
    alerts: Mapping[str, Mapping[str, object]]
    tokens: tuple[ApiToken, ...]
    tokens_file: Path | None
    metrics_auth: bool
    rate_limit: RateLimit
    tls: Tls | None
    trusted_proxies: tuple[str, ...]
    traces: Tracing
    prices: Mapping[str, OwnPrice]
    models: Models
    rules: Thresholds
    tick_seconds: float
    leader_ttl: float
    claim_within: timedelta
    aging_step: timedelta
    fair_share: str
    max_offers: int
    high_usage_run: int
    raw_retention: timedelta
    key_retention: timedelta
    log_format: LogFormat
    home: Path
    variables: Mapping[str, str]

    @property
    def database_shown(self) -> str:
        """The database as people may see it, without a password."""
        return places.shown(self.database)

    @property
    def database_named(self) -> str:
        """The same as the beginning of a sentence."""
        return f"The {'database' if self.is_on_server else 'file'} {self.database_shown}"

    @property
    def is_on_server(self) -> bool:
        """Whether the database is on a server, where others may write it too."""
        return isinstance(self.database, str)

    @property
    def needs_tokens(self) -> bool:
        """Whether others could reach the service and nothing would keep them out: it must not start like this."""
        return not self.listen.is_loopback and not self.tokens

    @property
    def open_door(self) -> str:
        """A sentence that says so, with the way out; empty where nothing is wrong."""
        return (
            f"listen: {self.listen} can be reached from outside and no token is configured: "
            "add tokens (see docs/reference/config.md), or listen on 127.0.0.1"
            if self.needs_tokens
            else ""
        )
