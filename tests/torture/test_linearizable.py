"""The judge of histories lets a right service pass and sees every fault of a wrong one, however small."""

import time
from dataclasses import replace

import pytest

from tests.torture.balance_model import State, after
from tests.torture.linearizable import judge
from tests.torture.operations import Answer, Figures, Operation, Verb, bounded
from tests.torture.toy_service import FAULTS, ROOM, record

START = State(used=(("l", 0),), ceilings=(("l", ROOM),))
SIZES = [
    pytest.param(2_000, 1, id="two thousand operations"),
    *(pytest.param(10_000, seed, id=f"ten thousand, seed {seed}", marks=pytest.mark.torture) for seed in (1, 2, 3)),
]
SEEDS = [pytest.param(1, id="once"), *(pytest.param(n, id=f"seed {n}", marks=pytest.mark.torture) for n in (2, 3))]


def running(fence: int, reserved: int) -> Answer:
    return Answer("running", fence=fence, reserved={"l": reserved})


def waiting(used: int, reserved: int) -> Answer:
    return Answer("waiting", figures={"l": Figures(used, reserved, ROOM)})


def submit(begin: float, end: float, key: str, amount: int, answer: Answer | None) -> Operation:
    return Operation(1, begin, end, Verb.SUBMIT, key, amount, ("l",), answer=answer)


def release(begin: float, end: float, key: str, amount: int) -> Operation:
    return Operation(2, begin, end, Verb.RELEASE, key, amount, answer=Answer("closed"))


def use(begin: float, end: float, key: str, amount: int, word: str | None) -> Operation:
    return Operation(3, begin, end, Verb.USE, key, amount, ("l",), answer=Answer(word) if word else None)


A, B = running(1, 40), running(2, 20)
CASES = [
    pytest.param([submit(0, 1, "a", 40, A), submit(2, 3, "b", 20, B)], True, id="two that fill it exactly"),
    pytest.param([submit(0, 1, "a", 40, A), submit(2, 3, "b", 21, running(2, 21))], False, id="one token too many"),
    pytest.param([submit(0, 1, "a", 40, A), submit(2, 3, "b", 20, waiting(0, 40))], False, id="waits though it fits"),
    pytest.param([submit(0, 1, "a", 40, A), submit(2, 3, "b", 21, waiting(0, 40))], True, id="waits for want of room"),
    pytest.param([submit(0, 1, "a", 40, A), submit(2, 3, "b", 21, waiting(0, 39))], False, id="a sum that never was"),
    pytest.param(
        [submit(0, 5, "a", 40, A), submit(2, 3, "b", 21, running(2, 21)), release(1, 6, "a", 0)],
        True,
        id="what overlaps may have gone either way",
    ),
    pytest.param(
        [submit(0, 1, "a", 40, A), submit(2, 3, "b", 21, running(2, 21)), release(4, 5, "a", 0)],
        False,
        id="room that was returned only later",
    ),
    pytest.param(
        [submit(0, 1, "a", 40, A), release(2, 3, "a", 7), submit(4, 5, "b", 54, waiting(7, 0))],
        True,
        id="what was released counts as used",
    ),
    pytest.param(
        [submit(0, 1, "a", 40, A), release(2, 3, "a", 7), submit(4, 5, "b", 54, waiting(7, 40))],
        False,
        id="a release that returned nothing",
    ),
    pytest.param(
        [use(0, 1, "e", 30, "accepted"), submit(2, 3, "a", 40, waiting(0, 0))], False, id="a stale read of what is used"
    ),
    pytest.param(
        [use(0, 1, "e", 30, None), use(2, 3, "e", 30, "duplicate"), submit(4, 5, "a", 31, waiting(30, 0))],
        True,
        id="an event whose first answer got lost counts once",
    ),
    pytest.param(
        [use(0, 1, "e", 30, None), use(2, 3, "e", 30, "duplicate"), submit(4, 5, "a", 1, waiting(60, 0))],
        False,
        id="an event whose first answer got lost counted twice",
    ),
    pytest.param(
        [submit(0, 1, "a", 40, None), submit(2, 3, "a", 40, A), submit(4, 5, "b", 21, waiting(0, 40))],
        True,
        id="a key asked twice is one reservation",
    ),
    pytest.param([submit(0, 1, "a", 4, running(5, 4)), submit(2, 3, "b", 4, running(5, 4))], False, id="a fence twice"),
    pytest.param(
        [submit(0, 1, "a", 60, running(1, 60)), submit(2, 3, "b", 9, waiting(0, 60)), release(4, 5, "a", 0),
         submit(6, 7, "c", 55, waiting(0, 9))],
        True,
        id="an offer that nobody was told of shows in a sum",
    ),
    pytest.param(
        [submit(0, 1, "a", 60, running(1, 60)), submit(2, 3, "b", 9, waiting(0, 60)), release(4, 5, "a", 0),
         submit(6, 7, "c", 55, waiting(0, 10))],
        False,
        id="a sum that no offer explains",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("history", "ok"), CASES)
def test_small_histories(history: list[Operation], ok: bool) -> None:
    assert judge(bounded(history), START, after).ok is ok


@pytest.mark.parametrize(("operations", "seed"), SIZES)
def test_a_right_service_passes_within_a_minute(operations: int, seed: int) -> None:
    began = time.process_time()
    judgement = judge(record(operations, seed=seed), START, after)
    assert judgement.ok, judgement.why
    assert time.process_time() - began < 60


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_of_a_wrong_service_is_seen(fault: str, seed: int) -> None:
    judgement = judge(record(1_000, fault=fault, seed=seed), START, after)
    assert not judgement.ok
    assert judgement.why.startswith("no order explains"), judgement.why


def test_the_answer_that_no_order_explains_is_named() -> None:
    history = record(500, lost=0)
    number, odd = next((n, one) for n, one in enumerate(history) if n > 250 and one.answer.figures)
    shown = odd.answer.figures["l"]
    history[number] = replace(odd, answer=replace(odd.answer, figures={"l": replace(shown, used=shown.used + 1)}))
    judgement = judge(history, START, after)
    assert (judgement.ok, judgement.at) == (False, history[number])
