"""Where both verbs begin: their options, what stands on standard input, and the teller who goes on in the background.

    agent ──JSON──► verb ──► the line, at once
                     └─ fork, new session ──► teller: parses, sends, keeps what could not be sent

Nothing here imports more than it needs, not even for types: an agent draws its screen when this process has ended, and
``typing`` and ``collections`` alone take as long as all the rest.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MOST_BYTES = 4 * 1024 * 1024
"""More than this no agent hands over; what is longer is passed on and not read."""
NICE = 10
"""A teller steps back behind whatever draws the screen."""
TELLER_SECONDS = 5
"""A teller that has not ended by then is ended by its own alarm."""


class Options:
    """What stands on the command line of such a verb. ``command`` draws the line, ``then`` does so in a shell."""

    def __init__(self, account: str = "", listen: str = "", then: str = "", command: tuple[str, ...] = ()) -> None:
        self.account, self.listen, self.then, self.command = account, listen, then, command


def options_of(arguments: Sequence[str]) -> Options | None:
    """The options of a verb; None for any that are not simple, which the whole command line explains."""
    given = {"account": "", "listen": "", "then": ""}
    rest = list(arguments)
    while rest:
        name = rest.pop(0)
        if name == "--":
            if not rest or given["then"]:
                return None
            return Options(given["account"], given["listen"], "", tuple(rest))
        key, equals, value = name.removeprefix("--").partition("=")
        if not name.startswith("--") or key not in given or (not equals and not rest):
            return None
        given[key] = value if equals else rest.pop(0)
    return Options(given["account"], given["listen"], given["then"])


def standard_input() -> bytes:
    """All that stands on standard input; nothing from a terminal, where nobody would end it."""
    if os.isatty(0):
        return b""
    parts: list[bytes] = []
    while part := os.read(0, 65536):
        parts.append(part)
    return b"".join(parts)


def in_background(work: Callable[[], None], *, we_stay: bool) -> None:
    """Run work in a process that nobody waits for, that holds nobody's output open, steps back, and ends in time.

    ``we_stay`` says that this process goes on as another program, which must not find a child that it never had.
    """
    if child := os.fork():
        if we_stay:
            os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if we_stay and os.fork():
            os._exit(0)
        os.nice(NICE)
        _end_in_time()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        work()
    finally:
        os._exit(0)


def _end_in_time() -> None:
    import signal

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(TELLER_SECONDS)


def state_folder(environ: Mapping[str, str]) -> str:
    """``$XDG_STATE_HOME/quota-scheduler``, where what could not be sent is kept."""
    named = environ.get("XDG_STATE_HOME", "")
    base = named if named.startswith("/") else os.path.join(environ.get("HOME", "/"), ".local/state")
    return os.path.join(base, "quota-scheduler")
