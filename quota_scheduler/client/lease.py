"""A running lease: it renews itself in the background, adds usage up, and settles on every way out."""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from quota_scheduler.client.answers import KINDS, Decision, decision_in, instant_in
from quota_scheduler.client.errors import LeaseLost, Refused, Unavailable
from quota_scheduler.client.spool import Spool
from quota_scheduler.client.transport import WHO, Transport

SHARE_WORTH_TELLING = 0.05
"""Usage is told when it grew by this share of what was reserved."""
RELEASE_PATIENCE = 20.0
"""Seconds a release is tried; then it is kept in the spool, and the lease ends by itself."""


class Lease:
    """The right to run, of one ticket; use it in a ``with`` block.

    ``granted`` is False for a run that was let through because the service was away (``fail="open"``): its usage is
    told later. ``should_stop`` asks the run to end at its next safe point.
    """

    def __init__(
        self, transport: Transport, spool: Spool, answer: Mapping[str, Any], *, ttl: float, labels: Mapping[str, str]
    ) -> None:
        self.decision: Decision = decision_in(answer)
        lease = answer.get("lease") or {}
        self.id: str = str(lease.get("id") or "")
        self.ticket: str = str(answer.get("id") or "")
        self.key: str = str(answer.get("key") or "")
        self.expires_at: datetime | None = instant_in(lease.get("expires_at"))
        self.granted = bool(self.id)
        self.session = ""
        self._fence = lease.get("fence")
        self._reserved = max((amount for amount in (lease.get("reserved") or {}).values()), default=0.0)
        self._transport, self._spool, self._ttl, self._labels = transport, spool, ttl, dict(labels)
        self._usage: dict[str, dict[str, float]] = {}
        self._before: dict[str, dict[str, float]] = lease.get("reported") or {}
        self._told = 0.0
        self._lost = ""
        self._stop_asked = False
        self._mutex = threading.Lock()
        self._grew, self._over = threading.Event(), threading.Event()
        self._on_stop: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        state = f"until {self.expires_at:%Y-%m-%dT%H:%M:%SZ}" if self.expires_at else "without the service's word"
        return f"<Lease {self.id or self.key} {state}, {self.tokens} tokens so far>"

    # What the run tells and asks

    def used(self, model: str = "", *, cost_usd: float | None = None, requests: int = 1, **kinds: int) -> None:
        """Add usage: tokens by kind (input, cache_read, cache_write_5m, cache_write_1h, output) of one call.

        Raises ValueError for another kind or a negative number.
        """
        _check(kinds)
        with self._mutex:
            sums = self._usage.setdefault(model, {})
            for kind, tokens in kinds.items():
                sums[kind] = sums.get(kind, 0) + tokens
            sums["requests"] = sums.get("requests", 0) + requests
            if cost_usd is not None:
                sums["cost_usd"] = sums.get("cost_usd", 0) + cost_usd
        self._worth_telling()

    def used_in_all(self, usage: Mapping[str, Mapping[str, float]]) -> None:
        """Let this be everything that was used so far: by model, tokens by kind."""
        with self._mutex:
            self._usage = {model: dict(sums) for model, sums in usage.items()}
        self._worth_telling()

    @property
    def tokens(self) -> int:
        """Tokens told so far, all kinds and models."""
        with self._mutex:
            return int(sum(sums.get(kind, 0) for sums in self._usage.values() for kind in KINDS))

    @property
    def should_stop(self) -> bool:
        """Whether the run is to end at its next safe point: its quota is spent, or the lease is gone."""
        return self._stop_asked or bool(self._lost)

    @property
    def lost(self) -> str:
        """Why the lease is gone; empty while it is held."""
        return self._lost

    def check(self) -> None:
        """Raise LeaseLost where the lease is gone."""
        if self._lost:
            raise LeaseLost(self._lost)

    def on_stop(self, call: Callable[[], None]) -> None:
        """Have something called, once and in a background thread, when the run is to stop."""
        self._on_stop = call

    # Its life

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.release("completed" if kind is None else "failed")

    def start(self) -> None:
        """Begin to renew in the background; a ``with`` block does."""
        if self.granted and self._thread is None:
            self._thread = threading.Thread(target=self._beat, name=f"lease {self.id}", daemon=True)
            self._thread.start()

    def release(self, status: str = "completed", *, patience: float = RELEASE_PATIENCE) -> None:
        """Settle: what was used counts, the rest of the reservation goes back. Never raises; once is enough.

        ``status`` is ``completed``, ``failed`` or ``paused_quota``: the quota ended, and the same key may ask again.
        ``patience`` is for how many seconds it is tried; then it is kept in the spool.
        """
        if self._over.is_set():
            return
        self._over.set()
        self._grew.set()
        if self._thread is not None:
            self._thread.join(5)
        if not self.granted:
            self._tell_usage()
            return
        path, body = f"/v1/leases/{self.id}/release", self._report() | {"status": status}
        try:
            self._transport.ask("POST", path, body, patience=patience)
        except Unavailable:
            self._spool.put("POST", path, body)
        except Refused as refused:
            if refused.status in WHO:
                self._spool.put("POST", path, body)
            self._lost = self._lost or str(refused)  # it had ended; its total was recorded all the same

    def _tell_usage(self) -> None:
        """The usage of a run that nobody admitted: events, told now or later."""
        if not (events := self.events()):
            return
        try:
            self._transport.ask("POST", "/v1/usage", events, patience=1.0)
        except Unavailable:
            self._spool.put("POST", "/v1/usage", events)
        except Refused as refused:
            if refused.status in WHO:
                self._spool.put("POST", "/v1/usage", events)

    def events(self) -> list[dict[str, Any]]:
        """The usage so far as usage events, one a model, under keys that count once."""
        provider, now = self._labels.get("provider", ""), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        names = ("account", "team", "project", "workflow", "task_type", "agent")
        labels = {name: value for name, value in self._labels.items() if name in names and value}
        with self._mutex:
            usage = {model: _whole(sums) for model, sums in self._usage.items()}
        return [
            {"provider": provider, "key": f"client:{self.key}:{model}", "at": now, "labels": labels,
             "model": model or self._labels.get("model", ""), "run": self.key} | sums
            for model, sums in usage.items()
        ]  # fmt: skip

    # The heartbeat

    def _worth_telling(self) -> None:
        if self._reserved and self.tokens - self._told > SHARE_WORTH_TELLING * self._reserved:
            self._grew.set()

    def _beat(self) -> None:
        while not self._over.is_set():
            self._grew.wait(self._ttl / 3)
            self._grew.clear()
            if self._over.is_set() or self._lost:
                return
            try:
                answer = self._transport.ask(
                    "POST", f"/v1/leases/{self.id}/renew", self._report(), patience=self._ttl / 3, stop=self._over
                )
            except Unavailable:
                continue  # it holds until it expires; the next beat comes sooner than that
            except Refused as refused:
                if refused.status in WHO:
                    continue  # a token that is being changed; the lease holds until it expires
                self._lose(str(refused))
                return
            self._told = self.tokens
            self.expires_at = instant_in((answer.get("lease") or {}).get("expires_at")) or self.expires_at
            if answer.get("stop"):
                self._ask_to_stop()

    def _lose(self, why: str) -> None:
        self._lost = why
        self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        before, self._stop_asked = self._stop_asked, True
        if not before and self._on_stop is not None:
            self._on_stop()

    def _report(self) -> dict[str, Any]:
        with self._mutex:
            named = {model or self._labels.get("model", ""): _whole(sums) for model, sums in self._usage.items()}
        for model, sums in self._before.items():  # a runner that died held this lease: what it told is a part of it
            named[model] = _together(sums, named.get(model))
        report: dict[str, Any] = {"fence": self._fence, "ttl": f"{self._ttl:.0f}s"}
        if self.session:
            report["session"] = self.session
        if named:
            report["usage"] = named if all(named) else _added(named)
        return report


def _check(kinds: Mapping[str, int]) -> None:
    for kind, tokens in kinds.items():
        if kind not in KINDS:
            raise ValueError(f"there is no kind {kind!r} of tokens: kinds are {', '.join(KINDS)}")
        if tokens < 0:
            raise ValueError(f"{kind}={tokens} is negative")


def _whole(sums: Mapping[str, float]) -> dict[str, Any]:
    return {name: value if name == "cost_usd" else int(value) for name, value in sums.items()}


def _together(told: Mapping[str, float], more: Mapping[str, Any] | None) -> dict[str, Any]:
    """What was told and what came since; a cost only where both have one, else the service prices it all."""
    if not more:
        return _whole(told)
    both = {name: value for name, value in told.items() if name != "cost_usd" or name in more}
    return _added({"told": _whole(both), "since": {"requests": 1} | dict(more)})


def _added(named: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    sums: dict[str, Any] = {}
    for usage in named.values():
        for name, value in usage.items():
            sums[name] = sums.get(name, 0) + value
    return sums
