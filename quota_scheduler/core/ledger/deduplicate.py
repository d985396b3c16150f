"""Counting once: what a batch of records changes in the ledger, given what the ledger knows about the same responses.

    incoming ──same response?──► merged ──replay of another?──► dropped
                   │ no                        │ no
                   └──────► new record ────────┴──► recorded, and replays of it are retracted

Records of one response share request id and message id, as far as they know them: a transcript names both, an exported
event the request, a gateway or a span the message. What is known under an id of a vendor's own form (``req_…``,
``msg_…``) is the same whatever provider a door names. The largest total stands for it, and of the rest what the door
knows that knows most. A side-chain copy of a message that is known under another request id is a replay and does not
count. The sum of what counts does not depend on the order in which records arrive. For lines of transcripts the rule is
that of ccusage 20 (its ``adapter/claude``), measured on real ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from msgspec.structs import replace

from quota_scheduler.core.labels import UNASKED, Labels
from quota_scheduler.core.ledger.doors import door_of
from quota_scheduler.core.usage import Extent, UsageEvent, is_replay, supersedes

Identity = tuple[str, str]
MESSAGE_KEY = "msg:"
"""How the key of a response begins whose request id nobody told; behind it the message id."""
REQUEST_IDS = ("req_", "req-")
"""How request ids of vendors begin that no other vendor gives again."""
RESPONSE_IDS = ("msg_", "resp_", "chatcmpl-", "gen-")
"""How ids of responses begin: Anthropic, OpenAI's two interfaces and what speaks like them, OpenRouter."""
LONGEST_ID = 200
"""Longer ids are stored as their hash: gateways make some of 429 characters."""
DEFAULT_ACCOUNT = "default"
"""The account of a source that names none."""


class Change(NamedTuple):
    """One correction of the ledger: ``old`` is retracted, ``new`` recorded; never both None.

    Both are of one response; it may be known under another key since another door told more of it.
    """

    old: UsageEvent | None
    new: UsageEvent | None


def named(event: UsageEvent) -> UsageEvent:
    """The event as the ledger knows it: the id of its response where its key is one, and no endless ids."""
    key, message = event.key, event.message
    if len(key) > LONGEST_ID:
        key = _short(key)
    if len(message) > LONGEST_ID:
        message = _short(message)
    if not message:
        bare = key.removeprefix(MESSAGE_KEY)
        message = bare if bare.startswith(RESPONSE_IDS) else ""
    return event if (key, message) == (event.key, event.message) else replace(event, key=key, message=message)


def _short(name: str) -> str:
    """The hash of an id, behind what tells its form."""
    forms = (MESSAGE_KEY, *REQUEST_IDS, *RESPONSE_IDS)
    form, rest = "", name
    while start := next((start for start in forms if rest.startswith(start)), ""):
        form, rest = form + start, rest[len(start) :]
    return form + sha256(rest.encode()).hexdigest()


def request_of(event: UsageEvent) -> str:
    """The request id of an event, empty where its key is only the id of its response."""
    if event.key.startswith(MESSAGE_KEY) or event.key == event.message:
        return ""
    return event.key.removesuffix(f":{event.message}") if event.message else event.key


def vendor_requests(events: Iterable[UsageEvent]) -> set[str]:
    """The request ids of events that are the same whatever provider they are told of."""
    return {request for event in events if (request := request_of(event)).startswith(REQUEST_IDS)}


def count_once(
    incoming: Sequence[UsageEvent],
    by_key: Mapping[Identity, UsageEvent],
    by_message: Mapping[str, Sequence[UsageEvent]],
) -> list[Change]:
    """Return what recording ``incoming`` changes, at most one change per identity, in order of first touch.

    ``by_key`` holds the recorded events under the identities of ``incoming``, and those of other providers under their
    ``vendor_requests``; ``by_message`` those with the message ids of ``incoming``. Records that teach nothing new
    change nothing, so replaying a batch returns an empty list.

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
        self._moved: dict[Identity, Identity] = {}
        self._copies: dict[str, dict[Identity, UsageEvent]] = {}
        self._requests: dict[str, dict[Identity, UsageEvent]] = {}
        for event in self._stored.values():
            self._index(event)

    def place(self, event: UsageEvent) -> None:
        """Take one record in."""
        copies = self._same_response(event)
        if not copies:
            if self._at(event.identity) is not None:
                event = replace(event, key=pair_key(event))
            self._put(event.identity, event)
            self._retract_replays(event.message)
            return
        record, *others = copies
        joined = merged(event, record)
        for other in others:
            joined = merged(joined, other)
        if joined is record and not others:
            return
        for copy in copies:
            if copy.identity != joined.identity:
                self._put(copy.identity, None)
                self._moved.setdefault(joined.identity, self._moved.get(copy.identity, copy.identity))
        self._put(joined.identity, joined)
        self._retract_replays(joined.message)

    def changes(self) -> list[Change]:
        """What differs from before the batch: a record that is known under another key now is one change."""
        came_from = {
            now: before
            for now, before in self._moved.items()
            if self._at(now) is not None and now not in self._stored and self._touched.get(before) is None
        }
        left = set(came_from.values())
        pairs = (
            (self._stored.get(came_from.get(identity, identity)), now)
            for identity, now in self._touched.items()
            if now is not None or identity not in left
        )
        return [Change(before, now) for before, now in pairs if before != now]

    def _at(self, identity: Identity) -> UsageEvent | None:
        return self._touched[identity] if identity in self._touched else self._stored.get(identity)

    def _same_response(self, event: UsageEvent) -> list[UsageEvent]:
        """The records of the same response, whatever each of them knows of its ids; the best known first."""
        request, holder = request_of(event), self._at(event.identity)
        if holder is None and not self._requests.get(request) and not self._copies.get(event.message):
            return []
        holders = [holder] if holder is not None else []
        if request.startswith(REQUEST_IDS):
            holders += self._requests.get(request, {}).values()
        alike = {one.identity: one for one in holders if _same_message(one, event)}
        if event.message:
            alike |= {copy.identity: copy for copy in self._same_message(event, request)}
        return sorted(alike.values(), key=_known_best) if len(alike) > 1 else list(alike.values())

    def _same_message(self, event: UsageEvent, request: str) -> list[UsageEvent]:
        """The records of an event's message under its request, or under none."""
        copies = list(self._copies.get(event.message, {}).values())
        if not event.message.startswith(RESPONSE_IDS):
            copies = [copy for copy in copies if copy.labels.provider == event.labels.provider]
        alike = [copy for copy in copies if request_of(copy) in ("", request)]
        if not request and not alike and copies:  # it may be of any of them: of the one that stands longest
            alike = [min(copies, key=lambda copy: (copy.sidechain, copy.key, copy.identity))]
        return alike

    def _put(self, identity: Identity, event: UsageEvent | None) -> None:
        """Let ``event`` be what counts under an identity, None for nothing."""
        held = self._at(identity)
        self._touched[identity] = event
        if held is not None:
            for index, name in ((self._copies, held.message), (self._requests, request_of(held))):
                index.get(name, {}).pop(identity, None)
        if event is not None:
            self._index(event)

    def _index(self, event: UsageEvent) -> None:
        for index, name in ((self._copies, event.message), (self._requests, request_of(event))):
            if name:
                index.setdefault(name, {})[event.identity] = event

    def _retract_replays(self, message: str) -> None:
        """Take back whatever turns out to repeat another copy of the message."""
        copies = list(self._copies.get(message, {}).values())
        if len(copies) < 2:
            return
        for copy in copies:
            if any(is_replay(copy, other) for other in copies):
                self._put(copy.identity, None)


