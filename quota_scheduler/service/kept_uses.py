"""How far uses are read, as text: a restart in the midst of eight days goes on from there."""

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta

from quota_scheduler.core.instants import from_micros, instant_or_none, micros_or_none, to_micros
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.session_chain import ChainedSession, Grounds, SessionChain
from quota_scheduler.core.ledger.sessions import SESSION_MEMORY
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Session, Window
from quota_scheduler.service.chained_sessions import shape_of
from quota_scheduler.service.read_uses import GOOD_FOR, ReadUses, begun
from quota_scheduler.store import Transaction, windows


def written(uses: ReadUses) -> str:
    """What was read so far."""
    return json.dumps(
        {
            "counting": _counting(uses, max(uses.of_set, default=0)),
            "sets": max(uses.of_set, default=0),
            "since": to_micros(uses.since),
            "as_of": to_micros(uses.as_of),
            "place": uses.place,
            "count": uses.count,
            "chains": [
                [instance.limit.id, instance.value, micros_or_none(chain.grounds.cut),
                 [to_micros(at) for at in chain.grounds.openings],
                 [_session_row(session) for session in chain.sessions]]
                for instance, chain in uses.chains.items()
            ],
        }
    )  # fmt: skip


def gone_on(tx: Transaction, text: str, limits: Sequence[Limit]) -> ReadUses | None:
    """What to go on from; None where that is too old, or counts otherwise by now."""
    if not text:
        return None
    kept = json.loads(text)
    uses = begun(tx, windows.load(tx, limits, since=tx.now - SESSION_MEMORY), limits)
    uses.know_sets(tx)
    uses.since, uses.as_of = from_micros(kept["since"]), from_micros(kept["as_of"])
    age = tx.now - SESSION_MEMORY - uses.since
    if not timedelta(0) <= age <= GOOD_FOR or kept["counting"] != _counting(uses, kept["sets"]):
        return None
    uses.place, uses.count = (kept["place"][0], kept["place"][1]), kept["count"]
    by_id = {limit.id: limit for limit in limits}
    for rule, value, cut, openings, sessions in kept["chains"]:
        limit = by_id[rule]
        assert isinstance(limit.schedule, Session)
        grounds = Grounds(instant_or_none(cut), tuple(from_micros(at) for at in openings))
        rows = [_session_in(row) for row in sessions]
        chain = uses.chains[LimitInstance(limit, value)] = SessionChain(limit.schedule.length, grounds, rows)
        chain.passed = sum(to_micros(at) <= uses.place[0] for at in grounds.openings)
    return uses


def _counting(uses: ReadUses, up_to: int) -> str:
    """What decides which use of the label sets up to a number counts where, in short."""
    sets = {n: [one.name for one in instances] for n, instances in uses.of_set.items() if n <= up_to}
    return hashlib.sha256(repr((shape_of(uses.limits), sorted(sets.items()))).encode()).hexdigest()[:16]


def _session_row(session: ChainedSession) -> list[object]:
    by_hour = [[to_micros(hour), amount] for hour, amount in session.by_hour.items()]
    return [to_micros(session.span.starts_at), to_micros(session.span.ends_at), by_hour]


def _session_in(row: Sequence[object]) -> ChainedSession:
    starts, ends, by_hour = row
    assert isinstance(starts, int)
    assert isinstance(ends, int)
    assert isinstance(by_hour, list)
    span = Window(from_micros(starts), from_micros(ends))
    return ChainedSession(span, {from_micros(hour): amount for hour, amount in by_hour})
