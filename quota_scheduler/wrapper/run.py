"""One piece of work from the question to the settlement.

    command there? ─► ask ─► wait ─► start ─► read, renew, warn ─► end ─► settle ─► exit status
       126, 127       69     73, 77             75: the quota ended        0, 1, … the command's own

Every road out after the admission settles; what cannot be told is spooled, and told with the next run.
"""

import contextlib
import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

from quota_scheduler.client.connection import Client, state_folder
from quota_scheduler.client.errors import NotAdmitted, Refused, StillWaiting, Unavailable
from quota_scheduler.client.lease import Lease
from quota_scheduler.wrapper import command as commands
from quota_scheduler.wrapper.child import Child
from quota_scheduler.wrapper.meter import Record, RecordReader, UsageMeter
from quota_scheduler.wrapper.notices import Notices
from quota_scheduler.wrapper.order import Order
from quota_scheduler.wrapper.outlook import STOP, RunFolder, WallWatch
from quota_scheduler.wrapper.sessions import Beginnings, Sessions
from quota_scheduler.wrapper.settlement import Settlement
from quota_scheduler.wrapper.statuses import BY_SIGNAL, LIMIT_HIT, NEVER, NOT_EXECUTABLE, UNAVAILABLE, WAITS
from quota_scheduler.wrapper.word import Said

LAST_SECONDS = 30.0
"""A command that was sent SIGTERM has so long to end."""
SECRETS = ("QUOTA_TOKEN", "QUOTA_OPERATOR_TOKEN")
"""Not for the command: an agent does what texts tell it, and needs no key to the queue."""
COME_AGAIN = frozenset({"waited_too_long", "abandoned"})


