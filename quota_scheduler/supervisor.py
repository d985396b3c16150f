"""What systemd is told: that the service is ready, that it still works, that it ends. Datagrams, no library.

The protocol is ``sd_notify(3)``: one datagram of ``NAME=VALUE`` to the socket that ``NOTIFY_SOCKET`` names.
"""

import os
import socket
from collections.abc import Mapping


class Supervisor:
    """Whoever started the process and wants to know how it is; nobody, where the environment names none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """``WATCHDOG_USEC`` is how many microseconds of silence are taken for a hang, ``WATCHDOG_PID`` whose."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        is_ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._every = int(microseconds) / 2e6 if self._address and is_ours and microseconds.isdecimal() else 0.0
        self._next = 0.0

    def ready(self) -> None:
        """Requests are taken."""
        self._say("READY=1")

    def stopping(self) -> None:
        """New work is refused from now on."""
        self._say("STOPPING=1")

    def alive(self, seconds: float) -> None:
        """Called often with a monotonic time: twice as often as is asked for, it says that the loop goes round."""
        if self._every and seconds >= self._next:
            self._next = seconds + self._every
            self._say("WATCHDOG=1")

    def _say(self, text: str) -> None:
        """Send one datagram; a supervisor that is gone, or does not read, is no reason to fail or to wait."""
        if not self._address:
            return
        name = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.setblocking(False)
                to.sendto(text.encode(), name)
        except OSError:
            pass
