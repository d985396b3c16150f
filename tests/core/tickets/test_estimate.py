"""Estimates: a bare number spread over the kinds, and guesses from words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.estimate import Description, declared, described, split
from quota_scheduler.core.tickets.ticket import Estimate
from quota_scheduler.core.usage import Usage

COUNTS = st.integers(0, 10**9)


def test_a_bare_number_is_spread_as_agents_usually_spend_it():
    assert split(1_000, None) == Usage(20, 880, 70, 0, 30, requests=1)


def test_a_bare_number_is_spread_as_work_like_it_was():
    assert split(10, Usage(input=1, output=1), requests=3) == Usage(input=5, output=5, requests=3)


@given(COUNTS, st.none() | st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS))
def test_the_parts_of_a_bare_number_add_up_to_it(tokens, mix):
    assert split(tokens, mix).tokens == tokens


def test_what_a_runner_declares_is_what_is_reserved():
    usage = Usage(input=3, output=4, requests=1)
    assert declared(usage) == Estimate(usage, usage, "declared", declared=True, confidence=1.0)


@pytest.mark.parametrize(
    ("task", "median", "source"),
    [
        pytest.param(Description("review"), (6_000, 2_000), "task_type", id="a review of unknown size"),
        pytest.param(Description("review", files=10), (6_000, 2_000), "task_type", id="ten files are one such task"),
        pytest.param(Description("review", files=1), (3_000, 1_000), "task_type", id="one file is at least half"),
        pytest.param(
            Description("review", files=500), (18_000, 6_000), "task_type", id="many files three times at most"
        ),
        pytest.param(
            Description("code_generation", files=20, complexity="complex"),
            (9_000, 36_000),
            "task_type",
            id="and complex",
        ),
        pytest.param(Description("quick_query", complexity="simple"), (700, 700), "task_type", id="simple takes less"),
        pytest.param(Description(text="fix it " * 50), (10_000, 800), "constants", id="100 tokens a word, 8 % output"),
        pytest.param(Description(text="word " * 201), (40_200, 3_216), "constants", id="doubled over 200 words"),
        pytest.param(Description(text="\n".join(["a"] * 21)), (4_200, 336), "constants", id="doubled over 20 lines"),
        pytest.param(Description("juggling", "up down"), (200, 16), "constants", id="a type nobody knows"),
    ],
)
def test_described(task, median, source):
    expected = Usage(input=median[0], output=median[1], requests=1)
    reserve = Usage(input=int(median[0] * 1.3), output=int(median[1] * 1.3), requests=1)
    assert described(task) == Estimate(
        expected, reserve, source, declared=False, confidence=0.3, words=task.words, guess=expected.tokens
    )


@pytest.mark.parametrize(
    ("task", "priority"),
    [
        pytest.param(Description("documentation"), Priority.LOW, id="documentation can wait"),
        pytest.param(Description("analysis"), Priority.HIGH, id="analysis is high"),
        pytest.param(Description("documentation", urgent=True), Priority.HIGH, id="urgent work is high"),
        pytest.param(Description("juggling"), Priority.NORMAL, id="the rest is normal"),
    ],
)
def test_the_class_a_description_asks_for(task, priority):
    assert task.priority is priority