class WaitInterrupted(BaseException):
    """A signal ended the wait."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(order: Order, environ: Mapping[str, str]) -> int:
    """Run it, and return the exit status."""
    notices = Notices(quiet=order.quiet)
    try:
        program = commands.program_of(order.command, environ.get("PATH", os.defpath))
    except commands.NoCommand as nothing:
        notices.say(str(nothing))
        return nothing.status
    command = commands.resuming(order.command, order.resume)
    resumed = order.resume or commands.resumed_session(command)
    command, named = ([*command], "") if resumed else commands.with_session(command)
    session = resumed or named
    client = Client(order.url, environ.get("QUOTA_TOKEN", ""), fail="closed", patience=order.patience)
    try:
        with _interruptible():
            lease = _lease(client, order, order.ticket(session, commands.model_of(command)), notices)
    except WaitInterrupted as signalled:
        notices.say("interrupted while it waited: the ticket is withdrawn")
        return BY_SIGNAL + signalled.number
    if isinstance(lease, int):
        return lease
    return LeasedRun(order, lease, client, notices, program, command, session, resumed, environ).settled()


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let signals end the wait, so that the ticket is withdrawn."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise WaitInterrupted(number)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _lease(client: Client, order: Order, ticket: Mapping[str, object], notices: Notices) -> Lease | int:
    """The lease when its turn has come, or the exit status."""
    ends = None if order.wait is None else time.monotonic() + order.wait
    try:
        lease = client.acquire(ticket, ends=ends, on_wait=notices.waits)
    except StillWaiting as waits:
        decision = waits.decision
        until = f"; room is expected from {decision.until.astimezone():%a %d %b %H:%M %Z}" if decision.until else ""
        notices.say(f"not started ({decision.reason}): {decision.message.removesuffix('.')}{until}")
        return WAITS
    except NotAdmitted as no:
        notices.say(f"not started ({no.reason or no.decision.state}): {no.decision.message or _ended(no)}")
        return WAITS if no.reason in COME_AGAIN else NEVER
    except Refused as refused:
        notices.say(f"the service refuses this ({refused.status}): {refused}")
        return 2
    except Unavailable as away:
        return _without_service(client, order, ticket, notices, away)
    notices.begins(lease.id)
    return lease


def _ended(no: NotAdmitted) -> str:
    return f"a ticket with this key has ended ({no.decision.answer.get('outcome', 'closed')}): choose another --key"


def _without_service(
    client: Client, order: Order, ticket: Mapping[str, object], notices: Notices, away: Unavailable
) -> Lease | int:
    if order.fail == "closed":
        notices.say(f"not started, the service is away: {away}. Start it, or let work go on with --fail open")
        return UNAVAILABLE
    notices.say(f"the service is away ({away}): the command runs without a lease, its usage is told later")
    labels = {**order.labels, **({"model": str(ticket["model"])} if "model" in ticket else {})}
    return Lease(client.transport, client.spool, {"key": order.key}, ttl=order.ttl, labels=labels)


class LeasedRun:
    """A command under its lease."""

    def __init__(
        self,
        order: Order,
        lease: Lease,
        client: Client,
        notices: Notices,
        program: str,
        command: list[str],
        session: str,
        resumed: str,
        environ: Mapping[str, str],
    ) -> None:
        self._order, self._lease, self._client, self._notices = order, lease, client, notices
        self._program, self._command = program, command
        self._sessions = Sessions(state_folder() / "sessions", environ)
        self._beginnings = Beginnings(self._sessions, command, resumed)
        self._meter = UsageMeter(commands.model_of(command), session=session)
        self._said = Said(str(order.labels.get("account", "")))
        self._lines = RecordReader(self._take)
        self._folder = RunFolder(_folder(environ))
        self._environ = self._environment(environ, resumed)
        self._settlement = Settlement(
            order, lease, client, notices, self._sessions, self._meter, self._beginnings, self._said
        )
        self._reads = order.read == "yes" or (
            order.read == "auto" and (not sys.stdout.isatty() or commands.is_for_programs(command))
        )
        self._child: Child | None = None

    def settled(self) -> int:
        """Run the command, settle, and return the exit status."""
        status, outcome = 1, "failed"
        limits = frozenset((self._lease.decision.answer.get("lease") or {}).get("reserved") or ())
        outlook = WallWatch(
            self._client.transport, limits, self._folder, self._order.thresholds, self._notices.say
        )  # fmt: skip
        try:
            child = self._start()
            if child is None:
                return NOT_EXECUTABLE
            self._lease.on_stop(self._stop)
            self._lease.start()
            if self._order.warn:
                outlook.start()
            status = child.wait()
            self._lines.end()
            outcome = self._outcome(status)
        finally:
            outlook.end()
            self._settlement.settle(outcome)
            self._folder.delete()
        if outcome == "paused_quota":
            self._say_paused()
            return LIMIT_HIT
        return status

    def _start(self) -> Child | None:
        if self._order.warn and commands.agent_of(self._command) == "claude":
            self._command, problem = commands.with_settings(self._command, commands.hook_settings())
            if problem:
                self._notices.say(problem)
        read = self._read if self._reads else None
        try:
            self._child = Child(self._program, self._command, self._environ, read)
        except OSError as error:
            try:  # a script without its first line is run by the shell, as shells do
                script = ["/bin/sh", self._program, *self._command[1:]]
                self._child = Child("/bin/sh", script, self._environ, read) if error.errno == errno.ENOEXEC else None
            except OSError:
                self._child = None
            if self._child is None:
                self._notices.say(f"{self._program} cannot be run: {error.strerror}")
        return self._child

    def _environment(self, environ: Mapping[str, str], session: str) -> dict[str, str]:
        """The environment of the command: what it may want to know, and no key to the service."""
        decision, lease = self._lease.decision, self._lease
        told = {
            "QUOTA_URL": self._client.transport.url,
            "QUOTA_LEASE": lease.id,
            "QUOTA_TICKET": lease.ticket,
            "QUOTA_KEY": self._order.key,
            "QUOTA_OPTIMIZATION_LEVEL": decision.optimization_level,
            "QUOTA_ADVISED_MODEL": decision.model or "",
            "QUOTA_SESSION": session,
            "QUOTA_RUN_FOLDER": str(self._folder.path),
            "QUOTA_STOP_FILE": str(self._folder.path / STOP),
        }
        if self._order.warn:
            import json

            told[commands.SETTINGS] = json.dumps(commands.hook_settings())
        return {name: value for name, value in environ.items() if name not in SECRETS} | told

    # What it prints

    def _read(self, part: bytes) -> None:
        try:
            self._lines.feed(part)
            self._lease.session = self._lease.session or self._meter.session
            self._lease.used_in_all(self._meter.usage(self._beginnings.of))
        except Exception as error:  # whatever stands in the output: it was passed on, and so is what comes
            self._notices.say(f"the output cannot be read further ({type(error).__name__}): its transcript counts")
            self._lines = RecordReader(lambda _record: None)

    def _take(self, record: Record) -> None:
        self._meter.take(record)
        self._said.take(record)

    # Its end

    def _stop(self) -> None:
        """The quota is spent or the lease gone: let the step finish, and after the grace end the command."""
        child, grace = self._child, self._order.grace
        why = f"the lease is gone ({self._lease.lost})" if self._lease.lost else "the quota of this run has ended"
        self._folder.stop(f"{why}: finish this step, write down where you are, and stop.")
        self._notices.say(f"{why}: the command may finish its step, SIGTERM follows in {grace:.0f} s")
        threading.Thread(target=self._end_after, args=(child, grace), daemon=True).start()

    def _end_after(self, child: Child | None, grace: float) -> None:
        if child is None or child.has_ended(grace):
            return
        child.stopped_by_us = True
        child.end(signal.SIGTERM)
        if not child.has_ended(LAST_SECONDS):
            child.end(signal.SIGKILL)

    def _outcome(self, status: int) -> str:
        assert self._child is not None
        was_told = self._lease.should_stop and (self._folder.asked_to_stop or status == LIMIT_HIT)
        if self._said.limit_hit or self._child.stopped_by_us or was_told:
            return "paused_quota"
        return "completed" if status == 0 and not self._meter.ended_in_error else "failed"

    def _say_paused(self) -> None:
        why = self._said.limit_hit or self._lease.lost or "the quota of this run has ended"
        session = self._meter.session
        again = f"; go on with: quota-scheduler run --resume {session} …" if session else ""
        self._notices.say(f"paused ({why}){again}")


def _folder(environ: Mapping[str, str]) -> Path:
    """A new folder that is nobody else's; the library for that takes longer to load than all else does to run."""
    path = Path(environ.get("TMPDIR") or "/tmp") / f"quota-run-{os.urandom(12).hex()}"
    path.mkdir(mode=0o700)
    return path


def default_url(listen: str, environ: Mapping[str, str]) -> str:
    """Where the service is: QUOTA_URL, else where the configuration says that it listens."""
    if not listen and environ.get("QUOTA_URL"):
        return environ["QUOTA_URL"]
    from quota_scheduler.aside.address import ServiceAddress

    there = ServiceAddress(listen, environ)
    host = f"[{there.host}]" if ":" in there.host else there.host
    return f"{'https' if there.secure else 'http'}://{host}:{there.port}"
