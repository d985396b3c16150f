"""Doors: the ways by which usage comes in, what each knows of a call, and which counts where calls cannot be matched.

    files     what a program wrote of itself: project, session, model; no hidden calls
    events    OTLP logs and spans: each call, hidden ones included
    gateway   LiteLLM: each call that goes through it, by whom
    metrics   OTLP sums: no calls, no ids, no cache split

Calls that two doors tell of by ids are matched (see ``deduplicate``) and both doors count. Where they share no id, one
counts, hour by hour for each agent of an account on a host and for each session: the one that sees more of what was
used. What the others tell of an hour, and of the hours beside it, is left out.

    Gemini CLI    events before files, which hold neither its router nor its compressor
    Codex         files before events before spans: a run that fails exports nothing
    opencode      files before spans, which it loses as it ends, and which name answers as its files do not
    all           any of them before metrics; events without a response's id before the gateway

Events that name their session stand in for that session alone: files of others count beside them.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import NamedTuple

from quota_scheduler.core.instants import EPOCH
from quota_scheduler.core.usage import Extent, UsageEvent

HOUR = timedelta(hours=1)
"""Doors are compared by this span: metrics tell of a call up to a minute after it, files when a run ends."""
OTLP, METRICS, GATEWAY = "otlp/", "/metrics", "litellm"
"""How origins begin and end that are not files: ``otlp/claude_code/logs``, ``otlp/genai/metrics``, ``litellm``."""
MOST_REMEMBERED = 4096
"""Origins and tellers that are remembered: far above what a fleet has."""
VENDOR_IDS = ("req_", "req-", "qwen:")
"""How keys begin that files know as well: ids of requests, and what qwen-code's files and events call a response."""
CONTENT_KEY = ":otlp:"
"""What stands in the key of a call that names no id: it is made of what the call says."""
TURN_SPANS = "codex/traces"
"""How the origin of sums of turns ends: its events tell of each call that they hold."""
SEEING_LESS = frozenset({"codex", "opencode"})
"""Agents whose events miss what their files hold: of a run of Codex that fails nothing is exported (0.171), and
opencode loses the spans of its last calls as it ends (1.18)."""
FILES_WITHOUT_IDS = frozenset({"opencode"})
"""Agents whose files name no answer, so that events that do cannot be matched with them."""
_AGENTS = {
    "claude_cli": "claude_code",
    "codex_exec": "codex",
    "codex_tui": "codex",
    "codex_cli_rs": "codex",
    "gemini_cli": "gemini",
    "qwen_code": "qwen",
}
"""Names of agents as their exports and gateways have them, and as the readers of their files are called."""


REPORTED = frozenset({"", "api", "lease", "bill"})
"""Origins that are no door of an agent."""


class DoorRank(IntEnum):
    """The smaller it is, the more it knows about whose a call was."""

    FILES = 0
    EVENTS = 1
    GATEWAY = 2
    METRICS = 3


@lru_cache(MOST_REMEMBERED)
def door_of(origin: str) -> DoorRank:
    """The door of an origin; what is reported with labels of its own, by hand or by a runner, counts as files do."""
    source = origin.partition("@")[0]
    if source.startswith(GATEWAY):
        return DoorRank.GATEWAY
    if not source.startswith(OTLP):
        return DoorRank.FILES
    return DoorRank.METRICS if source.endswith(METRICS) else DoorRank.EVENTS


class Telling(StrEnum):
    """What a door tells a call by: it decides with which others its calls can be matched."""

    FILES = "files"
    NAMELESS = "events without ids"
    LESSER = "events without ids that see less than files"
    TURNS = "sums of turns"
    SESSIONS = "events session by session"
    REQUESTS = "events with request ids"
    MESSAGES = "events with response ids"
    GATEWAY = "gateway"
    METRICS = "metrics"


WITHOUT_IDS = frozenset({Telling.NAMELESS, Telling.LESSER, Telling.TURNS})
"""Events that share no id with files or a gateway. Where they name their session, it is decided by that alone, and of
the agent they tell as ``SESSIONS``."""
RULED_BY = {
    Telling.FILES: frozenset({Telling.NAMELESS}),
    Telling.LESSER: frozenset({Telling.FILES}),
    Telling.TURNS: frozenset({Telling.FILES, Telling.NAMELESS, Telling.LESSER}),
    Telling.GATEWAY: frozenset({*WITHOUT_IDS, Telling.REQUESTS, Telling.SESSIONS}),
    Telling.METRICS: frozenset(Telling) - {Telling.METRICS},
}
"""Who counts in the place of whom where both tell of an hour: nameless events share no id with files, and a gateway
names the response only."""


