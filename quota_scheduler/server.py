"""Serving HTTP: the socket, signals, and an orderly end."""

import asyncio
import contextlib
import ctypes
import logging
import resource
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from quota_scheduler import api
from quota_scheduler.config import Listen, Tls
from quota_scheduler.errors import StartError
from quota_scheduler.half_requests import HalfRequests, Patience
from quota_scheduler.short_way import ShortWay, protocol_of
from quota_scheduler.supervisor import Supervisor

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade
    from quota_scheduler.runtime import Service

log = logging.getLogger(__name__)
DRAIN_SECONDS = 1.0
"""For so long after a signal new work is answered 503 + Retry-After, before the socket closes: runners learn why."""
M_ARENA_MAX, HEAPS = -8, 2
"""The knob of ``mallopt(3)`` of the GNU C library, and how far it is turned."""
SWITCH_SECONDS = 0.0005
"""How long Python lets a thread go on that another waits for. A request needs its turn four times (read, decided,
stored, answered), and with the usual 5 ms it may wait so long each time while a tick or an import computes."""
PATIENCE = Patience()
END_SECONDS = 10
"""Answers under way may take this long to finish."""


def listen(where: Listen) -> socket.socket:
    """A listening socket. Raises StartError when the port is taken or the address is not ours."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((where.host, where.port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise StartError(
            f"cannot listen on {where}: {error.strerror}; stop what listens there, or choose another with --listen"
        ) from None
    return listening


def allow_connections() -> None:
    """Allow as many open connections as the system lets us: each parked request is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # some systems name a limit that they do not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def share_heaps() -> None:
    """Let threads share two heaps: with one each, what a tick leaves free in its own is of no use to the others.

    A tenth of resident memory (measured); call it before there are threads. Other C libraries have no such knob.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, HEAPS)


class Server(uvicorn.Server):
    """Uvicorn that drains before it closes."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: "Service",
        reload: Callable[[], None],
        half_requests: HalfRequests,
        short_way: ShortWay,
        answers: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._answers = answers
        self._service, self._read_again = service, reload
        self._half_requests, self._short_way = half_requests, short_way
        self._loop: asyncio.AbstractEventLoop | None = None
        self._supervisor = Supervisor()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Attach what wakes parked requests to this loop."""
        self._loop = asyncio.get_running_loop()
        self._service.waiters.attach(self._loop)
        if threading.current_thread() is threading.main_thread():
            self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        await super().startup(sockets)
        self._supervisor.ready()
        self._answers()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: look for half requests, for what takes too long, and whether to end."""
        now = asyncio.get_running_loop().time()
        self._half_requests.sweep(now)
        self._short_way.sweep(now)
        self._supervisor.alive(now)
        return await super().on_tick(counter)

    def _reload(self) -> None:
        """Read the configuration again, and the certificate, beside the requests under way."""
        threading.Thread(target=self._read_all_again, name="reload", daemon=True).start()

    def _read_all_again(self) -> None:
        self._read_again()
        context = self.config.ssl
        if context is None:
            return
        tls = self._service.config.tls
        try:
            read_certificate(tls)  # a pair that does not fit is noticed before the one that serves is touched
            read_certificate(tls, context)
        except StartError as error:
            log.error("tls.rejected problem=%s", error)
        else:
            log.info("tls.reloaded")

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """First signal: drain, then close. Second: close at once.

        Unlike the base class it does not raise the signal once more at the end, so that what comes after serving, the
        orderly stop, takes place and the process ends with 0.
        """
        if self._service.draining or self._loop is None:
            self._close(at_once=self._service.draining)
            return
        log.info("service.draining signal=%d", sig)
        self._supervisor.stopping()
        self._service.drain()
        self._loop.call_soon_threadsafe(self._close_later)

    def _close_later(self) -> None:
        asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._close)

    def _close(self, *, at_once: bool = False) -> None:
        self.should_exit = True
        self.force_exit = self.force_exit or at_once


def server(
    service: "Service",
    facade: "Facade",
    *,
    reload: Callable[[], None],
    answers: Callable[[], None] = lambda: None,
    patience: Patience = PATIENCE,
) -> Server:
    """The server of one service; at SIGHUP it calls ``reload`` in a thread of its own, and ``answers`` once it does."""
    half_requests, short_way = HalfRequests(patience), ShortWay(api.desks(facade), api.ANSWER_SECONDS)
    proxies, tls = service.config.trusted_proxies, service.config.tls
    config = uvicorn.Config(
        api.build(facade),
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        http=protocol_of(half_requests, short_way),
        ws="none",  # there is none here, and looking for one loads a library
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=END_SECONDS,
        timeout_keep_alive=75,
        server_header=False,
    )
    read_certificate(service.config.tls)  # said in a sentence, before anything listens
    return Server(config, service, reload, half_requests, short_way, answers)


def read_certificate(tls: Tls | None, into: ssl.SSLContext | None = None) -> None:
    """Read a certificate and its key, ``into`` what serves with them from the next connection on. Raises StartError."""
    if tls is None:
        return
    try:
        (into or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)).load_cert_chain(tls.certificate, tls.key, _no_passphrase)
    except (OSError, ValueError) as error:
        raise StartError(
            f"tls: {tls.certificate} with {tls.key} cannot be served: {getattr(error, 'strerror', '') or error}; "
            "name the files of a certificate and its own key, without a passphrase (PEM)"
        ) from None


def _no_passphrase() -> str:
    """Asked for by a key that has one: nobody is there to type it."""
    raise ValueError("the key has a passphrase")


def serve(service: "Service", facade: "Facade", where: socket.socket, *, reload: Callable[[], None]) -> None:
    """Serve until a signal to end comes; what runs by itself begins once requests are answered."""
    allow_connections()
    sys.setswitchinterval(SWITCH_SECONDS)
    server(service, facade, reload=reload, answers=partial(service.begin_tasks, api.warm)).run(sockets=[where])
