"""What rules this process now: limits, policy, prices and the hold, whoever changed them, and on whichever replica.

the configuration of who leads ──let_rule, limits──▶ the database ──keep_to_rules──▶ terms of every replica
an operator, through any replica ──────────────────▶     │
a change that expires, a rate that is learned ─leader──▶ ┘
"""

from msgspec.structs import replace

from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.limits.changes import LimitsHold
from quota_scheduler.core.replicas.rules import Rules, are_alike
from quota_scheduler.parts import Parts
from quota_scheduler.service.operate import limits as operate
from quota_scheduler.service.operate.holds import EverythingHeld, everything_held
from quota_scheduler.store import Transaction


class Ruling:
    """The rules in force here; ``limits_hold`` are the limits that hold now, and how long."""

    def __init__(self, parts: Parts, limits_hold: LimitsHold) -> None:
        self._parts, self.limits_hold = parts, limits_hold
        self.rules: Rules = parts.following.rules()
        self.held: EverythingHeld | None = None

    def hold_in_force(self, terms: Terms, held: EverythingHeld | None) -> Terms:
        """The terms after everything was held, or let go on."""
        self.held = held
        self._parts.metrics.everything_held(on=held is not None)
        return replace(terms, hold=held is not None)

    def limits_in_force(self, terms: Terms, hold: LimitsHold | str) -> Terms:
        """The terms after limits were changed, also for what waits; a sentence that says why not changes nothing."""
        if isinstance(hold, str):
            return terms
        self.limits_hold, self._parts.recompute.limits = hold, hold.limits
        return replace(terms, limits=hold.limits)

    def rule(self, *, starting: bool = False) -> None:
        """Let the rules of this configuration be in force, here and for whoever follows; only who leads may.

        ``starting``: nobody has looked after the database for a while, so every window of now is opened and filled.
        """
        leading = self._parts.leading
        own = leading.rules

        def put_in_force(tx: Transaction) -> LimitsHold:
            leading.let_rule(tx)
            if starting:
                operate.write_down(tx, "leader.took_over", {"epoch": leading.epoch}, who=leading.me.address)
            return operate.apply_limits(tx, own.limits, starting=starting)

        def in_force(terms: Terms, hold: LimitsHold) -> Terms:
            return self._ruled_by(terms, own, hold)

        self._parts.do_as_leader(put_in_force, then=in_force).result()
        self._parts.repricing.begin()

    def _ruled_by(self, terms: Terms, rules: Rules, hold: LimitsHold) -> Terms:
        """The terms by other rules, with the limits that hold by them now."""
        if rules.prices != self.rules.prices:
            self._parts.prices.state(rules.prices)
        self.rules, self._parts.recompute.forecasting.thresholds = rules, rules.thresholds
        terms = self.limits_in_force(terms, hold)
        return replace(terms, policy=rules.policy, thresholds=rules.thresholds, models=rules.models)

    def keep_to_rules(self) -> None:
        """Decide by the leader's rules, and by what was changed and held through any replica."""
        if self._parts.leading.is_alone:
            return
        rules = self._parts.following.rules()

        def stored(tx: Transaction) -> tuple[LimitsHold, EverythingHeld | None]:
            return operate.limits_hold(tx, rules.limits), everything_held(tx)

        def in_force(terms: Terms, seen: tuple[LimitsHold, EverythingHeld | None]) -> Terms:
            return self.hold_in_force(self._ruled_by(terms, rules, seen[0]), seen[1])

        with self._parts.store.reading() as tx:
            hold, held = stored(tx)
        if rules != self.rules or held != self.held or not are_alike(hold.limits, self._parts.writer.terms.limits):
            self._parts.writer.do(stored, then=in_force).result()

    def reread(self, tx: Transaction, terms: Terms) -> Terms:
        """The terms as of a transaction, which somebody else may have changed: rules, limits, and the hold."""
        rules = self._parts.following.rules_now(tx)
        terms = self._ruled_by(terms, rules, operate.apply_limits(tx, rules.limits))
        return self.hold_in_force(terms, everything_held(tx))

    def refresh_limits(self) -> None:
        """Let the limits of the file with the stored changes hold: one has expired, or was learned anew."""
        refreshed = self._parts.do_as_leader(
            lambda tx: operate.apply_limits(tx, self.rules.limits), then=self.limits_in_force
        )
        refreshed.result()
