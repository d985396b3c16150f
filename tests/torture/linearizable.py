"""Whether a history has an order: every operation at one instant between its begin and its end, every answer right.

Depth first over the history's begins and ends, after Wing and Gong, taking an operation only when its end forces it
and remembering what has been tried (Lowe, "Testing for linearizability", 2017). An operation without an answer may have
happened before its end, or not at all; of several tries of the same that nobody answered the earliest is taken first,
since it may come wherever the others may. Deciding this is NP-complete; it stays quick while few operations overlap.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tests.torture.operations import Operation

MOST_STEPS = 1_000_000
"""How many steps are tried before a history is called undecided: about a minute."""


class Keyed(Protocol):
    """A state that can forget what no later operation names."""

    def without(self, key: str, /) -> "Keyed": ...


After = Callable[[object, Operation], Iterable[object]]
"""The states that an operation may leave, given its answer: the promise."""


@dataclass(frozen=True)
class Judgement:
    """``ok``; else ``at``, the operation that no order explains, and ``why`` in words. ``steps`` were tried."""

    ok: bool
    steps: int
    at: Operation | None = None
    why: str = ""


@dataclass(slots=True)
class _Point:
    """One point of the search: what is next in ``events``, which state, and what has been taken before its end."""

    place: int
    state: object
    taken: frozenset[int]
    ways: Iterator[tuple[object, frozenset[int], int]]


def judge(history: Sequence[Operation], start: Keyed, after: After) -> Judgement:
    """Find an order for a history that begins in ``start``, or the operation at which every order ends."""
    events = _events(history)
    pending = _pending(history, events)
    seen: set[tuple[int, object, frozenset[int]]] = set()
    furthest, steps = 0, 0

    def ways(place: int, state: object, taken: frozenset[int]) -> Iterator[tuple[object, frozenset[int], int]]:
        """Whatever may come next: the end of ``place`` is passed, or another operation is taken before it."""
        index = events[place][1]
        if index in taken:
            yield _passed(state, history[index]), taken - {index}, place + 1
            return
        for following in after(state, history[index]):
            yield _passed(following, history[index]), taken, place + 1
        if history[index].answer is None:
            yield state, taken, place + 1
        alike: set[Operation] = set()
        for other in pending[place]:
            if other != index and other not in taken:
                if history[other].answer is None:
                    kind = replace(history[other], begin=0.0)
                    if kind in alike:
                        continue  # a try of the same that began later: whatever it explains, the first one does
                    alike.add(kind)
                for following in after(state, history[other]):
                    if history[other].answer or following != state:  # else it is as if it had not happened
                        yield following, taken | {other}, place

    stack = [_Point(0, start, frozenset(), ways(0, start, frozenset()))] if events else []
    while stack:
        step = next(stack[-1].ways, None)
        if step is None:
            stack.pop()
            continue
        state, taken, place = step
        steps += 1
        furthest = max(furthest, place)
        if place == len(events):
            return Judgement(True, steps)
        if (place, state, taken) in seen:
            continue
        if steps > MOST_STEPS:
            return Judgement(False, steps, history[events[furthest][1]], "undecided: too much overlaps here")
        seen.add((place, state, taken))
        stack.append(_Point(place, state, taken, ways(place, state, taken)))
    if not events:
        return Judgement(True, 0)
    return Judgement(False, steps, history[events[furthest][1]], _why(history, events, furthest))


def _passed(state: object, operation: Operation) -> object:
    """The state behind the end of an operation; a key that nobody names again is forgotten."""
    return state.without(operation.key) if operation.last else state  # type: ignore[attr-defined]


def _events(history: Sequence[Operation]) -> list[tuple[float, int]]:
    """The ends of all operations in order, with their place in the history; what was not answered ends first."""
    ends = sorted((one.end, one.answer is not None, index) for index, one in enumerate(history))
    return [(end, index) for end, _, index in ends]


def _pending(history: Sequence[Operation], events: Sequence[tuple[float, int]]) -> list[list[int]]:
    """At each end, the operations that had begun and not ended: those that may come before it."""
    begins = sorted((operation.begin, index) for index, operation in enumerate(history))
    running: list[int] = []
    result, place = [], 0
    for end, index in events:
        while place < len(begins) and begins[place][0] < end:
            running.append(begins[place][1])
            place += 1
        result.append(list(running))
        running.remove(index)
    return result


def _why(history: Sequence[Operation], events: Sequence[tuple[float, int]], furthest: int) -> str:
    """The operation that fits nowhere, and what went on beside it."""
    end, index = events[furthest]
    beside = [o for o in history if o.begin < end and o.end > history[index].begin and o is not history[index]]
    lines = [f"no order explains: {history[index].said()}", *(f"  beside it: {o.said()}" for o in beside[:12])]
    return "\n".join(lines)
