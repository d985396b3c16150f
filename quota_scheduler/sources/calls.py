"""What every reader of an agent's files says: one model call after another, and the protocol that readers share.

A reader turns the lines of one file, in order, into calls. It may remember what earlier lines of that file said (the
model in force, the folder of the session), so it always begins with a file's first line. The same call may come again
from a copy of the file, a resume or a restart: its key tells.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar

import msgspec

from quota_scheduler.core.instants import parse_instant
from quota_scheduler.core.labels import LONGEST_VALUE, LabelRule, Labels, label_transcript
from quota_scheduler.core.ledger.deduplicate import RESPONSE_IDS
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.sources.labelling import expanded_rule
from quota_scheduler.sources.records import BadLine
from quota_scheduler.sources.word.word import Word, of_account

T = TypeVar("T")
MOST_REMEMBERED = 4096
"""Sets of facts whose labels are remembered."""
Count = Annotated[int, msgspec.Meta(ge=0, le=10**10)] | None
"""A number of tokens of one call; more than ten thousand million is a garbled line, not usage."""


class ModelCall(NamedTuple):
    """One answer of a model as an agent wrote it down. ``key`` is the same wherever the answer is copied to.

    ``thread`` is a sub-agent's own id, where its session is called otherwise.
    """

    key: str
    at: datetime
    provider: str
    model: str
    usage: Usage
    session: str
    cwd: str
    branch: str = ""
    thread: str = ""


class ProviderReport(NamedTuple):
    """What a provider said about its windows, as an agent wrote it down; ``beside`` is the call that it came with.

    The account is that of the call: the reader leaves it empty.
    """

    word: Word
    beside: ModelCall


class FileReader(Protocol):
    """Reads one file of an agent, from its first line on."""

    def read(self, line: bytes | memoryview) -> Iterable[ModelCall | ProviderReport]:
        """What a line reports, nothing for most. Raises BadLine for one that cannot be understood."""
        ...


OpenReader = Callable[[str], FileReader]
"""From the path of a file to a reader that begins with its first line."""


def decoded(decoder: "msgspec.json.Decoder[T]", line: bytes | memoryview) -> T:
    """A line as its record. Raises BadLine."""
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadLine(str(error)) from None


def instant(text: str | None) -> datetime:
    """The instant a line names. Raises BadLine where it is missing or has no zone."""
    try:
        return parse_instant(text or "")
    except (ValueError, OverflowError):
        raise BadLine(f"{text!r} is not an instant with a time zone") from None


def instant_of_millis(millis: float | None) -> datetime:
    """The instant of a count of milliseconds since 1970. Raises BadLine."""
    try:
        return datetime.fromtimestamp((millis or 0) / 1000, UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        raise BadLine(f"{millis!r} is not a time in milliseconds") from None


def mentions(line: bytes | memoryview, markers: Iterable[bytes]) -> bool:
    """Whether a line may be of interest: most are text and tool results, and need not be decoded."""
    text: Any = line if isinstance(line, bytes) else bytes(line)
    return any(marker in text for marker in markers)


def usage_of(*, everything_in: int, cached: int, cache_write: int, out: int) -> Usage:
    """One call's tokens where the provider's input includes what came from the cache and what was written to it."""
    fresh = max(0, everything_in - cached - cache_write)
    return Usage(input=fresh, cache_read=cached, cache_write_5m=cache_write, output=out, requests=1)


Label = Callable[[ModelCall, str], tuple[Labels, Priority]]
"""From a call and the path of the file that tells of it to its labels and priority class."""


def labeller(
    rules: Iterable[LabelRule] = (),
    *,
    agent: str,
    account: str = "default",
    accounts: Mapping[Path, str] | None = None,
    home: Path | None = None,
    team: str = "",
) -> Label:
    """Return the function that labels calls: by the first rule that fits, else by the folder they were made in.

    ``account`` is that of all roots that ``accounts`` do not name, ``team`` that of what no rule gives one; ``~`` in a
    rule stands for ``home``. A rule that sets no class leaves the usage ``interactive``: people.
    """
    expanded = tuple(expanded_rule(rule, home) for rule in rules)
    named = {str(root): name for root, name in (accounts or {}).items()}

    @lru_cache(MOST_REMEMBERED)
    def labelled(cwd: str, provider: str, model: str, branch: str, root: str) -> tuple[Labels, Priority]:
        facts = {"cwd": cwd, "model": model, "branch": branch, "root": root}
        of_account = named.get(root, account)
        labels, priority = label_transcript(facts, expanded, provider=provider, account=of_account, model=model)
        labels = labels._replace(agent=labels.agent or agent, team=labels.team or team)
        return Labels(*(value[:LONGEST_VALUE] for value in labels)), priority or Priority.INTERACTIVE

    def label(call: ModelCall, path: str) -> tuple[Labels, Priority]:
        root = max((root for root in named if path.startswith(f"{root}/")), key=len, default="")
        return labelled(call.cwd, call.provider, call.model, call.branch, root)

    return label


def word_of(report: ProviderReport, path: str, label: Label) -> Word:
    """What a provider said, as the word to the account and provider of the call that it came with."""
    labels, _ = label(report.beside, path)
    return of_account(report.word, labels.account, labels.provider)


def event_of(call: ModelCall, path: str, label: Label, origin: str) -> UsageEvent:
    """A call that a source called ``origin`` read as the usage event that the ledger counts once."""
    labels, priority = label(call, path)
    return UsageEvent(
        key=call.key,
        at=call.at,
        labels=labels,
        usage=call.usage,
        run=call.session,
        session=call.session,
        priority=priority,
        origin=origin,
        thread=call.thread,
    )


MESSAGE = "msg_"
"""How the ids of Anthropic's messages begin."""


def message_of(response: str) -> str:
    """A response's id as that of a message, where it has a form that a vendor gives; empty for others."""
    return response if response.startswith(RESPONSE_IDS) else ""


def response_key(number: str) -> str:
    """The key of a call by the id of its request or its response, whichever door tells of it.

    Requests stand for themselves, as they do in transcripts; without one ``msg:<message id>``. Ids of OpenAI's
    responses have the key that Codex's files give them. Ids of hundreds of signs are the ledger's to shorten.
    """
    if number.startswith(MESSAGE):
        return f"msg:{number}"
    return f"codex:{number}" if number.startswith(RESPONSE_IDS) else number
