"""What a bound token may see of limits: those that could bind its own work, and never another's name.

A limit is seen where its match could select work of the scope, an instance of it where its value is the scope's own,
was met together with the scope's labels, or is a provider or a model, which are nobody's own.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from quota_scheduler.core.labels import LABEL_NAMES, Labels, Match, matches
from quota_scheduler.core.limits.limit import OTHER, Limit
from quota_scheduler.core.names import canonical
from quota_scheduler.core.observations.report_key import DEFAULT_ACCOUNT
from quota_scheduler.core.scope import EVERYBODY, Scope

SHARED = frozenset({"provider", "model"})
"""Labels whose values are nobody's own."""
BY_VALUE = ("values", "overrides", "warn_at", "at_limit")
"""Parts of a written limit that name values of its label."""


class ScopeView(Struct, frozen=True):
    """What one scope may see; ``met`` are by label the values that were met together with its own."""

    scope: Scope
    met: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def among(cls, scope: Scope, label_sets: Iterable[Labels]) -> "ScopeView":
        """What a scope may see, given everything that was ever used under some labels."""
        own = [labels for labels in label_sets if scope.holds(labels)]
        met = {name: frozenset(labels.value(name) for labels in own) - {""} for name in LABEL_NAMES}
        return cls(scope, {**met, **{name: frozenset({value}) for name, value in scope.bound}})

    def sees_value(self, name: str, value: str) -> bool:
        """Whether a label's value may be named to it."""
        return not self.scope.is_bound or name in SHARED or value in self._values(name)

    def _values(self, name: str) -> set[str]:
        return {canonical(name, value) for value in self.met.get(name, ())} | set(self.met.get(name, ()))

    def sees_account(self, account: str) -> bool:
        """Whether an account is its own, or the one that everybody uses who names none."""
        bound = dict(self.scope.bound).get("account")
        return self.sees_value("account", account) or (bound is None and account in ("", DEFAULT_ACCOUNT))

    def sees_limit(self, limit: Limit) -> bool:
        """Whether it could select work of this scope."""
        return not self.scope.is_bound or all(
            name in SHARED
            or any(matches(((name, values),), Labels("")._replace(**{name: value})) for value in self.met.get(name, ()))
            for name, values in limit.match
        )

    def sees_instance(self, limit: Limit, value: str) -> bool:
        """Whether one instance of it may be shown."""
        if not self.sees_limit(limit):
            return False
        return not value or value == OTHER or self.sees_value(limit.per, value)

    def is_own(self, limit: Limit, value: str) -> bool:
        """Whether nobody else's work can count in an instance: then who spends it may be named."""
        return not self.scope.is_bound or any(
            (limit.per == name and canonical(name, own) == value) or dict(limit.match).get(name) == frozenset({own})
            for name, own in self.scope.bound
        )

    def match(self, limit: Limit) -> Match:
        """What it selects, without the values of others."""
        kept = ((name, frozenset(one for one in values if self.sees_value(name, one))) for name, values in limit.match)
        return tuple((name, values) for name, values in kept if values)

    def written(self, limit: Limit, spec: Mapping[str, object]) -> dict[str, object]:
        """A limit as it would stand in the file, without the values of others."""
        if not self.scope.is_bound:
            return dict(spec)
        shown = {name: self._shown(limit.per, part) if name in BY_VALUE else part for name, part in spec.items()}
        if limit.match:
            shown["match"] = {name: sorted(values) for name, values in self.match(limit)}
        return {name: part for name, part in shown.items() if part not in ({}, [])}

    def _shown(self, per: str, part: object) -> object:
        if isinstance(part, dict):
            return {name: value for name, value in part.items() if name == "default" or self.sees_value(per, name)}
        if isinstance(part, list):
            return [value for value in part if self.sees_value(per, value)]
        return part


EVERYTHING = ScopeView(EVERYBODY)
"""What a token sees that is bound to nothing."""
