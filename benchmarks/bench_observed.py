"""A made-up provider that tells percentages of a quota it never names: how well they are followed, and what it costs.

    python benchmarks/bench_observed.py [days]

The provider meters tokens by weights of its own, tells whole points with resets that jitter, lets an idle client repeat
old ones, resets early now and then, and is used elsewhere too. Everything of the product is real: ledger, reports,
learning, admission. Per case: the error of what is shown as used against the truth just before each report, in points
(median, 95th percentile); how many leases were granted when what ran would in truth have passed 100 % before the
reset; in how many windows more than 100 % was asked for in the end, people and use elsewhere included, and by how much
at worst; and what expired unused while somebody was waiting.
"""

import random
import statistics
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[1]))

from quota_scheduler.core.cycle.requests import Answer, Read, Release, Submit
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Session
from quota_scheduler.core.observations.observation import Observation, ProviderWindow
from quota_scheduler.core.observations.points import POINT, WHOLE
from quota_scheduler.core.observations.report_key import ReportKey
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.estimate import declared
from quota_scheduler.core.tickets.ticket import State, Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.service.cycle import run_cycle
from quota_scheduler.service.memory import Memory
from quota_scheduler.service.observe import record_word
from quota_scheduler.service.operate.limits import redefine
from quota_scheduler.service.record import record_usage
from quota_scheduler.service.upkeep.learn_rates import learn_rates, with_rates
from quota_scheduler.store import Store, windows
from tests.builders import some_labels
from tests.fakes import FixedClock

