"""What the tools do, with the client, whoever calls them: answers are texts, troubles sentences.

Leases live as long as the connection: each renews itself, and ``close`` releases what is still open. Who dies without a
word is not heard of any more, and its leases end by themselves.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from quota_scheduler.client import Client, Decision, NotAdmitted, QuotaError, Refused, StillWaiting, Unavailable
from quota_scheduler.client.answers import KINDS
from quota_scheduler.client.lease import Lease
from quota_scheduler.tools.wording import advice_text, decision_text, forecast_text, shortened, status_text

T = TypeVar("T")
LONGEST_WAIT = 45.0
"""Seconds a tool may wait for a turn: clients give up on a call after a minute or two."""


class ToolTrouble(Exception):
    """A tool could not do what was asked; the text says why and what to do."""


class ToolDesk:
    """The tools of one connection."""

    def __init__(self, client: Client, labels: Mapping[str, str]) -> None:
        """``labels`` are those of everything that is asked here, where a call names no other."""
        self._client, self._labels = client, dict(labels)
        self._leases: dict[str, Lease] = {}
        self._mutex, self._closing = threading.Lock(), threading.Event()

    def status(self) -> str:
        """What is left of every limit."""
        rows = self._asked(lambda: self._client.transport.ask("GET", "/v1/limits"))["limits"]
        return status_text(rows)

    def forecast(self, limit: str = "") -> str:
        """Where a limit ends."""
        rows = self._asked(lambda: self._client.transport.ask("GET", "/v1/limits"))["limits"]
        text = forecast_text(rows, limit)
        if text is None:
            names = ", ".join(sorted({row["limit"] for row in rows if row.get("forecast")})[:10]) or "none yet"
            raise ToolTrouble(f"There is no forecast of {limit or 'any limit'}; there are: {names}.")
        return text

    def preflight(self, tokens: int, **labels: str) -> str:
        """Whether so much would fit now."""
        _check(tokens)
        return decision_text(
            self._asked(lambda: self._client.preflight(tokens=tokens, **self._with(labels))), tokens=tokens
        )

    def lease(self, tokens: int, *, wait_seconds: float = 0.0, **labels: str) -> str:
        """The right to use so much, for as long as the connection lasts, or why not."""
        _check(tokens)
        wait = min(LONGEST_WAIT, max(0.0, wait_seconds))

        def ask() -> Lease | Decision:
            try:
                return self._client.lease(tokens=tokens, wait=wait, stop=self._closing, **self._with(labels))
            except StillWaiting as no:  # asked once more, beside the line: then it says what would fit
                decision = self._client.preflight(tokens=tokens, **self._with(labels))
                return no.decision if decision.fits else decision
            except NotAdmitted as no:
                return no.decision

        lease = self._asked(ask)
        if not isinstance(lease, Lease):
            return f"No lease. {decision_text(lease, tokens=tokens)}"
        if not self._keep(lease):
            raise ToolTrouble("The connection is ending: no lease was taken.")
        return shortened([
            f"Lease {lease.id}: {tokens:,} tokens are reserved for you. When you are done, call release with what was "
            "used; it is released by itself when you disconnect.",
            advice_text(lease.decision),
        ])  # fmt: skip

    def renew(self, lease: str, usage: Mapping[str, Mapping[str, float]]) -> str:
        """Tell what a lease has used so far, by model and kind, and hear whether to go on."""
        held = self._held(lease)
        if usage:
            held.used_in_all(_checked(usage))
        if held.should_stop:
            return (
                f"Lease {lease}: stop at your next safe point and release it; its quota is spent or it was taken away."
            )
        return f"Lease {lease}: go on; {held.tokens:,} tokens told so far. It is renewed by itself."

    def release(self, lease: str, usage: Mapping[str, Mapping[str, float]], status: str = "completed") -> str:
        """Settle a lease: what was used counts, the rest of the reservation goes back."""
        held = self._held(lease)
        if usage:
            held.used_in_all(_checked(usage))
        with self._mutex:
            self._leases.pop(lease, None)
        held.release(status)
        return f"Lease {lease} is released: {held.tokens:,} tokens counted, the rest is free again."

    def close(self) -> None:
        """Release every lease that is open, and take no more."""
        self._closing.set()
        with self._mutex:
            held, self._leases = list(self._leases.values()), {}
        for lease in held:
            lease.release("failed")

    def _keep(self, lease: Lease) -> bool:
        """Hold a lease for the connection; False, and released, where that has ended meanwhile."""
        with self._mutex:
            ending = self._closing.is_set()
            if not ending:
                self._leases[lease.id] = lease
        if ending:
            lease.release("failed")
        else:
            lease.start()
        return not ending

    def _held(self, name: str) -> Lease:
        with self._mutex:
            lease = self._leases.get(name)
            names = ", ".join(sorted(self._leases)) or "none"
        if lease is None:
            raise ToolTrouble(f"There is no lease {name!r} of this connection; open are: {names}.")
        return lease

    def _with(self, labels: Mapping[str, str]) -> dict[str, Any]:
        return {**self._labels, **{name: value for name, value in labels.items() if value}}

    def _asked(self, ask: Callable[[], T]) -> T:
        """An answer of the service. Raises ToolTrouble with a sentence."""
        try:
            return ask()
        except Unavailable as error:
            raise ToolTrouble(
                f"The quota service does not answer ({error}). That says nothing about the quota: "
                "keep the work small, or ask again later."
            ) from None
        except Refused as error:
            raise ToolTrouble(f"The quota service refuses this: {error}") from None
        except (QuotaError, ValueError) as error:
            raise ToolTrouble(str(error)) from None


def _check(tokens: int) -> None:
    if tokens <= 0:
        raise ToolTrouble("tokens must be more than 0: say how many you expect to use, such as 200000.")


def _checked(usage: Mapping[str, Mapping[str, float]]) -> Mapping[str, Mapping[str, float]]:
    """Usage by model and kind as the client takes it. Raises ToolTrouble."""
    for model, kinds in usage.items():
        for kind, tokens in kinds.items():
            if kind not in KINDS or tokens < 0:
                raise ToolTrouble(f"{kind}={tokens} of {model}: kinds are {', '.join(KINDS)}, in tokens from 0.")
    return usage
