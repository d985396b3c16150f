"""Whatever happens in whatever order: no decision passes a ceiling, and every counter can be rebuilt."""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from quota_scheduler.core.admission.decide import Admit
from quota_scheduler.core.cycle.requests import Answer, Read, Refused, Release, Renew, Submit, Withdraw
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.limits.limit import Holdback, Mode
from quota_scheduler.core.limits.schedule import window_at
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import State
from quota_scheduler.service.rebuild import rebuild_sessions
from quota_scheduler.store import windows
from quota_scheduler.store.tickets import open_tickets
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    a_concurrency_limit,
    a_limit,
    a_report,
    a_run_cap,
    a_session_limit,
    a_ticket,
    a_usage_event,
)
from tests.service.world import World

GROWTH = match_of({"team": "growth"})
LIMITS = (
    a_limit(300, holdback=Holdback(amount=60)),
    a_limit(
        150, id="team", per="team", overrides=(("ops", 80),), max_instances=3, weights=(333, 1000, 1000, 1000, 777)
    ),
    a_session_limit(200, holdback=Holdback(per_mille=200)),
    a_limit(100, id="growth-session", match=GROWTH, schedule=a_session_limit().schedule, holdback=None),
    a_limit(20, id="soft", mode=Mode.WARN),
    a_concurrency_limit(3),
    a_run_cap(180),
)
KEYS, TEAMS, SESSIONS = st.sampled_from("abcdefgh"), st.sampled_from(["growth", "ops", "hr", "it", ""]), "stu"
AMOUNTS, SPANS = (
    st.integers(0, 120),
    st.sampled_from([SECOND, 30 * SECOND, 2 * MINUTE, 11 * MINUTE, HOUR, 6 * HOUR, DAY]),
)


