"""Asking other servers over HTTP: one request, one answer, nothing retried behind anybody's back."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from urllib.parse import urlsplit

from msgspec import Struct

from quota_scheduler.errors import QuotaSchedulerError

CONNECT_SECONDS = 5.0
MOST_BYTES = 64 << 20
"""An answer larger than this is none that anybody here asked for."""


NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class NoAnswer(QuotaSchedulerError):
    """Nothing answered, or no whole answer came in time; the text says where and why."""

    code = "no_answer"


class HttpAnswer(Struct, frozen=True):
    """What a server said; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def retry_after(self, *, now: float) -> float | None:
        """Seconds it asks to be left alone, given as seconds or as a date; None where it does not say."""
        text = self.headers.get("retry-after", "").strip()
        try:
            return max(0.0, float(text))
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - now)
        except (TypeError, ValueError, OverflowError):
            return None


class OtherServer:
    """One server. A redirect is an answer like others: where our token goes is not for it to say."""

    def __init__(self, base: str, *, headers: Mapping[str, str], seconds: float) -> None:
        """``base`` is where paths begin, ``headers`` go with each request. Raises ValueError for no address."""
        parts = urlsplit(base)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{base!r} is no address: write http://host:port or https://host")
        self.base, self._headers = base.rstrip("/"), dict(headers)
        import urllib3  # most services ask no other server

        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, seconds), read=seconds), retries=False, maxsize=2
        )

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, headers: Mapping[str, str] = NO_HEADERS
    ) -> HttpAnswer:
        """Ask once, with further ``headers`` of this request. Raises NoAnswer."""
        from urllib3.exceptions import HTTPError

        typed = {"Content-Type": "application/json"} if body is not None else {}
        headers = {**self._headers, **headers, **typed}
        try:
            answer = self._pool.request(
                method, f"{self.base}{path}", body=body, headers=headers, redirect=False, preload_content=False
            )
            try:
                content = answer.read(MOST_BYTES + 1, decode_content=True)
            finally:
                answer.release_conn()
        except HTTPError as error:
            raise NoAnswer(f"nothing answers at {self.base} ({_why(error)})") from None
        if len(content) > MOST_BYTES:
            raise NoAnswer(f"the answer of {self.base}{path} is larger than {MOST_BYTES >> 20} MB")
        return HttpAnswer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, content)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()


def _why(error: Exception) -> str:
    """The innermost reason: what the libraries wrap around it is of no use to people."""
    reason: BaseException = error
    while (inner := getattr(reason, "reason", None) or reason.__cause__) and isinstance(inner, BaseException):
        reason = inner
    return str(reason).rpartition(": ")[2] or type(reason).__name__
