"""What this process takes over from the leader: its readings, and the rules that all decide by.

A document of another version is passed over, and said so once: what could be read last stays, and shows its age.
"""

import logging

from quota_scheduler.core.replicas.leadership import Leadership
from quota_scheduler.core.replicas.replica import there
from quota_scheduler.core.replicas.rules import Rules, differences, differences_sentence
from quota_scheduler.replicas.documents import PublishedReadings, decode_readings, decode_rules
from quota_scheduler.replicas.leading import Leading
from quota_scheduler.store import Transaction, leadership

log = logging.getLogger(__name__)


class Following:
    """What the leader lets this process know."""

    def __init__(self, leading: Leading) -> None:
        self._leading = leading
        self._mark: tuple[int, int] | None = None
        self._unreadable = ""
        self._in_force: tuple[tuple[str, str], Rules] | None = None
        self.problem = ""

    def news(self) -> PublishedReadings | None:
        """The leader's readings, if it has published others since; None while there are none that can be read."""
        with self._leading.store.reading() as tx:
            if leadership.published_mark(tx, leadership.READINGS) == self._mark:
                return None
            found = leadership.published(tx, leadership.READINGS)
        if found is None:
            return None
        self._mark = found.epoch, found.at
        published = decode_readings(found.shape, found.body)
        self._say(found.shape if published is None else "")
        return published

    def _say(self, shape: str) -> None:
        """Log once that the leader's readings cannot be read, and when they can again."""
        if shape != self._unreadable:
            if shape:
                log.warning("replica.readings_of_another_version shape=%s: the last that could be read stay", shape)
            else:
                log.info("replica.readings_can_be_read_again")
        self._unreadable = shape

    @property
    def cannot_read(self) -> bool:
        """Whether the leader is of another version, so that what is shown here ages."""
        return bool(self._unreadable)

    def rules(self) -> Rules:
        """The rules in force: those of who leads, or led last; ``problem`` says in what this configuration differs.

        Its own where this process leads, where nobody ever did, and where it cannot read the leader's.
        """
        leading = self._leading
        return self._of(leading.standing, leads=leading.epoch > 0)

    def rules_now(self, tx: Transaction) -> Rules:
        """The same as of a transaction: whoever decides in it, decides by these."""
        standing = leadership.standing(tx)
        return self._of(standing, leads=standing.holder == self._leading.me.name)

    def _of(self, standing: Leadership, *, leads: bool) -> Rules:
        leading = self._leading
        if leading.is_alone or leads or standing.rules in ("", leading.me.rules):
            self.problem, self._in_force = "", None
            return leading.rules
        mark = leading.me.rules, standing.rules
        if self._in_force is None or self._in_force[0] != mark:
            self._in_force = mark, self._read(standing.address)
        return self._in_force[1]

    def _read(self, address: str) -> Rules:
        leading = self._leading
        with leading.store.reading() as tx:
            found = leadership.published(tx, leadership.RULES)
        rules = decode_rules(found.shape, found.body) if found else None
        if rules is None:
            self.problem = (
                f"the leader at {address} decides by other rules, and its version writes them otherwise: "
                "give all replicas the same version, or the same configuration"
            )
            return leading.rules
        self.problem = differences_sentence(differences(leading.rules, rules), address)
        return rules

    def counts(self) -> tuple[int, int]:
        """How many replicas are there whose own rules are those in force, and how many whose are not."""
        leading = self._leading
        alive = there(leading.replicas, leading.ttl)
        agreeing = sum(one.rules == (leading.standing.rules or leading.me.rules) for one in alive)
        return agreeing, len(alive) - agreeing
