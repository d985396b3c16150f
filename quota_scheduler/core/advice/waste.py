"""By workflow, where tokens go that the same work did without: what is saved is measured by its own other runs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from quota_scheduler.core.advice.suggestion import LEAST_RUNS, Price, Suggestion, dollars, largest, price_of, sure
from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.units import format_number
from quota_scheduler.core.usage import Usage

LEAST_WRITTEN = 1_000_000
"""Tokens written to the cache below which churn is not worth a word: about four dollars of the dearest common model."""
CHURN = 1.0
"""Reads per written token below which caching costs more than it saves (a write costs 1.25 inputs, a read 0.1)."""
OUTPUT_SHARE = 0.5
"""The part of a workflow's cost from which on its output is what to look at."""
GROWN = 2.0
"""A context so many times that of the usual request of its workflow has grown beyond what the work needs."""
CAP_SHARE = 0.8
"""The part of the run cap from which on a run is oversized (design, section 4)."""


def by_workflow(runs: Iterable[RunSummary]) -> dict[str, list[RunSummary]]:
    """Runs by workflow, in order of name; those that name none tell nothing of a workflow."""
    groups: dict[str, list[RunSummary]] = defaultdict(list)
    for run in runs:
        if run.workflow and run.usage.tokens > 0:
            groups[run.workflow].append(run)
    return dict(sorted(groups.items()))


def wasted(workflow: str, runs: Sequence[RunSummary], price: Price, *, cap: int | None) -> Iterator[Suggestion]:
    """Suggest what would make the runs of one workflow smaller; ``cap`` is of a run, in tokens, None without one."""
    if cap:
        yield from oversized(workflow, runs, cap)
    if len(runs) < LEAST_RUNS:
        return
    for one in (cache_churn, dear_output, grown_context):
        if suggestion := one(workflow, runs, price):
            yield suggestion


def oversized(workflow: str, runs: Sequence[RunSummary], cap: int) -> Iterator[Suggestion]:
    """Runs beyond four fifths of the cap: one is enough to say so, since the next may be stopped by it."""
    large = [run for run in runs if run.usage.tokens > CAP_SHARE * cap]
    if large:
        most = max(run.usage.tokens for run in large)
        text = (
            f"{workflow}: {len(large)} of {len(runs)} runs used more than {CAP_SHARE:.0%} of the cap of "
            f"{format_number(cap)} tokens, the largest {format_number(most)}. Split the work into smaller runs."
        )
        yield Suggestion("oversized_runs", workflow, text, len(large), largest(large), 0, 0, sure(len(large)))


def cache_churn(workflow: str, runs: Sequence[RunSummary], price: Price) -> Suggestion | None:
    """Cache writes that are read less than once: what they cost beyond plain input."""
    written = sum(_written(run.usage) for run in runs)
    read = sum(run.usage.cache_read for run in runs)
    if written < LEAST_WRITTEN or read >= CHURN * written:
        return None
    unread, saving = written - read, _write_premium(runs, price) * (written - read) // written
    text = (
        f"{workflow}: {format_number(written)} tokens were written to the cache and {format_number(read)} read from "
        "it. Keep prompts and the order of files the same between calls, or do not cache what is used once."
    )
    if saving > 0:
        text += f" Writing {format_number(unread)} as plain input would have saved {dollars(saving)}."
    churning = [run for run in runs if run.usage.cache_read < _written(run.usage)]
    return Suggestion(
        "cache_churn", workflow, text, len(churning), largest(churning), 0, max(0, saving), sure(len(runs))
    )


def dear_output(workflow: str, runs: Sequence[RunSummary], price: Price) -> Suggestion | None:
    """Output that is most of the cost: what the runs above the usual output wrote beyond it."""
    spent = sum(run.usage.cost_microusd for run in runs)
    costs = price_of(((run, Usage(output=run.usage.output)) for run in runs), price)
    if spent <= 0 or costs < OUTPUT_SHARE * spent:
        return None
    usual = median(run.usage.output for run in runs)
    above = [(run, round(run.usage.output - usual)) for run in runs if run.usage.output > usual]
    tokens = sum(beyond for _, beyond in above)
    if not tokens:
        return None
    saving = price_of(((run, Usage(output=beyond)) for run, beyond in above), price)
    text = (
        f"{workflow}: output is {min(1.0, costs / spent):.0%} of its cost. Ask for structured results and short "
        f"reports; with no run above the usual {format_number(usual)} tokens of output it would have taken "
        f"{dollars(saving)} less."
    )
    return Suggestion(
        "dear_output", workflow, text, len(above), largest(run for run, _ in above), tokens, saving, sure(len(runs))
    )


def grown_context(workflow: str, runs: Sequence[RunSummary], price: Price) -> Suggestion | None:
    """Runs whose requests carry far more than those of the others: where a fresh context would have paid."""
    asked = [run for run in runs if run.usage.requests > 1 and run.usage.input_side > 0]
    if len(asked) < LEAST_RUNS:
        return None
    usual = median(_context(run) for run in asked)
    grown = [run for run in asked if _context(run) > GROWN * usual]
    if not grown:
        return None
    less = [(run, _beyond(run, usual)) for run in grown]
    tokens, saving = sum(part.tokens for _, part in less), price_of(less, price)
    text = (
        f"{workflow}: requests of {len(grown)} of {len(asked)} runs carried more than twice the usual "
        f"{format_number(usual)} tokens of context. Begun afresh at that size they would have taken "
        f"{format_number(tokens)} tokens, {dollars(saving)}, less."
    )
    return Suggestion("grown_context", workflow, text, len(grown), largest(grown), tokens, saving, sure(len(asked)))


def _written(usage: Usage) -> int:
    return usage.cache_write_5m + usage.cache_write_1h


def _write_premium(runs: Sequence[RunSummary], price: Price) -> int:
    """What cache writes cost beyond the same tokens as plain input."""
    writes = [
        (run, Usage(0, 0, run.usage.cache_write_5m, run.usage.cache_write_1h, requests=run.usage.requests))
        for run in runs
    ]
    plain = [(run, Usage(input=_written(part), requests=part.requests)) for run, part in writes]
    return price_of(writes, price) - price_of(plain, price)


def _beyond(run: RunSummary, usual: float) -> Usage:
    """What the requests of a run carried beyond the usual context."""
    part = 1 - usual / _context(run)
    fresh, read, write_5m, write_1h = (round(kind * part) for kind in run.usage.kinds[:4])
    return Usage(fresh, read, write_5m, write_1h, requests=run.usage.requests)


def _context(run: RunSummary) -> float:
    """Tokens that a request of a run carried, on average."""
    return run.usage.input_side / run.usage.requests
