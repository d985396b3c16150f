"""All advice together: what saves most comes first; nothing where there is nothing to say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from quota_scheduler.core.advice.models import cheaper_models, cheaper_providers
from quota_scheduler.core.advice.risks import AtRisk, at_risk
from quota_scheduler.core.advice.suggestion import Price, Suggestion, dollars, largest, sure
from quota_scheduler.core.advice.waste import by_workflow, wasted
from quota_scheduler.core.efficiency.flag_effect import CONFIDENCE, flag_effects
from quota_scheduler.core.efficiency.runs import COMPLETED, RunSummary
from quota_scheduler.core.units import format_number

FREQUENT = 5
"""More windows than this that were used up make a limit one to talk about (the founding documents' rule)."""


def suggestions(
    runs: Sequence[RunSummary],
    price: Price,
    *,
    exhaustions: Mapping[str, tuple[int, int]],
    cap: int | None,
    risks: Iterable[AtRisk] = (),
) -> tuple[Suggestion, ...]:
    """Return what the recorded runs suggest, what saves most first.

    ``exhaustions`` are by limit the windows of the period that were used up, and all of them; ``cap`` is the tokens
    that a run may use, None without a cap; ``risks`` are the open windows with their forecasts.
    """
    advice = [
        *cheaper_models(runs),
        *cheaper_providers(runs),
        *(one for workflow, some in by_workflow(runs).items() for one in wasted(workflow, some, price, cap=cap)),
        *_flags(runs),
        *_exhausted(exhaustions),
        *at_risk(risks),
    ]
    return tuple(sorted(advice, key=lambda one: (-one.microusd, -one.tokens, one.kind)))


def _flags(runs: Sequence[RunSummary]) -> Iterator[Suggestion]:
    """Flags whose effect is below one with all its interval, and whose runs succeed as often."""
    for effect in flag_effects(runs):
        if effect.high >= 1 or (effect.success_with or 0.0) < (effect.success_without or 0.0):
            continue
        without = [
            run
            for run in runs
            if run.workflow in effect.workflows and effect.flag not in run.flags and run.status == COMPLETED
        ]
        saved, spent = 1 - effect.expected, sum(run.usage.cost_microusd for run in without)
        tokens, saving = round(saved * sum(run.usage.tokens for run in without)), round(saved * spent)
        text = (
            f"{effect.flag}: completed runs with it took {1 - effect.expected:.0%} fewer tokens "
            f"({1 - effect.high:.0%} to {1 - effect.low:.0%}), and succeeded {effect.success_with or 0:.0%} of the "
            f"time against {effect.success_without or 0:.0%}. Put it in force in {', '.join(effect.workflows)}: "
            f"{format_number(tokens)} tokens, {dollars(saving)}, less."
        )
        yield Suggestion(
            "flag", effect.flag, text, effect.runs_with, largest(without), tokens, saving, CONFIDENCE
        )  # fmt: skip


def _exhausted(exhaustions: Mapping[str, tuple[int, int]]) -> Iterator[Suggestion]:
    for limit, (times, windows) in sorted(exhaustions.items()):
        if times > FREQUENT:
            text = (
                f"{limit}: {times} of its {windows} windows were used up. Raise its amount, or spread the work: give "
                "what can wait the class low, so that it starts after the reset."
            )
            yield Suggestion("frequent_exhaustion", limit, text, 0, (), 0, 0, sure(windows))