START = datetime(2026, 11, 23, 6, tzinfo=UTC)
STEP, FIVE, DAY = timedelta(minutes=2), timedelta(hours=5), timedelta(days=1)
POINTS_A_DOLLAR = {"claude-opus-5": 2.0, "claude-sonnet-5": 2.6, "claude-haiku-4-5": 3.0}
"""What a dollar of each model takes: nobody outside the provider knows that they differ."""
A_STEP = 0.12
"""Dollars that a job spends in a step."""
LIMIT = Limit(
    "max-session",
    Unit.PERCENT,
    WHOLE,
    Session(FIVE),
    match=match_of({"account": "max-1", "provider": "anthropic"}),
    observed=ReportKey("anthropic", "max-1", ProviderWindow.FIVE_HOUR),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One way of being told: how often, how finely, and what happens beside."""

    name: str
    report_chance: float = 0.7
    rounding: float = 0.01
    elsewhere: float = 0.0
    early_resets: bool = False
    ceiling_change: float = 1.0


CASES = (
    Case("a report after most answers, whole points"),
    Case("tenths of a point", rounding=0.001),
    Case("a report every half hour", report_chance=0.065),
    Case("a report every two hours", report_chance=0.016),
    Case("used elsewhere too", elsewhere=0.25),
    Case("reset early every day", early_resets=True),
    Case("half as much allowed from the middle on", ceiling_change=2.0),
)


@dataclass(slots=True)
class Provider:
    """The truth: how far its window is used, and when it resets."""

    case: Case
    random: random.Random
    used: float = 0.0
    ends_at: datetime | None = None
    factor: float = 1.0

    def take(self, points: float, now: datetime) -> None:
        """Use so much; the first use after a reset opens a window on a ten-minute mark."""
        if self.ends_at is None or now >= self.ends_at:
            self.used, self.ends_at = 0.0, now.replace(minute=now.minute // 10 * 10, second=0) + FIVE
        self.used += points * self.factor

    def report(self, now: datetime) -> Observation | None:
        """What it says, rounded, with a reset that jitters."""
        if self.ends_at is None or now >= self.ends_at:
            return None
        ratio = round(self.used / 100 / self.case.rounding) * self.case.rounding
        jitter = timedelta(seconds=self.random.uniform(-1, 1))
        return Observation(
            "anthropic", "max-1", ProviderWindow.FIVE_HOUR, now, "status_line", round(ratio, 4), self.ends_at + jitter
        )


@dataclass(slots=True)
class Job:
    """Work that waits or runs: what it will take, and of which model."""

    ticket: Ticket
    dollars: float
    model: str
    left: float


@dataclass(slots=True)
class Result:
    """What a case came to."""

    errors: list[float] = field(default_factory=list)
    over: list[float] = field(default_factory=list)
    unused: list[float] = field(default_factory=list)
    granted: int = 0
    blind: int = 0
    done: float = 0.0


class Play:
    """One case, step by step."""

    def __init__(self, case: Case, folder: Path, seed: int) -> None:
        self.case, self.random = case, random.Random(seed)
        self.provider = Provider(case, self.random)
        self.clock = FixedClock(START)
        self.store = Store(folder / "quota.db", clock=self.clock)
        self.limits: tuple[Limit, ...] = (LIMIT,)
        self.terms, self.memory = Terms(self.limits), Memory()
        self.waiting: dict[int, Job] = {}
        self.running: dict[int, Job] = {}
        self.late: list[UsageEvent] = []
        self.said: list[Observation] = []
        self.result, self.numbers = Result(), 0
        with self.store.transaction() as tx:
            redefine(tx, self.limits)

    def run(self, days: float) -> Result:
        """Play it to its end."""
        steps = int(days * DAY / STEP)
        for step in range(steps):
            if step == steps // 2:
                self.provider.factor = self.case.ceiling_change
            self._close_windows()
            self._work()
            self._tell(step)
            self._admit(step)
            self.clock.advance(STEP)
        self.store.close()
        return self.result

    def _close_windows(self) -> None:
        ends_at, now = self.provider.ends_at, self.clock.at
        if ends_at and ends_at <= now < ends_at + STEP:
            self._ended()
        elif self.case.early_resets and ends_at and now < ends_at and self.random.random() < STEP / DAY:
            self._ended()
            self.provider.ends_at = None

    def _ended(self) -> None:
        self.result.over.append(max(0.0, self.provider.used - 100))
        if self.waiting:
            self.result.unused.append(max(0.0, 100 - self.provider.used))

    def _work(self) -> None:
        """What runs spends, people spend, others spend elsewhere; what was spent is read a step later."""
        fresh: list[UsageEvent] = []
        ended: list[Job] = []
        for job in self.running.values():
            spent = min(job.left, A_STEP)
            fresh.append(self._event(job.model, spent, session=job.ticket.session))
            job.left -= spent
            self.result.done += spent
            if job.left <= 1e-9:
                ended.append(job)
        if 8 <= self.clock.at.hour < 18 and self.random.random() < 0.2:
            fresh.append(self._event("claude-opus-5", self.random.lognormvariate(-1.5, 0.7)))
        if self.case.elsewhere and 8 <= self.clock.at.hour < 20 and self.random.random() < 0.1:
            self.provider.take(self.case.elsewhere * self.random.uniform(2, 8), self.clock.at)
        with self.store.transaction() as tx:
            record_usage(tx, self.late, self.limits)
        self.late = fresh
        for job in ended:
            self._cycle(Release(job.ticket.id, job.ticket.lease.fence if job.ticket.lease else 0))
            del self.running[job.ticket.id]

    def _event(self, model: str, dollars: float, session: str = "") -> UsageEvent:
        self.numbers += 1
        self.provider.take(dollars * POINTS_A_DOLLAR[model], self.clock.at)
        usage = Usage(output=1000, requests=1, cost_microusd=round(dollars * 1e6))
        labels = some_labels(account="max-1", model=model)
        return UsageEvent(f"e{self.numbers}", self.clock.at, labels, usage, session=session)

    def _tell(self, step: int) -> None:
        """Somebody hears how far it is; an idle client repeats every ten minutes what it heard an hour ago."""
        reports = []
        heard = self.provider.report(self.clock.at)
        if self.late and heard and self.random.random() < self.case.report_chance:
            if self.provider.ends_at and self.clock.at - (self.provider.ends_at - FIVE) > 5 * STEP:
                self.result.errors.append(self._shown() - self.provider.used)
            reports.append(heard)
            self.said.append(heard)
        if step % 5 == 0 and len(self.said) > 30:
            reports.append(replace(self.said[-30], observed_at=self.clock.at))
        if not reports:
            return
        with self.store.transaction() as tx:
            record_word(tx, reports, (), self.limits)
            if learn_rates(tx, self.limits):
                self.limits = with_rates(tx, self.limits)
                self.terms = replace(self.terms, limits=self.limits)
                self.memory.forget()

    def _shown(self) -> float:
        with self.store.reading() as tx:
            balances = windows.load(tx, self.limits, tickets=())
            balance = balances.find(balances.instances(some_labels(account="max-1", model="x"))[0], self.clock.at)
            return balance.spent / POINT if balance and balance.window else 0.0

    def _admit(self, step: int) -> None:
        """Work arrives every quarter of an hour and is estimated within a third; who was offered a place takes it."""
        requests: list[Any] = [Read(number) for number in self.waiting]
        arriving: Job | None = None
        if step % 7 == 0 and len(self.waiting) < 6:
            arriving = self._job()
            requests.append(Submit(arriving.ticket))
        for answer in self._cycle(*requests):
            if not isinstance(answer, Answer):
                continue
            number = answer.ticket.id
            job = self.waiting.get(number) or arriving
            if job is None or answer.ticket.state is State.CLOSED:
                self.waiting.pop(number, None)
                continue
            job.ticket = answer.ticket
            if answer.ticket.state is State.RUNNING:
                self.waiting.pop(number, None)
                self._starts(job)
            else:
                self.waiting[number] = job

    def _starts(self, job: Job) -> None:
        self.running[job.ticket.id] = job
        self.result.granted += 1
        ends_at = self.provider.ends_at
        is_open = ends_at is not None and self.clock.at < ends_at
        left = (ends_at - self.clock.at) / STEP * A_STEP if ends_at and is_open else FIVE / STEP * A_STEP
        dollars = [(min(left, other.left), other.model) for other in self.running.values()]
        points = sum(most * POINTS_A_DOLLAR[model] for most, model in dollars) * self.provider.factor
        self.result.blind += (self.provider.used if is_open else 0.0) + points > 100.5

    def _job(self) -> Job:
        model, dollars = self.random.choice(list(POINTS_A_DOLLAR)), min(12.0, self.random.lognormvariate(0.8, 0.7))
        self.numbers += 1
        said = dollars * self.random.uniform(0.75, 1.33)
        usage = Usage(output=1000, requests=1, cost_microusd=round(said * 1e6))
        estimate = declared(usage)._replace(duration=timedelta(minutes=2 * max(1, round(dollars / A_STEP))))
        labels, at = some_labels(account="max-1", model=model), self.clock.at
        ticket = Ticket(
            0, f"k{self.numbers}", "b", labels, Priority.NORMAL, estimate, at, at, DAY, session=f"j{self.numbers}"
        )
        return Job(ticket, dollars, model, dollars)

    def _cycle(self, *requests: Any) -> Any:
        with self.store.transaction() as tx:
            return run_cycle(tx, requests, self.terms, self.memory).answers


def quantile(values: list[float], share: float) -> float:
    """A quantile of absolute values."""
    ordered = sorted(abs(value) for value in values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def main() -> None:
    """Play every case and print one row for each."""
    days = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    print(
        f"{'case':<42}{'reports':>8}{'median':>7}{'p95':>6}{'leases':>7}{'past':>5}{'windows':>8}{'over':>5}{'worst':>7}{'unused':>7}"
    )
    for case in CASES:
        with TemporaryDirectory() as folder:
            result = Play(case, Path(folder), seed=7).run(days)
        passed = sum(over > 0 for over in result.over)
        unused = statistics.mean(result.unused) if result.unused else 0.0
        print(
            f"{case.name:<42}{len(result.errors):>8}{quantile(result.errors, 0.5):>7.2f}"
            f"{quantile(result.errors, 0.95):>6.1f}{result.granted:>7}{result.blind:>5}{len(result.over):>8}{passed:>5}"
            f"{max(result.over, default=0.0):>7.2f}{unused:>7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
