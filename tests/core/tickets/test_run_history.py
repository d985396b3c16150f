"""What finished runs teach: estimates from runs of alike length, and guesses corrected by how far they were off."""

from datetime import timedelta

import pytest

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.tickets.estimate import Description, described
from quota_scheduler.core.tickets.run_history import EstimateBasis, Finished, RunHistory, run_history_of
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


LABELS = Labels("anthropic", workflow="nightly")
MIXES = {
    "workflow:nightly": Usage(input=1, output=3),
    "task_type:review": Usage(input=3, output=1),
    "provider:anthropic": Usage(input=1, output=1),
}


@pytest.mark.parametrize(
    ("labels", "split"),
    [
        pytest.param(LABELS, Usage(input=25, output=75, requests=2), id="as work of its workflow was"),
        pytest.param(
            Labels("anthropic", workflow="other", task_type="review"),
            Usage(input=75, output=25, requests=2),
            id="else as work of its task type was",
        ),
        pytest.param(Labels("anthropic"), Usage(input=50, output=50, requests=2), id="else as its provider's was"),
        pytest.param(
            Labels("other"),
            Usage(input=2, cache_read=88, cache_write_5m=7, output=3, requests=2),
            id="else as agents usually spend",
        ),
    ],
)
def test_a_bare_number_of_tokens_is_split(labels, split):
    assert EstimateBasis(RunHistory(), MIXES).of_tokens(100, labels, requests=2) == split


NOTHING = [
    pytest.param(Description(), "it says nothing: describe", id="M2: nothing at all"),
    pytest.param(Description(text=" \n "), "it says nothing: describe", id="M2: a text without a word"),
    pytest.param(Description("juggling"), "the task type 'juggling' is not known yet: describe", id="M2: unknown type"),
    pytest.param(Description("juggling", files=12), "the task type 'juggling'", id="M2: files of an unknown type"),
]


@pytest.mark.parametrize(("task", "sentence"), NOTHING)
def test_M2_what_says_nothing_is_refused_with_the_types_there_are(task, sentence):
    refusal = EstimateBasis().of_task(task, LABELS)
    assert isinstance(refusal, str)
    assert refusal.startswith(sentence)
    assert "analysis, code_generation, code_review, coding, docs, documentation, query, quick_query" in refusal


def test_M2_history_speaks_for_a_type_that_no_table_knows():
    basis = EstimateBasis(run_history_of([run(tokens, task_type="juggling") for tokens in (100, 200, 300)]))
    estimate = basis.of_task(Description("juggling"), Labels("anthropic", workflow="new"))
    assert (estimate.source, estimate.median.tokens, estimate.reserve.tokens) == ("task_type", 200, 300)


@pytest.mark.parametrize(
    ("name", "usual"),
    [
        pytest.param("code_review", "review", id="M2: the founding document's own name"),
        pytest.param("CodeReview", "review", id="M2: as the founding document spells it"),
        pytest.param("code-review", "review", id="M2: with a hyphen"),
        pytest.param("testing", "code_generation", id="M2: writing tests is writing code"),
        pytest.param("Quick Query", "quick_query", id="M2: with a blank"),
    ],
)
def test_M2_other_names_of_a_task_type_are_known(name, usual):
    assert described(Description(name)) == described(Description(usual))
    assert Description(name).priority == Description(usual).priority