def _same_message(one: UsageEvent, other: UsageEvent) -> bool:
    """Whether two may be of one message: they name the same, or one names none."""
    return not one.message or not other.message or one.message == other.message


def _known_best(event: UsageEvent) -> tuple[bool, int, Identity]:
    return not request_of(event), door_of(event.origin), event.identity


def merged(new: UsageEvent, known: UsageEvent) -> UsageEvent:
    """Return the record that stands for two of one response; ``known`` itself if it does.

    The larger total counts. Whose call it was says the door that knows more of that, and what it leaves open the other
    one. It belongs to the main conversation when either line of a transcript does, and keeps the ids that either knows:
    without them a later copy would not be recognised.
    """
    teller = _teller(new, known)
    other = known if teller is new else new
    counter = _counter(new, known)
    joined = replace(
        teller,
        key=_key(new, known),
        labels=teller.labels if teller.origin == other.origin else _filled(teller.labels, other.labels),
        usage=counter.usage,
        terms=counter.terms,
        estimated=counter.estimated,
        cost_given=counter.cost_given,
        extent=counter.extent,
        run=teller.run or other.run,
        session=teller.session or other.session,
        message=known.message or new.message,
        sidechain=_is_side(new, known),
        flags=teller.flags or other.flags,
        prompt_version=teller.prompt_version or other.prompt_version,
        status=teller.status or other.status,
    )
    return known if joined == known else joined


def _teller(new: UsageEvent, known: UsageEvent) -> UsageEvent:
    """Whoever knows more of whose call it was; of two of one origin whoever supersedes the other."""
    if new.origin != known.origin:
        return min(new, known, key=lambda event: (door_of(event.origin), event.origin))
    return new if supersedes(replace(new, key=known.key), known) else known


def _counter(new: UsageEvent, known: UsageEvent) -> UsageEvent:
    """Whoever counted more; of two alike the door that knows more, then whoever knows the answer as whole."""

    def rank(event: UsageEvent) -> tuple[int, int, bool]:
        return event.usage.tokens, -door_of(event.origin), event.extent is Extent.WHOLE

    if rank(new) == rank(known):
        return _teller(new, known)
    return max(new, known, key=rank)


def _is_side(new: UsageEvent, known: UsageEvent) -> bool:
    """Whether it is a sub-agent's: only doors that tell of conversations know, and of them who knows the message."""
    best = min(door_of(new.origin), door_of(known.origin))
    telling = [event for event in (new, known) if door_of(event.origin) == best]
    message = known.message or new.message
    return all(event.sidechain for event in [e for e in telling if e.message == message] or telling)


def _key(new: UsageEvent, known: UsageEvent) -> str:
    """The key with a request id; of two alike the one that is known."""
    if bool(request_of(new)) != bool(request_of(known)):
        return new.key if request_of(new) else known.key
    return known.key if request_of(known) else min(known.key, new.key, key=lambda key: (len(key), key))


def _filled(labels: Labels, other: Labels) -> Labels:
    """Labels with what they leave open from those of another door; provider and model are as they are."""
    filled = Labels(*(mine or theirs for mine, theirs in zip(labels, other, strict=True)))
    if labels.account == DEFAULT_ACCOUNT:
        filled = filled._replace(account=other.account or DEFAULT_ACCOUNT)
    if labels.team == UNASKED:
        filled = filled._replace(team=other.team or UNASKED)
    return filled


def pair_key(event: UsageEvent) -> str:
    """The key of a response whose request id is taken by another message."""
    return f"{event.key}:{event.message}"
