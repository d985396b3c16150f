"""Whose files are read: for every agent of the configuration what makes one pass, and what takes it in."""

import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from quota_scheduler.config import Config
from quota_scheduler.config.tree import AgentSource, Without
from quota_scheduler.core.labels import UNASKED
from quota_scheduler.price_catalog import Prices
from quota_scheduler.service.ingest import Ingest
from quota_scheduler.sources import agent_files, claude_code, usage_poll
from quota_scheduler.sources.agents import AGENTS, Agent, Scan
from quota_scheduler.sources.calls import labeller
from quota_scheduler.sources.watch import FolderWatch
from quota_scheduler.store import Store
from quota_scheduler.writer import Writer

log = logging.getLogger(__name__)


def _nothing_to_let_go() -> None:
    """What holds nothing of the system's lets nothing go."""


class Reading(NamedTuple):
    """Whose models an agent calls as a rule, what makes one pass over its files, where that looks, and what ends it."""

    provider: str
    scan: Scan
    places: Sequence[Path]
    close: Callable[[], None] = _nothing_to_let_go


def readings_of(config: Config) -> dict[str, Reading]:
    """Every agent whose files are read, by name; those that are not there yet cost a look at a pass."""
    read: dict[str, Reading] = {}
    for name, source in config.sources.by_name().items():
        if source.enabled:
            team = UNASKED if source.without is Without.IGNORE else ""
            agent = AGENTS.get(name)
            read[name] = _scan_of(agent, source, team, config) if agent else _transcripts(source, team, config)
    return read


def ingests_of(config: Config, store: Store, writer: Writer, prices: Prices) -> list[Ingest]:
    """One for each agent whose files are read."""
    read = readings_of(config)
    if config.sources.usage_endpoint:
        read[usage_poll.NAME] = _usage_endpoint(config, store)
    per_team = [limit.id for limit in config.limits if limit.per == "team"]
    if per_team and any(source.without is Without.IGNORE for source in config.sources.by_name().values()):
        log.info("source.without_team counts_in_none_of=%s", ",".join(per_team))
    return [
        Ingest(
            name,
            one.provider,
            one.scan,
            store=store,
            do=writer.do,
            prices=prices,
            limits=lambda: writer.terms.limits,
            places=one.places,
            close=one.close,
            kept_under=f"{name}@{socket.gethostname()}" if store.is_shared else name,
        )
        for name, one in read.items()
    ]


def _transcripts(source: AgentSource, team: str, config: Config) -> Reading:
    """Claude Code's: whose models it calls, the function that makes one pass, and where it looks."""
    roots = claude_code.find_roots(config.variables, config.home, [str(root) for root in source.roots])
    accounts = {claude_code.find_roots({}, config.home, [str(path)])[0]: name for path, name in source.accounts}
    labels = claude_code.labeller(source.labels, account=source.account, accounts=accounts, home=config.home, team=team)
    watch = FolderWatch(roots, claude_code.SUFFIX)
    scan = partial(claude_code.scan_ahead, roots, labeller=labels, look=watch.changed_files)
    return Reading(claude_code.PROVIDER, scan, roots, watch.close)


def _usage_endpoint(config: Config, store: Store) -> Reading:
    """What claude.ai says is left; it feeds no limit with usage, so none waits for its first pass."""
    source = config.sources.claude_code
    folders = claude_code.find_roots(config.variables, config.home, [str(root) for root in source.roots])
    accounts = {claude_code.find_roots({}, config.home, [str(path)])[0]: name for path, name in source.accounts}
    homes = [(folder.parent, accounts.get(folder, source.account)) for folder in folders]
    return Reading("", usage_poll.UsagePoll(homes, clock=store.clock).scan, [folder for folder, _ in homes])


def _scan_of(agent: Agent, source: AgentSource, team: str, config: Config) -> Reading:
    """Another agent's: whose models it calls as a rule, the function that makes one pass, and where it looks."""
    bases = agent.bases(config.variables, config.home, source.roots)
    label = labeller(
        source.labels,
        agent=agent.name,
        account=source.account,
        accounts=dict(source.accounts),
        home=config.home,
        team=team,
    )
    watch = FolderWatch(agent.places(bases), agent_files.SUFFIX)
    return Reading(agent.provider, agent.scan(bases, label, watch.changed_files), bases, watch.close)
