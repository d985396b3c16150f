"""How far the clock of the service is ahead of this host's, from questions and answers.

A question leaves at ``sent``, the service answers at its ``theirs``, the answer is here at ``received``: the difference
lies within half the round trip of ``theirs - (sent + received) / 2`` (Cristian, Probabilistic clock synchronization,
1989). Of the last answers the quickest is believed. What is no more than ``IGNORED`` is left alone: clocks that agree
need no correction, and instants that nobody corrects are the same in every shipment.
"""

from collections import deque
from datetime import datetime, timedelta

from msgspec import Struct, field

IGNORED = timedelta(seconds=2)
"""Differences up to this are those of round trips and of clocks that somebody keeps."""
REMEMBERED = 8
"""Answers that are looked at: a minute or so of them, so that a clock that is set is noticed soon."""


class _Answer(Struct, frozen=True):
    difference: timedelta
    trip: timedelta


class ClockDifference(Struct):
    """What is to be added to this host's instants; whole seconds, and it moves only when it is wrong by over 2 s."""

    value: timedelta = timedelta(0)
    _answers: deque[_Answer] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def answered(self, *, sent: datetime, theirs: datetime, received: datetime) -> None:
        """Take an answer in. One that came before it was asked for (the clock was set) is no measure."""
        if received < sent:
            self._answers.clear()
            return
        answer = _Answer(theirs - (sent + (received - sent) / 2), received - sent)
        if any(abs(answer.difference - past.difference) > answer.trip + past.trip + IGNORED for past in self._answers):
            self._answers.clear()  # one of the clocks was set: what was measured before says nothing
        self._answers.append(answer)
        best = min(self._answers, key=lambda one: one.trip)
        if abs(best.difference - self.value) > IGNORED + best.trip / 2:
            self.value = timedelta(seconds=round(best.difference.total_seconds()))
            if abs(self.value) <= IGNORED:
                self.value = timedelta(0)
