"""A cheaper model, or a cheaper provider, that did the same work as well.

Compared are finished runs of one workflow: models with one provider, and providers with each other. A run would cost
with the other what that one's own runs cost on average, or its tokens at that one's cost per token, whichever is more:
small tasks that were given to a small model make no saving of large ones.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import stdev
from typing import NamedTuple

from quota_scheduler.core.advice.suggestion import LEAST_RUNS, Suggestion, cost, dollars, largest, sure
from quota_scheduler.core.efficiency.flag_effect import CONFIDENCE, student_t
from quota_scheduler.core.efficiency.runs import RunSummary, success_rate

AS_WELL = 0.02
"""A success rate less than so much lower counts as the same."""
WORTH_SAVING = 10_000
"""Micro-dollars below which nothing is said: a cent."""


class _Model(NamedTuple):
    """The runs of one workflow with one model, added up once: every model is compared with every other."""

    name: str
    runs: Sequence[RunSummary]
    tokens: Sequence[int]
    spent: int
    success: float

    def would_cost(self, other: "_Model") -> int:
        """What these runs would have cost with another model."""
        a_run, a_token = other.spent / len(other.runs), other.spent / sum(other.tokens)
        return round(sum(max(a_run, tokens * a_token) for tokens in self.tokens))

    @property
    def uncertain(self) -> float:
        """Half the width of the 95 % interval of what a run costs, over that cost."""
        costs = [cost(run) for run in self.runs]
        margin = student_t(CONFIDENCE, len(costs) - 1) * stdev(costs) / math.sqrt(len(costs))
        return margin * len(costs) / self.spent if self.spent else 0.0


def cheaper_models(runs: Iterable[RunSummary]) -> Iterator[Suggestion]:
    """Suggest, for each workflow and model, the model that would have saved most and succeeds as often."""
    groups: dict[tuple[str, str], dict[str, list[RunSummary]]] = defaultdict(lambda: defaultdict(list))
    for run in _comparable(runs):
        groups[run.provider, run.workflow][run.model].append(run)
    for (_, workflow), by_model in sorted(groups.items()):
        models = [_added_up(name, group) for name, group in sorted(by_model.items()) if len(group) >= LEAST_RUNS]
        for model in models:
            if best := _best(workflow, model, models):
                yield best


def cheaper_providers(runs: Iterable[RunSummary]) -> Iterator[Suggestion]:
    """Suggest, for each workflow and provider, another one that would have saved most and succeeds as often.

    Said only where the whole 95 % interval of what its runs cost leaves something saved.
    """
    groups: dict[str, dict[str, list[RunSummary]]] = defaultdict(lambda: defaultdict(list))
    for run in _comparable(runs):
        if run.provider:
            groups[run.workflow][run.provider].append(run)
    for workflow, by_provider in sorted(groups.items()):
        sides = [_added_up(name, group) for name, group in sorted(by_provider.items()) if len(group) >= LEAST_RUNS]
        for side in sides:
            if best := _best_provider(workflow, side, sides):
                yield best


def _best_provider(workflow: str, own: _Model, providers: Sequence[_Model]) -> Suggestion | None:
    offers = []
    for other in providers:
        would, margin = own.would_cost(other), other.uncertain
        low, high = own.spent - round(would * (1 + margin)), own.spent - round(would * max(0.0, 1 - margin))
        if other.name != own.name and other.success >= own.success - AS_WELL and low >= WORTH_SAVING:
            offers.append((own.spent - would, other.name, low, high, other))
    if not offers:
        return None
    saving, _, low, high, other = max(offers, key=lambda offer: offer[:2])
    text = (
        f"{workflow}: {other.name} in place of {own.name} would have saved about {dollars(saving)} ({dollars(low)} to "
        f"{dollars(high)}) over {len(own.runs)} runs; its {len(other.runs)} runs of the same workflow succeeded "
        f"{other.success:.0%} of the time, those of {own.name} {own.success:.0%}."
    )
    few = min(len(own.runs), len(other.runs))
    return Suggestion(
        "provider_switch", workflow, text, len(own.runs), largest(own.runs), 0, saving, sure(few), (low, high)
    )


def _comparable(runs: Iterable[RunSummary]) -> Iterator[RunSummary]:
    """Finished runs of a workflow whose cost is known."""
    for run in runs:
        if run.workflow and run.status and run.model and run.usage.tokens > 0 and not run.usage.unpriced_tokens:
            yield run


def _added_up(name: str, runs: Sequence[RunSummary]) -> _Model:
    tokens = [run.usage.tokens for run in runs]
    return _Model(name, runs, tokens, sum(map(cost, runs)), success_rate(runs) or 0.0)


def _best(workflow: str, own: _Model, models: Sequence[_Model]) -> Suggestion | None:
    offers = [
        (saving, other.name, other)
        for other in models
        if other.name != own.name and other.success >= own.success - AS_WELL
        if (saving := own.spent - own.would_cost(other)) >= WORTH_SAVING
    ]
    if not offers:
        return None
    saving, _, other = max(offers, key=lambda offer: offer[:2])
    text = (
        f"{workflow}: {other.name} in place of {own.name} would have saved about {dollars(saving)} over "
        f"{len(own.runs)} runs; its {len(other.runs)} runs of the same workflow succeeded {other.success:.0%} of the "
        f"time, those of {own.name} {own.success:.0%}."
    )
    few = min(len(own.runs), len(other.runs))
    return Suggestion("cheaper_model", workflow, text, len(own.runs), largest(own.runs), 0, saving, sure(few))