class DoorOwner(NamedTuple):
    """Who tells in one way: an agent of an account on a host, or one ``session`` of an agent, wherever it runs.

    Doors do not agree on hosts and accounts (a folder is shared, a gateway has keys); a session has one id.
    """

    account: str
    agent: str
    host: str
    session: str
    telling: Telling

    def over(self) -> Iterable["DoorOwner"]:
        """Whoever counts in its place."""
        return (self._replace(telling=other) for other in RULED_BY.get(self.telling, ()))

    def under(self) -> Iterable["DoorOwner"]:
        """In whose place it counts."""
        return (self._replace(telling=other) for other, rulers in RULED_BY.items() if self.telling in rulers)


HourTold = tuple[DoorOwner, int]
"""A teller, and the hours since 1970 that it told of."""


def telling_of(event: UsageEvent) -> Telling:
    """What an event is told by."""
    door = door_of(event.origin)
    if door is DoorRank.EVENTS:
        return _telling_of_event(event)
    return {DoorRank.FILES: Telling.FILES, DoorRank.GATEWAY: Telling.GATEWAY}.get(door, Telling.METRICS)


def _telling_of_event(event: UsageEvent) -> Telling:
    program = _agent_of(event.origin, "")
    if program not in FILES_WITHOUT_IDS:
        if event.message:
            return Telling.MESSAGES
        if event.key.startswith(VENDOR_IDS) and CONTENT_KEY not in event.key:
            return Telling.REQUESTS
    if event.origin.partition("@")[0].endswith(TURN_SPANS):
        return Telling.TURNS
    return Telling.LESSER if program in SEEING_LESS else Telling.NAMELESS


def tellers_of(event: UsageEvent) -> tuple[DoorOwner, ...]:
    """Who tells of an event; nobody for what a runner, a lease or a person reports: that is no door of an agent."""
    if event.origin in REPORTED or event.extent is Extent.UNLISTED:
        return ()
    sessions = tuple(dict.fromkeys(name for name in (event.session, event.thread) if name))
    return _tellers(event.origin, event.labels.account, event.labels.agent, sessions, telling_of(event))


@lru_cache(MOST_REMEMBERED)
def _tellers(
    origin: str, account: str, agent: str, sessions: tuple[str, ...], telling: Telling
) -> tuple[DoorOwner, ...]:
    by_agent = Telling.SESSIONS if sessions and telling in WITHOUT_IDS else telling
    of_agent = DoorOwner(account, _agent_of(origin, agent), origin.partition("@")[2], "", by_agent)
    return of_agent, *(DoorOwner("", "", "", session, telling) for session in sessions)


@lru_cache(MOST_REMEMBERED)
def _agent_of(origin: str, agent: str) -> str:
    """The agent as the reader of its files is called, by its label or by what exported it."""
    source = origin.partition("@")[0]
    agent = agent or (source.split("/")[1] if source.startswith(OTLP) else source)
    agent = agent.lower().replace("-", "_")
    return _AGENTS.get(agent, agent)


def hour_of(at: datetime) -> int:
    """The hour of an instant, counted from 1970."""
    return (at - EPOCH) // HOUR


def told(events: Iterable[UsageEvent]) -> set[HourTold]:
    """The hours that events tell of, by whom."""
    return {(teller, hour_of(event.at)) for event in events for teller in tellers_of(event)}


def asked(hours: Iterable[HourTold]) -> set[HourTold]:
    """The hours of others that decide whether what is told of these counts."""
    return {(other, near) for teller, hour in hours for other in teller.over() for near in (hour - 1, hour, hour + 1)}


def is_ruled_out(event: UsageEvent, hours: Collection[HourTold]) -> bool:
    """Whether somebody else tells of the same use, in the same hour or one beside it, and counts in its place."""
    others = [other for teller in tellers_of(event) for other in teller.over()]
    if not others:
        return False
    at = hour_of(event.at)
    return any((other, hour) in hours for other in others for hour in (at - 1, at, at + 1))


class DoorChoice(NamedTuple):
    """Whether what somebody tells counts at present, and if not, who counts in its place."""

    teller: DoorOwner
    last_hour: int
    instead: tuple[Telling, ...] = ()


def choices(last_told: Iterable[HourTold]) -> list[DoorChoice]:
    """Say of everybody who counts, by the last hour that each told of: the newest hour decides."""
    last = dict(last_told)
    return [
        DoorChoice(
            teller,
            hour,
            tuple(sorted(other.telling for other in teller.over() if last.get(other, hour - 2) >= hour - 1)),
        )
        for teller, hour in last.items()
    ]
