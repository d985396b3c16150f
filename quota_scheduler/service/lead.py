"""Leading: asking for it, going on with it, leaving it, each in one transaction; and whether a write may still be made.

look      one view       is there anything to write? A follower writes once in a ttl, of itself
claim     transaction    who leads by now (core.replicas.leadership), and who is there
let_rule  transaction    who begins to lead, or has read its configuration again, puts its rules in force
check     inside each transaction of a leader's job: a leader that was paused finds another's epoch, or its own over
"""

from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.readings.other_hosts import FORGOTTEN
from quota_scheduler.core.replicas.leadership import RENEWALS, Leadership, claimed
from quota_scheduler.core.replicas.replica import Replica
from quota_scheduler.errors import NotLeading
from quota_scheduler.store import Transaction, leadership, replicas, turns


class LeadershipSeen(Struct, frozen=True):
    """Who leads, who led before, and which replicas are there, as of one look."""

    standing: Leadership
    before: Leadership
    replicas: tuple[Replica, ...]


def look(tx: Transaction) -> LeadershipSeen:
    """Who leads, and who is there; changes nothing."""
    standing = leadership.standing(tx)
    return LeadershipSeen(standing, standing, tuple(replicas.load(tx)))


def is_due(seen: LeadershipSeen, me: Replica, tx: Transaction, ttl: timedelta) -> bool:
    """Whether ``me`` has something to write: it leads, nobody does, or it has not said lately how it is."""
    said = next((one for one in seen.replicas if one.name == me.name), None)
    changed = said is None or (said.rules, said.problem) != (me.rules, me.problem)
    silent = said is None or abs(tx.now - said.seen_at) >= ttl * (RENEWALS - 1) / RENEWALS
    return changed or silent or seen.standing.holder == me.name or seen.standing.is_over(tx.now, ttl)


def claim(tx: Transaction, me: Replica, *, ttl: timedelta) -> LeadershipSeen:
    """Say that ``me`` is there, and lead if nobody else does; the rules in force stay those of who led before."""
    before, others = leadership.standing(tx), replicas.load(tx)
    replicas.save(tx, me)
    after = claimed(before, me, others, now=tx.now, ttl=ttl)
    if after is not None:
        leadership.save(tx, after)
        if after.epoch != before.epoch:
            replicas.forget(tx, tx.now - FORGOTTEN)
    return LeadershipSeen(after or before, before, tuple(replicas.load(tx)))


def let_rule(tx: Transaction, me: Replica, epoch: int, *, shape: str, rules: str) -> None:
    """Let the rules of who leads be in force, and let the others know them as a document. Raises NotLeading."""
    check(tx, me.name, epoch)
    leadership.save(tx, replace(leadership.standing(tx), rules=me.rules))
    leadership.publish(tx, leadership.RULES, epoch, shape=shape, body=rules)
    turns.terms_moved(tx)


def resign(tx: Transaction, name: str) -> None:
    """Be gone in good order: whoever led lets another lead at once."""
    standing = leadership.standing(tx)
    if standing.holder == name:
        leadership.save(tx, standing.resigned())
    replicas.leave(tx, name)


def check(tx: Transaction, name: str, epoch: int) -> None:
    """Raise NotLeading unless ``name`` leads in ``epoch``, by the time of the database."""
    standing = leadership.standing(tx)
    if not standing.is_of(name, epoch, tx.now):
        raise NotLeading(f"epoch {epoch} is over: {standing.address or 'nobody'} leads in epoch {standing.epoch}")
