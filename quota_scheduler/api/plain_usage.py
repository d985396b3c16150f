"""Usage that is pushed in the plainest words, by the thousand: read in a third of the time that validation takes.

    printable ASCII, no escapes, an array of objects of usual words ──► decoded to structs ──► events
    anything else in any of them ──► ``api.usage``, which takes each event by itself or says what is wrong with it

What is taken here is what ``EventBody`` would have made of it (tests/shell/test_plain_usage.py): there it is said what
an event may be, here only how most of them are.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from quota_scheduler.api.plain_tickets import ODD, Count, Text
from quota_scheduler.core.instants import is_plausible
from quota_scheduler.core.labels import LONGEST_VALUE, Labels
from quota_scheduler.core.names import canonical_provider
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import Usage, UsageEvent

Name = Annotated[str, Meta(max_length=LONGEST_VALUE)]
_WHOLE_SECONDS, _MICROSECONDS = len("2026-11-28T09:00:00"), len("2026-11-28T09:00:00.123456")
_ZONES = "Z", "+00:00"
"""UTC, as it is usually written."""


class PlainEventLabels(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """Labels of an event, as ``EventBody`` has them."""

    account: Name = ""
    team: Name = ""
    project: Name = ""
    workflow: Name = ""
    task_type: Name = ""
    agent: Name = ""


NO_LABELS = PlainEventLabels()


class PlainEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One usage event in usual words, as ``EventBody`` has them."""

    provider: Text
    key: Text
    at: Name
    model: Name = ""
    run: Name = ""
    session: Name = ""
    labels: PlainEventLabels = NO_LABELS
    input: Count = 0
    cache_read: Count = 0
    cache_write_5m: Count = 0
    cache_write_1h: Count = 0
    output: Count = 0
    requests: Count = 1
    status: Name = ""
    prompt_version: Name = ""
    priority: Priority = msgspec.field(default=Priority.INTERACTIVE, name="class")
    message: Name = ""
    sidechain: bool = False
    origin: Name = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything in it that people write."""
        of = self.labels
        return (
            self.provider, self.key, self.model, self.run, self.session, self.status, self.prompt_version, self.message,
            self.origin, of.account, of.team, of.project, of.workflow, of.task_type, of.agent,
        )  # fmt: skip


_DECODE = msgspec.json.Decoder(list[PlainEvent]).decode


def plain_events(body: bytes, *, most: int) -> list[UsageEvent] | None:
    """The events of a plain array, their cost still to be priced; None for a body that is not so plain.

    An array of more than ``most`` is not.
    """
    if body[:1] != b"[" or ODD.search(body):
        return None
    try:
        said = _DECODE(body)
    except msgspec.MsgspecError:
        return None
    if len(said) > most or _is_padded(said):
        return None
    events = []
    for one in said:
        at, of = _instant(one.at), one.labels
        if at is None:
            return None
        labels = Labels(
            canonical_provider(one.provider), of.account, one.model, of.team, of.project, of.workflow, of.task_type,
            of.agent,
        )  # fmt: skip
        kinds = one.input, one.cache_read, one.cache_write_5m, one.cache_write_1h, one.output
        event = UsageEvent(
            one.key, at, labels, Usage(*kinds, one.requests), one.run or one.session, one.session, one.message,
            one.sidechain, one.priority, (), one.prompt_version, one.status, origin=one.origin,
        )  # fmt: skip
        events.append(event)
    return events


def _is_padded(said: Sequence[PlainEvent]) -> bool:
    """Whether a text begins or ends with a space, which would have to go: one look for all of them."""
    joined = "\n".join(["\n".join(one.texts) for one in said])
    return "\n " in joined or " \n" in joined or joined[:1] == " " or joined[-1:] == " "


def _instant(text: str) -> datetime | None:
    """An instant as programs write it, in UTC; None for one that is written otherwise, or is none."""
    length = len(text) - (1 if text.endswith("Z") else len("+00:00"))
    if not _WHOLE_SECONDS <= length <= _MICROSECONDS or text[length:] not in _ZONES:
        return None
    if not (text[4] == text[7] == "-" and text[10] == "T" and text[13] == text[16] == ":"):
        return None
    if length > _WHOLE_SECONDS and not (text[_WHOLE_SECONDS] == "." and text[_WHOLE_SECONDS + 1 : length].isdigit()):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if is_plausible(at) else None
