"""A cheaper model is suggested where its own runs of the same work show that it does as well."""

import pytest

from quota_scheduler.core.advice.models import cheaper_models, cheaper_providers
from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.usage import Usage
from tests.core.efficiency.runs import run


def runs(model: str, count: int, tokens: int, microusd: int, *, failed: int = 0, **more: object) -> list[RunSummary]:
    return [
        run(
            number, tokens, run=f"{model}{number}", model=model, usage=Usage(input=tokens, cost_microusd=microusd),
            status="failed" if number < failed else "completed", **more,
        )
        for number in range(count)
    ]  # fmt: skip


BIG = runs("big", 10, 1_000_000, 3_000_000)


@pytest.mark.parametrize(
    ("others", "savings"),
    [
        pytest.param(runs("small", 5, 1_000_000, 1_000_000), [(20_000_000, 0.33)], id="$1 in place of $3, ten times"),
        pytest.param(
            runs("small", 5, 100_000, 100_000), [(20_000_000, 0.33)],
            id="small tasks of the small model: its cost a token counts",
        ),
        pytest.param(
            runs("small", 5, 2_000_000, 2_000_000), [(10_000_000, 0.33)],
            id="it needs more tokens for the same work: its cost a run counts",
        ),
        pytest.param(runs("small", 5, 1_000_000, 1_000_000, failed=1), [], id="it fails more often"),
        pytest.param(runs("small", 4, 1_000_000, 1_000_000), [], id="four runs show nothing"),
        pytest.param(runs("small", 5, 1_000_000, 3_000_000), [], id="it costs as much"),
        pytest.param(runs("small", 5, 1_000_000, 1_000_000, workflow="other"), [], id="other work shows nothing"),
        pytest.param(runs("small", 5, 1_000_000, 1_000_000, provider="openai"), [], id="another provider's model"),
        pytest.param([], [], id="no other model"),
    ],
)  # fmt: skip
def test_what_another_model_would_have_saved(others: list[RunSummary], savings: list[tuple[int, float]]) -> None:
    assert [(one.microusd, one.confidence) for one in cheaper_models([*BIG, *others])] == savings


def test_the_sentence_says_what_is_compared_and_names_the_runs() -> None:
    (one,) = cheaper_models([*BIG, *runs("small", 5, 1_000_000, 1_000_000)])
    assert one.text == (
        "nightly: small in place of big would have saved about $20.00 over 10 runs; its 5 runs of the same workflow "
        "succeeded 100% of the time, those of big 100%."
    )
    assert (one.kind, one.subject, one.runs, one.evidence) == (
        "cheaper_model", "nightly", 10, ("big0", "big1", "big2", "big3", "big4"),
    )  # fmt: skip


def spread(provider: str, *microusd: int, **more: object) -> list[RunSummary]:
    return [
        one
        for number, cost in enumerate(microusd)
        for one in runs(f"{provider}{number}", 1, 1_000_000, cost, provider=provider, **more)
    ]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param(
            spread("openai", *[1_000_000] * 5), [(20_000_000, (20_000_000, 20_000_000))], id="a third, always"
        ),
        pytest.param(
            spread("openai", 800_000, 900_000, 1_000_000, 1_100_000, 1_200_000),
            [(20_000_000, (18_036_000, 21_964_000))],
            id="a third in the mean: t of 4 degrees 2.776 x 158,114 / sqrt(5), ten times",
        ),
        pytest.param(
            spread("openai", 1, 1, 1, 1, 9_000_000), [], id="its mean is that of one run: not known to be less"
        ),
        pytest.param(spread("openai", *[1_000_000] * 4), [], id="four runs show nothing"),
        pytest.param(spread("openai", *[1_000_000] * 5, workflow="other"), [], id="other work shows nothing"),
        pytest.param(runs("small", 5, 1_000_000, 1_000_000), [], id="the same provider is no switch"),
        pytest.param(spread("", *[1_000_000] * 5), [], id="no provider is none to switch to"),
        pytest.param(spread("openai", *[0] * 5), [(30_000_000, (30_000_000, 30_000_000))], id="what costs nothing"),
    ],
)
def test_what_another_provider_would_have_saved(
    others: list[RunSummary], expected: list[tuple[int, tuple[int, int]]]
) -> None:
    advice = list(cheaper_providers([*BIG, *others]))
    assert [one.kind for one in advice] == ["provider_switch"] * len(expected)
    assert [one.microusd for one in advice] == [saving for saving, _ in expected]
    for one, (_, interval) in zip(advice, expected, strict=True):
        assert one.interval == pytest.approx(interval, rel=0.005)
