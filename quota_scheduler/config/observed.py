"""Limits that a provider reports on, as people write them: ``observed: claude/five_hour``.

claude/five_hour    claude/weekly    claude/weekly_model/opus    codex/weekly    anthropic/monthly_spend
"""

from __future__ import annotations

from quota_scheduler.config.fields import Fields
from quota_scheduler.config.scalars import not_among
from quota_scheduler.core.labels import Match, is_pattern
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Every, Session, span_text
from quota_scheduler.core.observations.observation import ProviderWindow
from quota_scheduler.core.observations.points import WHOLE
from quota_scheduler.core.observations.report_key import DEFAULT_ACCOUNT, LENGTHS, PROVIDERS, ReportKey
from quota_scheduler.core.units import Unit

EXAMPLE = "claude/five_hour"
FAMILY = ("anthropic", ProviderWindow.WEEKLY_MODEL)
"""Whose scopes are the names of model families, so that they say by themselves which models a window binds."""


def observed_by(fields: Fields, match: Match) -> ReportKey | None:
    """The provider's window that a limit names, of the account that it matches; None where it names none."""
    named = fields.read("observed", _window, None)
    if named is None:
        return None
    provider, window, scope = named
    accounts = dict(match).get("account", frozenset({DEFAULT_ACCOUNT}))
    if len(accounts) != 1 or is_pattern(next(iter(accounts))):
        fields.complain("observed", "is about one account: match one, and write a limit for each")
        return None
    return ReportKey(provider, next(iter(accounts)), window, scope)


def _window(value: str) -> tuple[str, ProviderWindow, str]:
    name, _, rest = value.strip().partition("/")
    kind, _, scope = rest.partition("/")
    if name.lower() not in PROVIDERS:
        raise ValueError(f"{not_among(name, PROVIDERS)}: write a provider and its window, as in {EXAMPLE}")
    if kind not in tuple(ProviderWindow):
        raise ValueError(f"the window {not_among(kind, tuple(ProviderWindow))}: write {EXAMPLE}")
    window = ProviderWindow(kind)
    if window is ProviderWindow.WEEKLY_MODEL and not scope:
        raise ValueError(f"{value!r} does not say of which model: write {value.rstrip('/')}/opus")
    return PROVIDERS[name.lower()], window, scope.lower()


def scoped(match: Match, observed: ReportKey | None) -> Match:
    """What a limit selects: work of the provider whose window it is, and of the models that the window binds."""
    if observed is None:
        return match
    spec = dict(match)
    spec.setdefault("provider", frozenset({observed.provider}))
    if observed.scope and (observed.provider, observed.window) == FAMILY:
        spec.setdefault("model", frozenset({f"*{observed.scope}*"}))
    return tuple(sorted(spec.items()))


def check_observed(fields: Fields, limit: Limit) -> None:
    """Note what does not go with a provider's report."""
    observed = limit.observed
    if limit.unit is Unit.PERCENT:
        _check_percent(fields, limit)
    if observed is None:
        return
    if not limit.is_windowed:
        fields.complain("observed", "rules a window that resets, and this limit has none: remove it")
    elif not _fits(limit, observed):
        length = LENGTHS[observed.window]
        usual = f"{{session: {span_text(length)}}}" if length else "month"
        fields.complain("window", f"is not that of {observed.window}: write `window: {usual}`, or remove it")
    if limit.per and not limit.is_per_run:
        fields.complain("per", "does not go with `observed`, which is about one account: write a limit for each")
    if limit.parent:
        fields.complain("parent", "does not go with `observed`: nobody lends what a provider counts; remove it")
    if observed.scope and "model" not in dict(limit.match):
        fields.complain(
            "observed", f"{observed.scope} binds some models only: say which, as in `match: {{model: gpt-5*}}`"
        )


def _check_percent(fields: Fields, limit: Limit) -> None:
    if limit.observed is None and not fields.has("observed"):
        fields.complain("unit", f"percent is what a provider reports: say which, as in `observed: {EXAMPLE}`")
    if not 0 < limit.amount <= WHOLE:
        fields.complain("amount", "is in percent of what the provider allows: write more than 0 and at most 100")


def _fits(limit: Limit, observed: ReportKey) -> bool:
    """Whether a limit's own window is that of the provider, which stands in for it until there are reports."""
    length = LENGTHS[observed.window]
    if isinstance(limit.schedule, Calendar):
        return limit.schedule.every is (Every.WEEK if length and length.days == 7 else Every.MONTH)
    return isinstance(limit.schedule, Session) and limit.schedule.length == length
