"""Limits in percent for the subscriptions that were seen, to begin a configuration with.

windows that providers reported on ──► one limit each, with what was said last
accounts of agents without a report ──► the windows that their subscriptions have, waiting for a first report
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.core.observations.observation import Observation, ProviderWindow
from quota_scheduler.core.observations.report_key import DEFAULT_ACCOUNT, ReportKey

NAMES = {"anthropic": "claude", "openai": "codex"}
"""How people call whose windows can be observed."""
USUAL_WINDOWS = (ProviderWindow.FIVE_HOUR, ProviderWindow.WEEKLY)
"""What every subscription of both has."""
HOW_TO_REPORT = {
    "anthropic": "put `quota-scheduler statusline` into Claude Code's settings, or tell it by hand",
    "openai": "it comes with the sessions of Codex",
}
"""How a first report comes in."""
LONGEST_ID = 40


class Proposal(Struct, frozen=True):
    """One limit in percent: ``observed`` names the window, ``why`` says in a line what is known of it.

    ``account`` is empty for the default one.
    """

    id: str
    account: str
    observed: str
    why: str


def proposed(
    reports: Iterable[Observation], accounts: Iterable[tuple[str, str]], *, now: datetime, zone: str
) -> list[Proposal]:
    """Proposals for what was reported, newest reports given, and for (provider, account) pairs without any.

    Windows of some models only are left out where nothing says which models they bind.
    """
    newest = {ReportKey.of(report): report for report in sorted(reports, key=lambda report: report.observed_at)}
    keys = [key for key in sorted(newest) if key.provider in NAMES and _says_what_it_binds(key)]
    heard = {(key.provider, key.account) for key in keys}
    silent = sorted(
        {(provider, account or DEFAULT_ACCOUNT) for provider, account in accounts if provider in NAMES} - heard
    )
    proposals = [_proposal(key, _what_was_said(newest[key], now, zone)) for key in keys]
    for provider, account in silent:
        why = f"Nothing was reported yet: {HOW_TO_REPORT[provider]}."
        proposals += [_proposal(ReportKey(provider, account, window), why) for window in USUAL_WINDOWS]
    return _numbered(proposals)


def _says_what_it_binds(key: ReportKey) -> bool:
    return not key.scope or (key.provider == "anthropic" and key.window is ProviderWindow.WEEKLY_MODEL)


def _what_was_said(report: Observation, now: datetime, zone: str) -> str:
    used = "its standing" if report.used_ratio is None else f"{report.used_ratio:.0%} used"
    resets = f", resets {local_time(report.resets_at, zone)}" if report.resets_at and report.resets_at > now else ""
    return f"Reported {used}{resets}; by {report.source}, {local_time(report.observed_at, zone)}."


def _proposal(key: ReportKey, why: str) -> Proposal:
    account = "" if key.account == DEFAULT_ACCOUNT else key.account
    scope = f"/{key.scope}" if key.scope else ""
    name = NAMES[key.provider]
    parts = (name, account, key.window.value.removesuffix("_model"), key.scope)
    return Proposal(_slug("-".join(filter(None, parts))), account, f"{name}/{key.window.value}{scope}", why)


def _slug(text: str) -> str:
    """A name as ids may be."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:LONGEST_ID].strip("-")


def _numbered(proposals: Sequence[Proposal]) -> list[Proposal]:
    """The proposals with ids that differ: two accounts may differ in signs that no id has."""
    taken: set[str] = set()
    unique = []
    for proposal in proposals:
        name, count = proposal.id, 1
        while name in taken:
            count += 1
            name = f"{proposal.id}-{count}"
        taken.add(name)
        unique.append(Proposal(name, proposal.account, proposal.observed, proposal.why))
    return unique
