"""Where usage comes from, door by door: when something came last, how much, what is wrong, and what it cannot see.

events by origin ─┐
passes over files ┤
hosts that ship   ┼──► one ``OriginReading`` a door
providers' reports┤
bills            ─┘
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict

from quota_scheduler.core.instants import iso_or_none
from quota_scheduler.core.readings.other_hosts import FORGOTTEN, ShippedSource
from quota_scheduler.core.readings.readings import SourceReading

BLIND_SPOTS: Mapping[str, str] = {
    "claude_code": "What compaction, web search and titles used where the version does not write it, and the rest of "
    "an answer that was interrupted.",
    "codex": "Runs with --ephemeral, and the titles of its terminal interface.",
    "gemini": "Its router, one call a prompt with automatic model choice, and its compressor.",
    "opencode": "Calls for titles.",
    "pi": "Runs with --no-session.",
    "qwen": "Nothing that is known: its telemetry lists side jobs, too.",
    "copilot": "Nothing that is known: its records list sub-agents, too.",
    "otlp": "What an exporter gave up while nobody answered it, and the cache in metrics, which do not tell it apart.",
    "litellm": "What the proxy held when it ended or was not answered: it sends nothing twice.",
    "unnamed": "What nobody posts or reports. It came over HTTP, from leases, or before doors were kept.",
    "bill": "Subscriptions, and hours that the provider has not closed yet.",
    "observation": "Tokens: it says how much of a window is used, and nobody publishes how large that is.",
}
"""What each door cannot see, by the name of its source; docs/reference/sources.md says the same."""
AGENTS = ("claude_code", "codex", "gemini", "opencode", "pi", "qwen", "copilot")
"""Sources that are files of agents, also where none is left."""
PUSHED = ("otlp", "litellm")
"""Sources that nobody reads: whoever has usage sends it, also from another host."""
UNNAMED = "unnamed"
"""The door of what names none: posted over HTTP, reported by a lease, or recorded before doors were kept."""


class OriginKind(StrEnum):
    """What kind of door usage, or a provider's word, comes through."""

    FILES = "files"  # of agents on this host
    SHIPPED = "shipped"  # of agents on another host
    PUSHED = "pushed"  # whoever sends usage here
    BILL = "bill"  # a provider's reports on usage and costs
    WORD = "word"  # a provider's word on its windows


class OriginActivity(NamedTuple):
    """What came through one door: ``events`` and ``tokens`` lately, and the newest of all.

    ``last_at`` is the newest event's own time, ``came_at`` when the last one was recorded.
    """

    origin: str
    events: int
    tokens: int
    last_at: datetime
    came_at: datetime


class WordActivity(NamedTuple):
    """How many windows one door told about, and when it said so last."""

    source: str
    windows: int
    last_at: datetime


class OriginReading(Struct, frozen=True):
    """One door. ``lag_seconds`` is how far reading is behind, None where nothing is read or no service tells."""

    origin: str
    door: OriginKind
    events: int = 0
    tokens: int = 0
    windows: int = 0
    last_at: datetime | None = None
    came_at: datetime | None = None
    lag_seconds: float | None = None
    catching_up: bool = False
    silent: bool = False
    errors: int | None = None
    files: int = 0
    program: str = ""
    clock_seconds: float | None = None

    @property
    def source(self) -> str:
        """The name of the source, without its host or provider."""
        return self.origin.partition("@")[0].partition("/")[0]

    @property
    def cannot_see(self) -> str:
        """What it cannot see, in a sentence; empty where nobody has looked."""
        name = "observation" if self.door is OriginKind.WORD else self.source
        return BLIND_SPOTS.get(name, "")

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        instants = {"last_at": iso_or_none(self.last_at), "came_at": iso_or_none(self.came_at)}
        return {
            **asdict(self),
            **instants,
            "door": self.door.value,
            "source": self.source,
            "cannot_see": self.cannot_see,
        }


def origins(
    activity: Iterable[OriginActivity],
    passes: Iterable[SourceReading],
    files: Mapping[str, int],
    shipped: Iterable[ShippedSource],
    words: Iterable[WordActivity],
    now: datetime,
) -> list[OriginReading]:
    """Every door that anything came through or is waited for, by kind and name.

    ``passes`` is what the running service knows of its passes, nothing where none runs; ``files`` are those read
    here by source.
    """
    by_origin = {one.origin: one for one in activity}
    by_pass = {one.source: one for one in passes}
    hosts = {one.origin: one for one in shipped}
    names = {*by_origin, *by_pass, *files, *hosts}
    readings = [_reading(n, by_origin.get(n), by_pass.get(n), files.get(n, 0), hosts.get(n), now) for n in names]
    readings += [
        OriginReading(w.source, OriginKind.WORD, windows=w.windows, last_at=w.last_at, came_at=w.last_at) for w in words
    ]
    order = list(OriginKind)
    return sorted(readings, key=lambda one: (order.index(one.door), one.origin))


def _reading(
    name: str,
    came: OriginActivity | None,
    read: SourceReading | None,
    files: int,
    host: ShippedSource | None,
    now: datetime,
) -> OriginReading:
    behind = host.behind(now).total_seconds() if host else None
    return OriginReading(
        name or UNNAMED,
        _door(name, is_read=bool(read or files), host=host),
        events=came.events if came else 0,
        tokens=came.tokens if came else 0,
        last_at=came.last_at if came else None,
        came_at=came.came_at if came else None,
        lag_seconds=read.lag_seconds if read else behind,
        catching_up=read.catching_up if read else bool(host and host.catching_up),
        silent=bool(host and now - host.seen_at > FORGOTTEN),
        errors=read.errors if read else host.errors if host else None,
        files=host.files if host else read.files if read else files,
        program=host.program if host else "",
        clock_seconds=host.clock_difference.total_seconds() if host else None,
    )


def _door(name: str, *, is_read: bool, host: ShippedSource | None) -> OriginKind:
    if name.partition("@")[0].partition("/")[0] in PUSHED:
        return OriginKind.PUSHED
    if host or "@" in name:
        return OriginKind.SHIPPED
    if name.startswith("bill/"):
        return OriginKind.BILL
    return OriginKind.FILES if is_read or name in AGENTS else OriginKind.PUSHED