class Service(RuleBasedStateMachine):
    """Everything that can happen to the service; ``World`` calls the doctor after every step."""

    tickets: Bundle = Bundle("tickets")
    events: Bundle = Bundle("events")

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.world = World(Path(self.folder.name), *LIMITS)
        self.fences: list[int] = []
        self.number = 0

    def teardown(self) -> None:
        self.world.store.close()
        self.folder.cleanup()

    # what people and machines do

    @rule(
        target=tickets, key=KEYS, tokens=AMOUNTS, team=TEAMS, priority=st.sampled_from(Priority),
        session=st.sampled_from(["", *SESSIONS]), ttl=st.sampled_from([10 * MINUTE, 4 * HOUR, 2 * DAY]),
        limits=st.fixed_dictionaries({}, optional={"deadline": SPANS, "wait_until": SPANS, "run": st.just("shared")}),
    )  # fmt: skip
    def submit(self, key: str, tokens: int, **ask: object) -> object:
        """A new ticket, or one that is known by its key."""
        limits: dict[str, object] = ask.pop("limits")  # type: ignore[assignment]
        when = {name: self.now + span if isinstance(span, timedelta) else span for name, span in limits.items()}
        body = f"{tokens}{ask}{sorted(limits)}"
        draft = a_ticket(tokens, at=self.now, key=f"{key}{tokens % 3}", body=body, **{**ask, **when})  # type: ignore[arg-type]
        answer = self.step(Submit(draft))
        return answer.ticket.id if isinstance(answer, Answer) else multiple()

    @rule(ticket=tickets)
    def read(self, ticket: int) -> None:
        self.step(Read(ticket))

    @rule(ticket=tickets, used=st.none() | AMOUNTS, session=st.sampled_from(["", *SESSIONS]), back=st.integers(0, 2))
    def renew(self, ticket: int, used: int | None, session: str, back: int) -> None:
        """With the newest fence or an older one."""
        self.step(Renew(ticket, self.fence(ticket, back), None if used is None else a_report(used), session))

    @rule(ticket=tickets, used=st.none() | AMOUNTS, session=st.sampled_from(["", *SESSIONS]), back=st.integers(0, 1))
    def release(self, ticket: int, used: int | None, session: str, back: int) -> None:
        self.step(Release(ticket, self.fence(ticket, back), None if used is None else a_report(used), session))

    @rule(pick=st.integers(0, 9), extra=st.integers(1, 60))
    def overrun(self, pick: int, extra: int) -> None:
        """A run that uses more than it has reserved."""
        with self.world.store.transaction() as tx:
            running = [ticket for ticket in open_tickets(tx) if ticket.state is State.RUNNING]
        if running:
            ticket = running[pick % len(running)]
            assert ticket.lease is not None
            self.step(Renew(ticket.id, ticket.lease.fence, a_report(ticket.estimate.reserve.tokens + extra)))

    @rule(ticket=consumes(tickets))
    def withdraw(self, ticket: int) -> None:
        self.step(Withdraw(ticket))

    @rule(several=st.lists(tickets, min_size=2, max_size=5), used=AMOUNTS, tokens=AMOUNTS)
    def all_at_once(self, several: list[int], used: int, tokens: int) -> None:
        """A batch: old and new fences, the same ticket twice, arrivals between."""
        batch = [Renew(ticket, self.fence(ticket, 0), a_report(used)) for ticket in several]
        batch += [Release(several[0], self.fence(several[0], 1), a_report(used + 5), "s")]  # type: ignore[list-item]
        batch += [Submit(a_ticket(tokens, key="batch", at=self.now)), Read(several[-1])]  # type: ignore[list-item]
        self.step(*batch)

    @rule(target=events, tokens=AMOUNTS, team=TEAMS, session=st.sampled_from(["", *SESSIONS]), ago=SPANS)
    def use(self, tokens: int, team: str, session: str, ago: timedelta) -> object:
        """A line of a transcript is read, soon or late."""
        self.number += 1
        usage = a_usage_event(1).usage._replace(input=tokens // 2, output=tokens - tokens // 2)
        event = a_usage_event(key=f"e{self.number}", at=self.now - ago, team=team, session=session, usage=usage)
        self.world.record(event)
        return event

    @rule(event=events, more=st.integers(-20, 40), later=st.sampled_from([timedelta(0), SECOND, MINUTE, DAY]))
    def see_again(self, event: object, more: int, later: timedelta) -> None:
        """The same line once more, perhaps grown, perhaps with another time, twice in one pass."""
        usage = event.usage._replace(output=max(0, event.usage.output + more))  # type: ignore[attr-defined]
        again = a_usage_event(key=event.key, at=event.at + later, session=event.session, usage=usage)  # type: ignore[attr-defined]
        self.world.record(again, event)  # type: ignore[arg-type]

    @rule(by=SPANS)
    def wait(self, by: timedelta) -> None:
        self.world.clock.advance(by)
        self.step()

    @rule(by=SPANS)
    def let_time_pass_unseen(self, by: timedelta) -> None:
        """The next journey is the first to see what has fallen due."""
        self.world.clock.advance(by)

    @rule()
    def kill(self) -> None:
        self.world.kill()

    @rule()
    def finish_a_pass(self) -> None:
        """A source is read to its end: sessions are put where their uses say."""
        with self.world.store.transaction() as tx:
            rebuild_sessions(tx, LIMITS)
        self.world.check()

    # what must be true

    def step(self, *requests: object) -> Answer | Refused | None:
        """One cycle; whatever it lets start or grow stays below the ceiling of its class in every enforced limit."""
        before = self.held()
        done = self.world.run(*requests)  # type: ignore[arg-type]
        started = [ticket for ticket, verdict in done.decisions if isinstance(verdict, Admit)]
        with self.world.store.transaction() as tx:
            balances = windows.load(tx, LIMITS)
        bound = {ticket.id: {instance.name for instance in balances.instances(ticket.labels)} for ticket in started}
        for balance in (balance for balance in balances.all() if not balance.closed):
            self.below(balance, [ticket.priority for ticket in started if balance.name in bound[ticket.id]])
        if not started and len(requests) == 1:
            known = {balance.id: balance for balance in balances.all()}
            for (ticket, window), (amount, priority) in self.held().items():
                if amount > before.get((ticket, window), (amount,))[0]:
                    self.below(known[window], [Priority(priority)])
        return done.answers[0] if done.answers else None

    def below(self, balance: Balance, classes: list[Priority]) -> None:
        """What is spent and reserved lies below the ceiling of the most privileged of these classes."""
        if not classes or balance.limit.mode is not Mode.ENFORCE:
            return
        window = balance.window or window_at(balance.limit.schedule, self.now)
        kept = balance.limit.held_back(balance.amount, history=timedelta(0), window=window, now=self.now)
        most = balance.amount - (0 if Priority.INTERACTIVE in classes else kept)
        assert balance.spent + balance.reserved <= most, (balance.name, balance.spent, balance.reserved, most)

    def held(self) -> dict[tuple[int, int], tuple[int, str]]:
        """The amount and class of every open reservation, by ticket and window."""
        with self.world.store.transaction() as tx:
            rows = tx.rows(
                "SELECT r.ticket, r.window, r.amount, t.priority FROM reservations r "
                "JOIN tickets t ON t.id = r.ticket WHERE r.open = 1"
            )
        return {row[:2]: row[2:] for row in rows}

    @property
    def now(self) -> datetime:
        return self.world.clock.at

    def fence(self, ticket: int, back: int) -> int:
        """The newest fence of a ticket or one of its earlier ones; 1 when it has none."""
        with self.world.store.transaction() as tx:
            fences = [row[0] for row in tx.rows("SELECT fence FROM leases WHERE ticket = ? ORDER BY fence", (ticket,))]
        return fences[max(0, len(fences) - 1 - back)] if fences else 1

    @invariant()
    @precondition(lambda self: hasattr(self, "world"))
    def nothing_is_negative(self) -> None:
        with self.world.store.transaction() as tx:
            least = tx.rows("SELECT min(used), min(reported), min(reserved) FROM windows")
            sums = tx.rows("SELECT min(input + output), min(requests) FROM rollups")
            runs = tx.rows("SELECT min(input + output), min(requests) FROM runs")
        assert all(number is None or number >= 0 for row in (*least, *sums, *runs) for number in row)

    @invariant()
    @precondition(lambda self: hasattr(self, "world"))
    def what_is_closed_or_waits_holds_nothing(self) -> None:
        with self.world.store.transaction() as tx:
            holding = tx.rows(
                "SELECT DISTINCT t.state FROM reservations r JOIN tickets t ON t.id = r.ticket WHERE r.open = 1"
            )
        assert {state for (state,) in holding} <= {State.OFFERED.value, State.RUNNING.value}

    @invariant()
    @precondition(lambda self: hasattr(self, "world"))
    def every_running_ticket_has_one_lease_and_fences_grow(self) -> None:
        with self.world.store.transaction() as tx:
            running = tx.rows("SELECT t.id FROM tickets t WHERE t.state = 'running' ORDER BY t.id")
            leases = tx.rows("SELECT ticket FROM leases WHERE ended_at IS NULL ORDER BY ticket")
            fences = [row[0] for row in tx.rows("SELECT fence FROM leases ORDER BY granted_at, fence")]
        assert leases == running
        assert fences == sorted(fences)
        assert fences[: len(self.fences)] == self.fences
        self.fences = fences

    @invariant()
    @precondition(lambda self: hasattr(self, "world"))
    def every_run_is_what_its_events_add_up_to(self) -> None:
        with self.world.store.transaction() as tx:
            kept = tx.rows("SELECT run, input + output FROM runs WHERE input + output > 0 ORDER BY run")
            summed = tx.rows(
                "SELECT run, sum(input + output) FROM events WHERE run != '' "
                "GROUP BY run HAVING sum(input + output) > 0 ORDER BY run"
            )
        assert kept == summed

    @invariant()
    @precondition(lambda self: hasattr(self, "world"))
    def a_run_with_a_transcript_has_no_report_beside_it(self) -> None:
        with self.world.store.transaction() as tx:
            twice = tx.rows(
                "SELECT l.fence FROM leases l JOIN events e ON e.session = l.session AND l.session != '' "
                "AND e.at >= l.granted_at AND e.at <= l.ended_at AND e.key NOT LIKE 'lease:%' "
                "JOIN tickets t ON t.id = l.ticket "
                "AND e.run = CASE t.run WHEN '' THEN 'ticket:' || t.id ELSE t.run END "
                "JOIN events o ON o.key LIKE 'lease:' || l.ticket || ':' || l.fence || ':%' "
                "WHERE NOT EXISTS (SELECT 1 FROM leases n WHERE n.session = l.session AND n.fence > l.fence "
                "AND e.at >= n.granted_at)"  # of several leases in one session a transcript is the newest's
            )
        assert twice == []


def play(steps: int, examples: int, *, same: bool) -> None:
    """Play some runs: the ``same`` ones every time, so that a change is judged by itself, or ever new ones."""
    checks = settings(
        derandomize=same,
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    run_state_machine_as_test(Service, settings=checks)


@pytest.mark.timeout(900)  # seconds of work, most of it commits; a run that is cut off looks like a flaky strategy
def test_a_few_hundred_steps() -> None:
    play(steps=40, examples=30, same=True)


@pytest.mark.torture
def test_ten_thousand_steps() -> None:
    play(steps=100, examples=100, same=False)
