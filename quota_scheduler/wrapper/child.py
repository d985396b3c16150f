"""The command as a process: its output passes through byte for byte, signals reach it, and its end is known.

    terminal ──^C, ^Z, size──► both (one group; the kernel sends them)      kill PID ──► us ──► it
    its stdout ──pipe──► ours, unchanged        only where it must be read; on a terminal it keeps the terminal
    our death ──► SIGTERM to it (Linux)         nothing runs on that nobody pays for

The main thread waits for signals and for the child, nothing else; so no signal is lost between two system calls.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

FORWARDED = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT,
    signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
FROM_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH, signal.SIGHUP})
WATCHED = frozenset({*FORWARDED, signal.SIGCHLD})
QUIET_SECONDS = 0.5
"""What the command left behind may write for so long after its end; then its pipe is closed."""
PART = 65_536
SET_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of ``linux/prctl.h``."""


class Child:
    """A command that was started. ``read`` gets its output where that is read."""

    def __init__(
        self, program: str, command: Sequence[str], environ: Mapping[str, str], read: Callable[[bytes], None] | None
    ) -> None:
        self.stopped_by_us = False
        sys.stdout.flush()
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        prepare = _preparation(self._mask)
        try:
            self._process = subprocess.Popen(
                command, executable=program, env=dict(environ), stdout=None if read is None else subprocess.PIPE,
                preexec_fn=prepare,  # nothing else runs yet: no thread can hold a lock that it needs
            )  # fmt: skip
        except OSError:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            raise
        self.pid = self._process.pid
        self._ended = threading.Event()
        self._pump = None if read is None else threading.Thread(target=self._pass_on, args=(read,), daemon=True)

    def wait(self) -> int:
        """Its exit status, 128 and the signal's number where one ended it; signals are passed on meanwhile."""
        if self._pump:
            self._pump.start()
        status = self._status()
        while status is None:
            self._hear()
            status = self._status()
        self._ended.set()
        if self._pump:
            self._pump.join()
        return status

    def end(self, number: int) -> None:
        """Send it a signal; nothing where it has ended."""
        if not self._ended.is_set():
            with contextlib.suppress(OSError):
                os.kill(self.pid, number)

    def has_ended(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""
        return self._ended.wait(seconds)

    def _hear(self) -> None:
        """Wait for one signal, and pass it on unless the kernel has sent it to both of us."""
        said = signal.sigwaitinfo(WATCHED)
        number = said.si_signo
        if number == signal.SIGCHLD:
            return
        by_kernel = said.si_code > 0
        if not (by_kernel and number in FROM_TERMINAL):
            self.end(number)
        elif number == signal.SIGHUP:
            self.end(number)  # a terminal that went away tells its session's leader alone

    def _status(self) -> int | None:
        """How it ended, if it did; a child that was stopped stops us too, so that the shell sees it."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return 1
        if pid == 0:
            return None
        if os.WIFSTOPPED(status):
            os.kill(os.getpid(), signal.SIGSTOP)
            self.end(signal.SIGCONT)
            return None
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        return code if code >= 0 else 128 - code

    def _pass_on(self, read: Callable[[bytes], None]) -> None:
        assert self._process.stdout is not None
        source, out = self._process.stdout.fileno(), sys.stdout.fileno()
        while part := self._some(source):
            try:
                _write(out, part)
            except OSError:
                break  # nobody reads us: closing the pipe tells the command so
            read(part)
        self._process.stdout.close()

    def _some(self, source: int) -> bytes:
        """The next part of its output; nothing at its end, or when it has ended and what it left behind is quiet."""
        import select

        while True:
            ready, _, _ = select.select([source], [], [], QUIET_SECONDS)
            if ready:
                return os.read(source, PART)
            if self._ended.is_set():
                return b""


def _write(out: int, part: bytes) -> None:
    view = memoryview(part)
    while view:
        view = view[os.write(out, view) :]


def _preparation(mask: set[signal.Signals | int] | set[signal.Signals]) -> Callable[[], None]:
    """What the new process does before it becomes the command."""
    prctl = None
    if sys.platform == "linux":
        import ctypes

        prctl = ctypes.CDLL(None).prctl
    ours = os.getpid()

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if prctl is not None:
            prctl(SET_DEATH_SIGNAL, int(signal.SIGTERM))
            if os.getppid() != ours:
                os.kill(os.getpid(), signal.SIGTERM)

    return prepare
