"""Counting once: what a batch of records changes in the ledger, given what the ledger knows about the same responses.

    incoming ──same response?──► merged ──replay of another?──► dropped
                   │ no                        │ no
                   └──────► new record ────────┴──► recorded, and replays of it are retracted

Records of one response share request id and message id; the largest total stands for it. A side-chain copy of a message
that is known under another request id is a replay and does not count. The sum of what counts does not depend on the
order in which records arrive. The rule is that of ccusage 20 (its ``adapter/claude``), measured on real transcripts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from quota_scheduler.core.usage import UsageEvent, is_replay, supersedes

Identity = tuple[str, str]


class Change(NamedTuple):
    """One correction of the ledger under one identity: ``old`` is retracted, ``new`` recorded; never both None."""

    old: UsageEvent | None
    new: UsageEvent | None


def count_once(
    incoming: Sequence[UsageEvent],
    by_key: Mapping[Identity, UsageEvent],
    by_message: Mapping[str, Sequence[UsageEvent]],
) -> list[Change]:
    """Return what recording ``incoming`` changes, at most one change per identity, in order of first touch.

    ``by_key`` holds the recorded events under the identities of ``incoming``, ``by_message`` those with the message ids
    of ``incoming``. Records that teach nothing new change nothing, so replaying a batch returns an empty list.

    When two message ids share one request id both count; the second is recorded under ``<request>:<message>``.
    """
    ledger = _Ledger(by_key, by_message)
    for event in incoming:
        ledger.place(event)
    return ledger.changes()


class _Ledger:
    """The recorded events a batch can touch, with the batch's effect laid over them."""

    def __init__(self, by_key: Mapping[Identity, UsageEvent], by_message: Mapping[str, Sequence[UsageEvent]]) -> None:
        self._stored = {event.identity: event for events in by_message.values() for event in events} | dict(by_key)
        self._touched: dict[Identity, UsageEvent | None] = {}
        self._copies: dict[str, dict[Identity, UsageEvent]] = {}
        for event in self._stored.values():
            if event.message:
                self._copies.setdefault(event.message, {})[event.identity] = event

    def place(self, event: UsageEvent) -> None:
        """Take one record in."""
        recorded = self._same_response(event)
        if recorded is not None:
            event = merged(event, recorded)
        elif self._at(event.identity) is not None:
            event = replace(event, key=pair_key(event))
        if event is not recorded:
            self._put(event.identity, event)
            self._retract_replays(event.message)

    def changes(self) -> list[Change]:
        """What differs from before the batch."""
        pairs = ((self._stored.get(identity), now) for identity, now in self._touched.items())
        return [Change(before, now) for before, now in pairs if before != now]

    def _at(self, identity: Identity) -> UsageEvent | None:
        return self._touched[identity] if identity in self._touched else self._stored.get(identity)

    def _same_response(self, event: UsageEvent) -> UsageEvent | None:
        """The record of the same response, if there is one: same request and message id, or one of them unknown."""
        if event.message:
            copies = self._copies.get(event.message, {})
            recorded = copies.get(event.identity) or copies.get((event.labels.provider, pair_key(event)))
            if recorded is not None:
                return recorded
        holder = self._at(event.identity)
        if holder is not None and holder.message and event.message:
            return None
        return holder

    def _put(self, identity: Identity, event: UsageEvent | None) -> None:
        """Let ``event`` be what counts under an identity, None for nothing."""
        held = self._at(identity)
        self._touched[identity] = event
        if held is not None and held.message:
            self._copies[held.message].pop(identity, None)
        if event is not None and event.message:
            self._copies.setdefault(event.message, {})[identity] = event

    def _retract_replays(self, message: str) -> None:
        """Take back whatever turns out to repeat another copy of the message."""
        copies = list(self._copies.get(message, {}).values())
        if len(copies) < 2:
            return
        for copy in copies:
            if any(is_replay(copy, other) for other in copies):
                self._put(copy.identity, None)


def merged(new: UsageEvent, known: UsageEvent) -> UsageEvent:
    """Return the record that stands for two of one response, under the key it is known by; ``known`` itself if it does.

    It belongs to the main conversation when either does, and keeps the message id that either knows: without it a later
    replay of the message would not be recognised. What came without a message id does not know about side-chains.
    """
    if new.key != known.key:
        new = replace(new, key=known.key)
    kept = new if supersedes(new, known) else known
    message = known.message or new.message
    sidechain = all(event.sidechain for event in (new, known) if event.message == message)
    if (kept.message, kept.sidechain) == (message, sidechain):
        return kept
    return replace(kept, message=message, sidechain=sidechain)


def pair_key(event: UsageEvent) -> str:
    """The key of a response whose request id is taken by another message."""
    return f"{event.key}:{event.message}"
