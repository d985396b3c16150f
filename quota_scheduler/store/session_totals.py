"""What sessions state of themselves, from whom they were forked, and which have to be settled anew."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from quota_scheduler.core.instants import from_micros, instant_or_none, micros_or_none, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.unlisted import GoingOn, Inheritance, ListedUse, SessionTotal, StatedUsage
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import Extent, Usage, UsageEvent
from quota_scheduler.store import Transaction, ledger
from quota_scheduler.store.lists import NUMBERS

_SAVE = (
    "INSERT INTO session_totals (session, place, at, until, origin, stated) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (session, place) DO UPDATE SET at = excluded.at, stated = excluded.stated, "
    "until = coalesce(excluded.until, session_totals.until)"
)
_END = "UPDATE session_totals SET until = ? WHERE session = ? AND place < ? AND until IS NULL"
_INHERIT = (
    "INSERT INTO inheritances (session, ancestor, at) VALUES (?, ?, ?) "
    "ON CONFLICT (session, ancestor) DO UPDATE SET at = max(inheritances.at, excluded.at)"
)
_UNSETTLED = "INSERT INTO unsettled_sessions (session) "
_TOUCHED = (
    "SELECT DISTINCT t.session FROM json_each(?) j JOIN session_totals t ON t.session = j.key "
    "WHERE t.until IS NULL OR t.until > CAST(j.value AS BIGINT) ON CONFLICT DO NOTHING"
)
_CHILDREN = (
    "SELECT i.session FROM inheritances i JOIN json_each(?) j ON i.ancestor = j.key WHERE true ON CONFLICT DO NOTHING"
)
_BESIDE = (
    "CASE WHEN e.sidechain = 1 OR e.extent = 'unlisted' OR (e.origin != '' AND e.origin NOT LIKE coalesce("
    "(SELECT t.origin FROM session_totals t WHERE t.session = e.session LIMIT 1), '') || '%') THEN 1 ELSE 0 END"
)
_LISTED = (
    "SELECT e.at, l.model, e.input, e.cache_read, e.cache_write_5m, e.cache_write_1h, e.output, e.terms, e.extent, "
    f"{_BESIDE} FROM events e JOIN label_sets l ON l.id = e.label_set "
    "WHERE e.session = ? AND e.session != '' AND e.extent != 'unlisted'"
)
_PRUNED = (
    "SELECT at, model, input, cache_read, cache_write_5m, cache_write_1h, output, beside FROM pruned_uses "
    "WHERE session = ?"
)
_KEEP = (
    "INSERT INTO pruned_uses (session, model, at, beside, input, cache_read, cache_write_5m, cache_write_1h, output) "
    f"SELECT e.session, l.model, e.at, {_BESIDE}, sum(e.input), sum(e.cache_read), sum(e.cache_write_5m), "
    "sum(e.cache_write_1h), sum(e.output) FROM events e JOIN label_sets l ON l.id = e.label_set "
    f"WHERE e.id IN {NUMBERS} "
    "AND e.session IN (SELECT session FROM session_totals) GROUP BY 1, 2, 3, 4 "
    "ON CONFLICT (session, model, at, beside) DO UPDATE SET input = pruned_uses.input + excluded.input, "
    "cache_read = pruned_uses.cache_read + excluded.cache_read, "
    "cache_write_5m = pruned_uses.cache_write_5m + excluded.cache_write_5m, "
    "cache_write_1h = pruned_uses.cache_write_1h + excluded.cache_write_1h, "
    "output = pruned_uses.output + excluded.output"
)


def save(
    tx: Transaction,
    origin: str,
    totals: Sequence[SessionTotal],
    inherited: Sequence[Inheritance] = (),
    going_on: Sequence[GoingOn] = (),
) -> None:
    """Store what a source read, and note whom it concerns; the same again changes nothing."""
    tx.many(_END, [(to_micros(mark.at), mark.session, mark.place) for mark in going_on])
    tx.many(
        _SAVE,
        [
            (total.session, total.place, to_micros(total.at), micros_or_none(total.until), origin, _text(total.stated))
            for total in totals
        ],
    )
    tx.many(_INHERIT, [(one.session, one.ancestor, to_micros(one.at)) for one in inherited])
    stated = dict.fromkeys((total.session for total in totals), 0) | {one.session: 0 for one in inherited}
    _note(tx, stated)
    _note(tx, {mark.session: to_micros(mark.at) - 1 for mark in going_on})


def touch(tx: Transaction, events: Iterable[UsageEvent]) -> None:
    """Note the sessions whose listed calls have changed, and their forks, as far as a total may have to do with it."""
    first: dict[str, int] = {}
    for event in events:
        if event.session and event.extent is not Extent.UNLISTED:
            at = to_micros(event.at)
            first[event.session] = min(at, first.get(event.session, at))
    _note(tx, first)


def _note(tx: Transaction, first: Mapping[str, int]) -> None:
    """Note sessions, each with the first instant that has changed."""
    if first:
        concerned = (json.dumps(first),)
        tx.send(_UNSETTLED + _TOUCHED, concerned)
        tx.send(_UNSETTLED + _CHILDREN, concerned)


def unsettled(tx: Transaction, most: int) -> list[str]:
    """Sessions whose unlisted usage has to be derived anew, at most so many."""
    return [row[0] for row in tx.rows("SELECT session FROM unsettled_sessions ORDER BY session LIMIT ?", (most,))]


def settled(tx: Transaction, sessions: Iterable[str]) -> None:
    """Take sessions from the list."""
    tx.many("DELETE FROM unsettled_sessions WHERE session = ?", [(session,) for session in sessions])


def totals_of(tx: Transaction, session: str) -> list[SessionTotal]:
    """What a session has stated, in order."""
    rows = tx.rows("SELECT place, at, until, stated FROM session_totals WHERE session = ? ORDER BY place", (session,))
    return [
        SessionTotal(session, place, from_micros(at), _stated(text), instant_or_none(until))
        for place, at, until, text in rows
    ]


def origin_of(tx: Transaction, session: str) -> str:
    """The door that a session's last total came through."""
    rows = tx.rows("SELECT origin FROM session_totals WHERE session = ? ORDER BY place DESC LIMIT 1", (session,))
    return rows[0][0] if rows else ""


