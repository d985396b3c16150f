"""A cheaper model that did the same work as well.

Compared are finished runs of one workflow with one provider. A run would cost with the other model what that model's
own runs cost on average, or its tokens at that model's cost per token, whichever is more: small tasks that were given
to a small model make no saving of large ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from quota_scheduler.core.advice.suggestion import LEAST_RUNS, Suggestion, cost, dollars, largest, sure
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


def cheaper_models(runs: Iterable[RunSummary]) -> Iterator[Suggestion]:
    """Suggest, for each workflow and model, the model that would have saved most and succeeds as often."""
    groups: dict[tuple[str, str], dict[str, list[RunSummary]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.workflow and run.status and run.model and run.usage.tokens > 0 and not run.usage.unpriced_tokens:
            groups[run.provider, run.workflow][run.model].append(run)
    for (_, workflow), by_model in sorted(groups.items()):
        models = [_added_up(name, group) for name, group in sorted(by_model.items()) if len(group) >= LEAST_RUNS]
        for model in models:
            if best := _best(workflow, model, models):
                yield best


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
