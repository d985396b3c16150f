"""Usage, runs and efficiency over days, as documents."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.efficiency.runs import EfficiencyRow, RunSummary, by_label, by_run, label_of
from quota_scheduler.core.instants import iso
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.produced import Product, by_group
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.core.usage import KINDS, Extent, Usage
from quota_scheduler.store import Transaction, apart, ledger, produced, rollups


def efficiency_document(tx: Transaction, days: int, by: str = "workflow", scope: Scope = EVERYBODY) -> dict[str, Any]:
    """Tokens by kind and cache hit rate of runs over the last ``days``, by a label that runs carry."""
    since = tx.now - timedelta(days=days)
    runs = runs_of(tx, since, scope)
    made = by_group(produced.by_run(tx, since), {run.run: label_of(run, by) for run in runs})
    rows = [
        {by: row["workflow"], **row, **_made(made.get(row["workflow"], {}), row["cost_usd"])}
        for row in map(_efficiency_row, by_label(runs, by))
    ]
    if by != "workflow":
        for row in rows:
            del row["workflow"]
    return {"days": days, f"{by}s": rows}


def usage_document(tx: Transaction, days: int, by: Sequence[str], scope: Scope = EVERYBODY) -> dict[str, Any]:
    """Usage of the last ``days`` added up by UTC ``day`` and labels, in the order of ``by``.

    Rows are sums of listed calls; what sessions used beyond those, and how many answers were interrupted, stands in
    columns of its own, and by kind under ``unlisted``.
    """
    since = tx.now - timedelta(days=days)
    sums: dict[tuple[str, ...], Usage] = {}
    unlisted: dict[tuple[str, ...], Usage] = {}
    partial: dict[tuple[str, ...], int] = {}
    for day, labels, usage in rollups.by_labels(tx, since, {*by, *dict(scope.bound)}):
        if not scope.holds(labels):
            continue
        slot = _slot(day, labels, by)
        sums[slot] = sums.get(slot, Usage()).plus(usage)
    for day, labels, extent, answers, usage in apart.by_day(tx, since):
        if not scope.holds(labels):
            continue
        slot = _slot(day, labels, by)
        if extent is Extent.UNLISTED:
            sums[slot] = sums.get(slot, Usage()).minus(usage)
            unlisted[slot] = unlisted.get(slot, Usage()).plus(usage)
        else:
            partial[slot] = partial.get(slot, 0) + answers
    rows = [
        {
            **_columns(by, slot, usage),
            "unlisted_tokens": unlisted.get(slot, Usage()).tokens,
            "unlisted_cost_usd": unlisted.get(slot, Usage()).cost_usd,
            "partial_answers": partial.get(slot, 0),
        }
        for slot, usage in sorted(sums.items())
        if any(usage) or any(unlisted.get(slot, ()))
    ]
    beyond = [_columns(by, slot, usage) for slot, usage in sorted(unlisted.items()) if any(usage)]
    return {"days": days, "by": list(by), "usage": rows, "unlisted": beyond}


def _slot(day: str, labels: Labels, by: Sequence[str]) -> tuple[str, ...]:
    return tuple(day if name == "day" else labels.value(name) for name in by)


def _columns(by: Sequence[str], slot: tuple[str, ...], usage: Usage) -> dict[str, Any]:
    return {
        **dict(zip(by, slot, strict=True)),
        **dict(zip(KINDS, usage.kinds, strict=True)),
        "tokens": usage.tokens,
        "requests": usage.requests,
        "cost_usd": usage.cost_usd,
        "unpriced_tokens": usage.unpriced_tokens,
    }


def runs_document(tx: Transaction, days: int, most: int, scope: Scope = EVERYBODY) -> dict[str, Any]:
    """The largest runs of the last ``days``, with what they used by kind."""
    since = tx.now - timedelta(days=days)
    runs, made = runs_of(tx, since, scope), produced.by_run(tx, since)
    facts = {run.run: run for run in runs}
    rows = by_run(runs)[:most]
    documents = [_run_row(row, facts[row.name], made.get(row.name, {})) for row in rows]
    return {"days": days, "runs": [{**row, "run": scope.plain(row["run"])} for row in documents]}


def runs_of(tx: Transaction, since: datetime, scope: Scope) -> list[RunSummary]:
    """The runs of a scope that were last active at or after an instant, oldest first."""
    return [run for run in ledger.runs_since(tx, since) if scope.holds(run.labels)]


def _made(made: Mapping[Product, int], cost_usd: float) -> dict[str, Any]:
    """What was made, and what each cost; null where no source tells of any, which is not the same as none."""
    commits, pulls = made.get(Product.COMMITS), made.get(Product.PULL_REQUESTS)
    return {
        "commits": commits,
        "pull_requests": pulls,
        "cost_per_commit_usd": round(cost_usd / commits, 6) if commits else None,
        "cost_per_pull_request_usd": round(cost_usd / pulls, 6) if pulls else None,
    }


def _run_row(row: EfficiencyRow, run: RunSummary, made: Mapping[Product, int]) -> dict[str, Any]:
    figures = _efficiency_row(row)
    del figures["workflow"], figures["runs"], figures["success_rate"], figures["tokens_per_run"]
    return {
        "run": run.run,
        "workflow": run.workflow,
        "task_type": run.task_type,
        "model": run.model,
        "status": run.status or None,
        "started_at": iso(run.started_at),
        "last_at": iso(run.last_at),
        **figures,
        **_made(made, row.usage.cost_usd),
    }


def _efficiency_row(row: EfficiencyRow) -> dict[str, Any]:
    rate = row.cache_hit_rate
    return {
        "workflow": row.name,
        "runs": row.runs,
        **dict(zip(KINDS, row.usage.kinds, strict=True)),
        "tokens": row.usage.tokens,
        "tokens_per_run": round(row.tokens_per_run),
        "cost_usd": row.usage.cost_usd,
        "cache_hit_rate": None if rate is None else round(rate, 4),
        "success_rate": row.success_rate,
        "flags": list(row.flags),
    }
