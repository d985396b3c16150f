"""All advice together: what saves most first, flags that pay, limits used up often, and silence."""

import pytest

from quota_scheduler.core.advice.suggest import suggestions
from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.usage import Usage
from tests.core.efficiency.runs import run


def price(_run: RunSummary, usage: Usage) -> int:
    return usage.tokens


def flagged(ratio: float, *, with_status: str = "completed") -> list[RunSummary]:
    sizes = (900, 950, 1000, 1050, 1100, 1000)
    plain = [run(number, size, usage=Usage(input=size, cost_microusd=size)) for number, size in enumerate(sizes)]
    lean = [run(10 + number, round(size * ratio), "batching") for number, size in enumerate(sizes)]
    return [*plain, *lean, run(20, 500, "batching", status=with_status)]


@pytest.mark.parametrize(
    ("runs", "exhaustions", "expected"),
    [
        pytest.param([], {}, [], id="nothing recorded, nothing to say"),
        pytest.param([run(number, 100) for number in range(50)], {}, [], id="runs that show nothing"),
        pytest.param([], {"weekly": (6, 8)}, [("frequent_exhaustion", "weekly", 0)], id="used up six times"),
        pytest.param([], {"weekly": (5, 8)}, [], id="five times are not many"),
        pytest.param(flagged(0.5), {}, [("flag", "batching", 12)], id="a flag that halves runs"),
        pytest.param(flagged(0.5, with_status="failed"), {}, [], id="a flag whose runs fail more often"),
        pytest.param(flagged(0.99), {}, [], id="a flag whose interval holds no effect"),
    ],
)
def test_what_is_suggested(
    runs: list[RunSummary], exhaustions: dict[str, tuple[int, int]], expected: list[tuple[str, str, int]]
) -> None:
    advice = suggestions(runs, price, exhaustions=exhaustions, cap=None)
    flags_apart = [(one.kind, one.subject, one.runs) for one in advice if one.kind != "grown_context"]
    assert [(kind, subject) for kind, subject, _ in flags_apart] == [(kind, subject) for kind, subject, _ in expected]


def test_what_saves_most_comes_first() -> None:
    churn = [run(n, 0, workflow="churn", usage=Usage(cache_write_5m=10**6)) for n in range(5)]

    def dear(_run: RunSummary, usage: Usage) -> int:
        return usage.input + 2 * usage.cache_write_5m

    advice = suggestions(churn, dear, exhaustions={"weekly": (9, 9)}, cap=10**6)
    assert [one.kind for one in advice] == ["cache_churn", "frequent_exhaustion", "oversized_runs"]
