"""What finished runs teach: estimates from runs of alike length, and guesses corrected by how far they were off."""

from datetime import timedelta

import pytest

from quota_scheduler.core.tickets.estimate import Description, described
from quota_scheduler.core.tickets.run_history import Finished, RunHistory, run_history_of
from quota_scheduler.core.usage import Usage
from tests.builders import MONDAY

TASK = Description("review", "word " * 100)


def run(tokens, *, words=100, workflow="nightly", task_type="review", expected=8_000, guessed=True, age=0):
    usage = Usage(input=tokens // 2, output=tokens - tokens // 2, requests=4)
    return Finished(MONDAY - timedelta(hours=age), workflow, task_type, words, expected, guessed, usage)


@pytest.mark.parametrize(
    ("runs", "workflow", "expected"),
    [
        pytest.param(
            [run(1_000), run(2_000), run(3_000)], "nightly", ("workflow", 2_000, 3_000), id="median, and P80 reserved"
        ),
        pytest.param(
            [run(n) for n in range(100, 1_100, 100)], "nightly", ("workflow", 550, 900), id="eight of ten stay within"
        ),
        pytest.param(
            [run(1_000, words=80)] * 3, "nightly", ("workflow", 1_250, 1_250), id="scaled to this length"
        ),
        pytest.param(
            [run(1_000, words=130)] * 3, "nightly", ("workflow", 769, 769), id="30 % longer teaches, scaled"
        ),
        pytest.param(
            [run(1_000, words=131)] * 3 + [run(500, workflow="w")] * 3, "nightly", ("task_type", 500, 500),
            id="longer than that does not: the task type is asked",
        ),
        pytest.param(
            [run(1_000)] * 2 + [run(500, workflow="w")] * 3, "nightly", ("task_type", 500, 1_000),
            id="two runs of a workflow are too few",
        ),
        pytest.param(
            [run(1_000, age=1 + n) for n in range(20)] + [run(10**9, age=99)] * 30, "nightly",
            ("workflow", 1_000, 1_000), id="only the newest twenty",
        ),
    ],
)  # fmt: skip
def test_an_estimate_from_runs_of_alike_length(runs, workflow, expected):
    found = run_history_of(runs).estimate(TASK, workflow)
    assert (found.source, found.median.tokens, found.reserve.tokens) == expected
    assert (found.declared, found.words, found.guess) == (False, 100, 0)


def test_it_is_split_as_the_runs_were_with_their_requests():
    found = run_history_of([run(1_000)] * 3).estimate(TASK, "nightly")
    assert found.median == Usage(input=500, output=500, requests=4)


@pytest.mark.parametrize(
    ("runs", "confidence"),
    [
        pytest.param([run(1_000)] * 20, 0.9, id="twenty that agree"),
        pytest.param([run(1_000)] * 3, 0.39, id="three that agree"),
        pytest.param([run(1_000)] * 11 + [run(4_000)] * 9, 0.45, id="twenty that do not"),
        pytest.param([], 0.3, id="a guess"),
    ],
)
def test_confidence_from_how_many_and_how_alike(runs, confidence):
    assert run_history_of(runs).estimate(TASK, "nightly").confidence == confidence


@pytest.mark.parametrize(
    ("runs", "factor"),
    [
        pytest.param([run(16_000, words=900)] * 3, 2, id="guesses were half of what it took"),
        pytest.param([run(4_000, words=900)] * 3, 0.5, id="or twice"),
        pytest.param([run(8_000_000, words=900)] * 3, 5, id="by a factor of five at most"),
        pytest.param([run(16_000, words=900)] * 2, 1, id="two tell nothing"),
        pytest.param([run(16_000, words=900, guessed=False)] * 3, 1, id="what runners declare is their own affair"),
        pytest.param([run(16_000, words=900, task_type="analysis")] * 3, 1, id="nor does another task type"),
    ],
)
def test_a_guess_is_corrected_by_how_far_guesses_were_off(runs, factor):
    plain, found = described(TASK), run_history_of(runs).estimate(TASK, "")
    assert (found.median.tokens, found.reserve.tokens) == (plain.median.tokens * factor, plain.reserve.tokens * factor)
    assert (found.guess, found.confidence, found.source) == (8_000, 0.3, "task_type")


def test_without_experience_there_is_no_error_to_tell():
    assert RunHistory().error("review") is None
