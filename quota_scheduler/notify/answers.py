"""What a receiver answered over HTTP, and what it means: Apprise keeps neither a header nor the text of an answer.

All of its services send with ``requests``, each in its own way, so the one place that every answer passes is the
adapter of that library. ``listen`` lets answers be noted there for the call under way; nothing else is changed.
"""

import re
import threading
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeGuard

from msgspec import Struct

from quota_scheduler.core.alerts.message import Delivery, DeliveryOutcome, one_line

if TYPE_CHECKING:
    from requests import Response

RATE_LIMITED = 429
RATE_LIMIT_WAIT = timedelta(minutes=2)
"""Least wait after a 429 that does not say how long."""
LONGEST_ASKED = timedelta(hours=1)
"""A receiver may ask for no longer a wait: a date in a far year would be the end of its messages."""
LONGEST_TEXT = 200
"""Characters of an answer that are repeated to people."""
_TOKEN = re.compile(r"(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}")
"""What looks like a token, though the address does not hold it: services answer with ids and keys of their own."""
_ASKED_SECONDS = re.compile(r'"retry_after"\s*:\s*(\d{1,9}(?:\.\d+)?)')
"""Where Telegram and Discord say in the text how long to wait."""
_TAG = re.compile(r"<(?:style|script).*?</(?:style|script)>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_HEARD: "ContextVar[list[Response | Exception] | None]" = ContextVar("heard", default=None)
_LISTENING = threading.Lock()


def listen() -> None:
    """Let answers be noted; calling it again changes nothing."""
    from requests.adapters import HTTPAdapter

    with _LISTENING:
        send = HTTPAdapter.send
        if getattr(send, "notes_answers", False):
            return

        @wraps(send)
        def noting(*args: Any, **kwargs: Any) -> "Response":
            heard = _HEARD.get()
            try:
                response = send(*args, **kwargs)
            except Exception as error:
                if heard is not None:
                    heard.append(error)
                raise
            if heard is not None:
                heard.append(response)
            return response

        noting.notes_answers = True  # type: ignore[attr-defined]
        HTTPAdapter.send = noting  # type: ignore[method-assign]


def note_answers() -> "list[Response | Exception]":
    """A list that every answer to this thread's requests is put into from now on."""
    heard: list[Response | Exception] = []
    _HEARD.set(heard)
    return heard


class Judge(Struct, frozen=True):
    """Says what the result of a call means. ``name`` is the service's, ``secrets`` are blotted out of what it said."""

    name: str
    secrets: Sequence[str]

    def delivery(self, accepted: bool, heard: "Sequence[Response | Exception]") -> Delivery:
        """What became of a call that has ended."""
        if redirect := next((answer for answer in heard if is_redirect(answer)), None):
            return self._redirected(redirect)
        last = heard[-1] if heard else None
        if accepted:
            said = "" if last is None or isinstance(last, Exception) else f": {self._answer(last)}"
            return Delivery(DeliveryOutcome.DELIVERED, f"{self.name}{said}")
        if last is None:
            return Delivery(DeliveryOutcome.RETRY, f"{self.name}: cannot connect, or no valid answer", "error")
        return self._broken(last) if isinstance(last, Exception) else self._refused(last)

    def unanswered(self, seconds: float, heard: "Sequence[Response | Exception]") -> Delivery:
        """What is known of a call that has not ended in time. A text that does not end is not waited for."""
        last = heard[-1] if heard else None
        if last is None or isinstance(last, Exception):
            return Delivery(DeliveryOutcome.RETRY, f"{self.name}: no answer in {seconds:g} s", "timeout")
        said = f"{self.name}: HTTP {last.status_code}, and a text that did not end in {seconds:g} s"
        if 200 <= last.status_code < 300:
            return Delivery(DeliveryOutcome.DELIVERED, said)
        return Delivery(DeliveryOutcome.RETRY, said, "timeout", asked_wait(last, text=""))

    def _redirected(self, answer: "Response") -> Delivery:
        where = self._blot(one_line(answer.headers.get("Location", "")))[:LONGEST_TEXT] or "nowhere"
        said = f"HTTP {answer.status_code}, the address answers with a redirect to {where}: use that address"
        return Delivery(DeliveryOutcome.RETRY, f"{self.name}: {said}", "rejected")

    def _refused(self, answer: "Response") -> Delivery:
        asked = asked_wait(answer, text_of(answer))
        status = answer.status_code
        detail = f"{self.name}: {self._answer(answer)}"
        if 200 <= status < 300:
            detail = f"{self.name}: not what it answers to a message it takes: {self._answer(answer)}"
        if asked:
            detail += f" (asked to wait {asked.total_seconds():.0f} s)"
        reason = "rejected" if 400 <= status < 500 else "error"
        return Delivery(DeliveryOutcome.RETRY, detail, reason, asked)

    def _broken(self, error: Exception) -> Delivery:
        from requests import exceptions

        if isinstance(error, exceptions.ReadTimeout):
            return Delivery(DeliveryOutcome.RETRY, f"{self.name}: connected, and no answer in time", "timeout")
        if isinstance(error, exceptions.SSLError):
            return Delivery(DeliveryOutcome.RETRY, f"{self.name}: its certificate is not accepted", "error")
        if isinstance(error, exceptions.ConnectTimeout):
            return Delivery(DeliveryOutcome.RETRY, f"{self.name}: no connection in time", "timeout")
        return Delivery(DeliveryOutcome.RETRY, f"{self.name}: cannot connect, or no valid answer", "error")

    def _answer(self, answer: "Response") -> str:
        """Status and the beginning of the text, on one line."""
        said = " ".join(one_line(_TAG.sub(" ", text_of(answer))).split())
        blotted = self._blot(said)[:LONGEST_TEXT]
        return f"HTTP {answer.status_code}" + (f": {blotted}" if blotted else "")

    def _blot(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "…")
        return _TOKEN.sub("…", text)


def is_redirect(answer: "Response | Exception") -> TypeGuard["Response"]:
    """Whether an answer sends the message elsewhere."""
    return not isinstance(answer, Exception) and answer.status_code in {301, 302, 303, 307, 308}


def text_of(answer: "Response") -> str:
    """The beginning of an answer's text; for a call that has ended, so that nothing is waited for."""
    try:
        return answer.content[:4096].decode(errors="replace")
    except Exception:  # a text that was cut off says nothing
        return ""


def asked_wait(answer: "Response", text: str) -> timedelta:
    """How long a receiver asks to be left alone: its ``Retry-After``, else what its text says; zero for no wish."""
    given = answer.headers.get("Retry-After", "").strip()
    seconds: float | None = None
    if given.isdecimal() and len(given) < 10:
        seconds = float(given)
    elif given:
        seconds = _until(given, answer.headers.get("Date", ""))
    elif said := _ASKED_SECONDS.search(text):
        seconds = float(said[1])
    if seconds is None:
        return RATE_LIMIT_WAIT if answer.status_code == RATE_LIMITED else timedelta(0)
    return min(timedelta(seconds=max(0.0, seconds)), LONGEST_ASKED)


def _until(given: str, date: str) -> float | None:
    """Seconds from the receiver's own ``Date`` to an instant: its clock and ours need not agree."""
    try:
        return (parsedate_to_datetime(given) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):
        return None
