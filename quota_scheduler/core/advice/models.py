"""A cheaper model that did the same work as well.

Compared are finished runs of one workflow with one provider. A run would cost with the other model what that model's
own runs cost on average, or its tokens at that model's cost per token, whichever is more: small tasks that were given
to a small model make no saving of large ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from quota_scheduler.core.advice.suggestion import LEAST_RUNS, Suggestion, cost, dollars, largest, sure
from quota_scheduler.core.efficiency.runs import RunSummary, success_rate

AS_WELL = 0.02
"""A success rate less than so much lower counts as the same."""
WORTH_SAVING = 10_000
"""Micro-dollars below which nothing is said: a cent."""


def cheaper_models(runs: Iterable[RunSummary]) -> Iterator[Suggestion]:
    """Suggest, for each workflow and model, the model that would have saved most and succeeds as often."""
    groups: dict[tuple[str, str], dict[str, list[RunSummary]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.workflow and run.status and run.model and run.usage.tokens > 0 and not run.usage.unpriced_tokens:
            groups[run.provider, run.workflow][run.model].append(run)
    for (_, workflow), by_model in sorted(groups.items()):
        for model, own in sorted(by_model.items()):
            if len(own) >= LEAST_RUNS and (best := _best(workflow, model, own, by_model)):
                yield best


def _best(
    workflow: str, model: str, own: Sequence[RunSummary], by_model: dict[str, list[RunSummary]]
) -> Suggestion | None:
    offers = [
        (saving, other)
        for other, runs in by_model.items()
        if other != model and len(runs) >= LEAST_RUNS and _does_as_well(runs, own)
        if (saving := sum(map(cost, own)) - _would_cost(own, runs)) >= WORTH_SAVING
    ]
    if not offers:
        return None
    saving, other = max(offers)
    runs = by_model[other]
    text = (
        f"{workflow}: {other} in place of {model} would have saved about {dollars(saving)} over {len(own)} runs; its "
        f"{len(runs)} runs of the same workflow succeeded {success_rate(runs):.0%} of the time, those of {model} "
        f"{success_rate(own):.0%}."
    )
    few = min(len(own), len(runs))
    return Suggestion("cheaper_model", workflow, text, len(own), largest(own), 0, saving, sure(few))


def _does_as_well(runs: Sequence[RunSummary], own: Sequence[RunSummary]) -> bool:
    return (success_rate(runs) or 0.0) >= (success_rate(own) or 0.0) - AS_WELL


def _would_cost(own: Sequence[RunSummary], runs: Sequence[RunSummary]) -> int:
    """What one's own runs would have cost with the model of the others."""
    spent, tokens = sum(map(cost, runs)), sum(run.usage.tokens for run in runs)
    a_run = spent / len(runs)
    return round(sum(max(a_run, run.usage.tokens * spent / tokens) for run in own))
