"""The core's inequality in a simulation: not written here but asked of the core itself.

``TwoSided`` builds headrooms from the meters of the state and asks ``admits``, with outlooks from somebody who
looks ahead: the core's forecast, or the truth. So its figures are those of the product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

from msgspec.structs import replace

from quota_scheduler.core.admission.decide import admits
from quota_scheduler.core.admission.headroom import Headroom
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.limits.limit import Holdback, Limit, Policy
from quota_scheduler.core.limits.schedule import Calendar, Every, Session, Window
from quota_scheduler.core.priority import CLASSES
from quota_scheduler.core.units import Unit
from quota_scheduler.simulate.demand import EPOCH, TOKENS, instant
from quota_scheduler.simulate.engine import StartPolicy
from quota_scheduler.simulate.jobs import Least, SimJob
from quota_scheduler.simulate.state import SimState
from quota_scheduler.simulate.windows import Meter
from quota_scheduler.simulate.world import HOUR

OUTLOOKS = 90
"""Outlooks of a window; one an hour at most."""


class TwoSided(StartPolicy):
    """The core's inequality, with an outlook for every window from somebody who looks ahead."""

    by_class = True

    def __init__(self, ahead: Callable[[SimState, Meter], Outlook], *, exact: bool = False) -> None:
        self._ahead, self._exact, self.by_size = ahead, exact, exact
        self._instances: list[LimitInstance] = []
        self._outlooks: dict[int, tuple[float, Outlook]] = {}
        self._headrooms: dict[int, Headroom] = {}
        self._refusing: dict[tuple[int, int], int] = {}
        """By class and group which of its windows refused last: it is asked first."""
        self._now = EPOCH
        self._pressing: dict[tuple[int, int], bool] = {}
        """By class and group whether anybody presses."""
        self._whole, self._refused = 0.0, dict[tuple[int, int, bool], float]()
        """Seconds in which no window ends, and by window, class and haste the least that was refused in this pass.

        Within a pass there is ever less room: a run that needs as much, and uses it before any reset, is refused too.
        """
        self._too_much: dict[tuple[int, int], float] = {}
        """The same by class and group, for runs that take all they use out of every window."""

    def update(self, state: SimState) -> None:
        """It reads when it is asked."""

    def begin(self, state: SimState) -> None:
        if not self._instances:
            self._instances = [_instance(meter, exact=self._exact) for meter in state.meters]
        self._now, self._refused, self._too_much = instant(state.now), {}, {}
        self._whole = min(meter.reset_after(state.now) for meter in state.meters) - state.now if state.meters else 0.0
        self._headrooms = {}

    def _headroom(self, place: int, rank: int, state: SimState) -> Headroom:
        """A limit as this pass finds it: read when it is first asked about, for most passes end at the first."""
        headroom = self._headrooms.get(place)
        if headroom is None:
            instance, meter = self._instances[place], state.meters[place]
            outlook = self._outlook(place, state) if rank else None
            headroom = Headroom(instance, self._balance(state, meter, instance), outlook, self._waiting(meter))
        elif rank and headroom.outlook is None:
            headroom = replace(headroom, outlook=self._outlook(place, state))
        self._headrooms[place] = headroom
        return headroom

    def _waiting(self, meter: Meter) -> list[int]:
        return [int(TOKENS * amount) for amount in (meter.work if self._exact else meter.asked)]

    def _outlook(self, place: int, state: SimState) -> Outlook:
        """The outlook of a window; a new one only when somebody asks and the last is old, or of another window."""
        meter = state.meters[place]
        until, kept = meter.reset_after(state.now), self._outlooks.get(place)
        if kept is None or kept[0] != (until if meter.is_open else 0.0) or self._is_old(kept[1], meter):
            kept = (until if meter.is_open else 0.0), self._ahead(state, meter)
            self._outlooks[place] = kept
        return kept[1]

    def _is_old(self, outlook: Outlook, meter: Meter) -> bool:
        return self._now - outlook.at >= timedelta(seconds=max(HOUR, meter.length / OUTLOOKS))

    def _admits(self, place: int, amount: int, rank: int, state: SimState, *, pressing: bool) -> bool:
        headroom = self._headroom(place, rank, state)
        return admits(headroom, amount, CLASSES[rank], self._now, pressing=pressing) is None

    def _balance(self, state: SimState, meter: Meter, instance: LimitInstance) -> Balance:
        until = meter.reset_after(state.now)
        window = Window(instant(meter.starts_at), instant(meter.ends_at)) if meter.is_open else None
        reserved = sum(self._held(job, state.now, until) * charge for job, charge in state.users(meter))
        used = int(TOKENS * meter.used) if meter.is_open else 0
        return Balance(0, instance.limit, "", window, used=used, reserved=int(TOKENS * reserved))

    def may_admit(self, rank: int, group: int, least: Least, state: SimState) -> bool:
        places = state.bound[group]
        self._pressing[rank, group] = least.presses_from <= state.now
        last = self._refusing.get((rank, group), 0)
        for number in (last, *(number for number in range(len(places)) if number != last)):
            if number < len(places) and not self._may(places[number], rank, group, number, least, state):
                self._refusing[rank, group] = number
                return False
        return True

    def _may(self, place: int, rank: int, group: int, number: int, least: Least, state: SimState) -> bool:
        left = state.meters[place].reset_after(state.now) - state.now
        usable = min(least.needs[number], least.rates[number] * left)
        return self._admits(place, int(TOKENS * usable), rank, state, pressing=self._pressing[rank, group])

    def admits(self, job: SimJob, state: SimState) -> bool:
        run, amount, pressing = job.run, job.need, job.presses_from <= state.now
        places, is_whole = state.bound[run.group], amount <= run.rate * self._whole
        if is_whole and self._refused:
            for place, (_, charge) in zip(places, job.pairs, strict=True):
                if amount * charge >= self._refused.get((place, run.rank, pressing), math.inf):
                    return False
        for place, (_, charge) in zip(places, job.pairs, strict=True):
            usable = self._usable(job, self._headroom(place, run.rank, state), charge)
            if not self._admits(place, usable, run.rank, state, pressing=pressing):
                if is_whole:
                    self._refused[place, run.rank, pressing] = amount * charge
                    if not run.charges and (pressing or not self._pressing[run.rank, run.group]):
                        self._too_much[run.rank, run.group] = amount
                return False
        return True

    def too_much(self, rank: int, group: int) -> tuple[float, float]:
        return self._too_much.get((rank, group), math.inf), self._whole

    def started(self, job: SimJob, state: SimState) -> None:
        for place, (_, charge) in zip(state.bound[job.run.group], job.pairs, strict=True):
            headroom = self._headroom(place, job.run.rank, state)
            headroom.balance.reserved += self._usable(job, headroom, charge)
            headroom.waiting[job.run.rank] -= int(TOKENS * job.need * charge)

    def _usable(self, job: SimJob, headroom: Headroom, charge: float) -> int:
        need = job.need
        return headroom.usable(int(TOKENS * need * charge), timedelta(seconds=need / job.run.rate), self._now)

    def _held(self, job: SimJob, now: float, until: float) -> float:
        if self._exact:
            return min(job.left_at(now), job.run.rate * (until - now))
        return job.reserved_at(now, until)


def _instance(meter: Meter, *, exact: bool) -> LimitInstance:
    """The limit that the core is asked about; whoever knows what is to come holds nothing back for it."""
    amount = int(TOKENS * meter.amount)
    if meter.limit is not None:
        limit = replace(meter.limit, amount=amount, overrides=(), parent="", borrow=0, policy=Policy.TWO_SIDED)
        return LimitInstance(replace(limit, holdback=Holdback(per_mille=0)) if exact else limit, "")
    schedule = Session(timedelta(seconds=meter.length)) if meter.session else Calendar(Every.MONTH)
    return LimitInstance(Limit("session" if meter.session else "quota", Unit.TOKENS, amount, schedule), "")