def inherited_by(tx: Transaction, session: str) -> list[Inheritance]:
    """From whom a session has copied."""
    rows = tx.rows("SELECT ancestor, at FROM inheritances WHERE session = ?", (session,))
    return [Inheritance(session, ancestor, from_micros(at)) for ancestor, at in rows]


def listed_of(tx: Transaction, session: str) -> list[ListedUse]:
    """What is counted for a session beside its unlisted usage, and what was counted in all before it was pruned."""
    calls = [
        ListedUse(from_micros(at), model, Usage(*kinds), _searches(terms), bool(beside), extent == Extent.PARTIAL.value)
        for at, model, *kinds, terms, extent, beside in tx.rows(_LISTED, (session,))
    ]
    return calls + [
        ListedUse(from_micros(at), model, Usage(*kinds), beside=bool(beside))
        for at, model, *kinds, beside in tx.rows(_PRUNED, (session,))
    ]


def unlisted_of(tx: Transaction, session: str) -> list[UsageEvent]:
    """What is counted as the unlisted usage of a session now."""
    mine = "e.session = ? AND e.session != '' AND e.extent = 'unlisted'"
    return [event for _, event in ledger.numbered(tx, mine, (session,))]


def keep_pruned(tx: Transaction, numbers: Sequence[int]) -> None:
    """Remember for sessions with totals what the rows of events with these numbers explain, before they go."""
    tx.send(_KEEP, (json.dumps(numbers),))


def _searches(terms: str) -> int:
    if not terms.startswith("["):
        return 0
    searches = json.loads(terms)[3]
    return searches if isinstance(searches, int) else 0


def _text(stated: Iterable[StatedUsage]) -> str:
    return json.dumps([[*one.labels, one.priority.value, *one.usage.kinds, one.web_searches] for one in stated])


def _stated(text: str) -> tuple[StatedUsage, ...]:
    rows: list[list[Any]] = json.loads(text)
    width = len(Labels._fields)
    return tuple(
        StatedUsage(Labels(*row[:width]), Priority(row[width]), Usage(*row[width + 1 : -1]), row[-1]) for row in rows
    )
