"""In whose name GitHub is asked: a token as it is, or an App that signs for a token of an hour.

key file ──RS256──▶ JWT of nine minutes ──POST access_tokens──▶ token of an hour
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from quota_scheduler.errors import QuotaSchedulerError
from quota_scheduler.outbound import HttpAnswer, OtherServer

log = logging.getLogger(__name__)
JWT_BACK, JWT_LENGTH = timedelta(seconds=60), timedelta(minutes=9)
"""GitHub takes ten minutes at most, and clocks differ."""
RENEW_BEFORE = timedelta(minutes=5)


class NoIdentity(QuotaSchedulerError):
    """Nobody in whose name could be asked; ``status`` is GitHub's answer, None where it was not asked."""

    code = "no_identity"

    def __init__(self, text: str, answer: HttpAnswer | None = None) -> None:
        super().__init__(text)
        self.answer = answer


class Identity(Protocol):
    """Who asks."""

    def headers(self) -> Mapping[str, str]:
        """What each request carries. Raises NoIdentity or NoAnswer."""

    def login(self) -> str:
        """The name under which GitHub shows what we write. Raises NoIdentity or NoAnswer."""

    def renew(self) -> None:
        """Ask for a new token where there is one to be had: the last was refused."""


class TokenIdentity:
    """The account of a token; ``named`` is its login where the token may not ask for it."""

    def __init__(self, server: OtherServer, token: str, named: str = "") -> None:
        self._server, self._token, self._login = server, token, named

    def headers(self) -> Mapping[str, str]:
        """The token."""
        return {"Authorization": f"Bearer {self._token}"}

    def login(self) -> str:
        """As GitHub says, asked once."""
        if not self._login:
            answer = self._server.ask("GET", "/user", headers=self.headers())
            self._login = _text(answer, "login")
            if not self._login:
                hint = "the token is refused" if answer.status == 401 else (
                    "set github.login, for the token of a workflow to github-actions[bot]"
                )  # fmt: skip
                raise NoIdentity(f"GET /user answers {answer.status}: {hint}", answer)
        return self._login

    def renew(self) -> None:
        """A token is what it is."""


class AppIdentity:
    """A GitHub App where it is installed."""

    def __init__(
        self, server: OtherServer, *, app: str, key_file: Path, installation: int, clock: Callable[[], datetime]
    ) -> None:
        self._server, self._app, self._key_file, self._installation = server, app, key_file, installation
        self._clock = clock
        self._token, self._until = "", datetime.min
        self._login = ""

    def headers(self) -> Mapping[str, str]:
        """The token of the installation; a new one where the last ends soon."""
        if not self._token or self._clock() >= self._until - RENEW_BEFORE:
            path = f"/app/installations/{self._installation}/access_tokens"
            answer = self._server.ask("POST", path, b"{}", headers=self._signed())
            token, ends = _text(answer, "token"), _text(answer, "expires_at")
            if answer.status != 201 or not token:
                raise NoIdentity(
                    f"{path} answers {answer.status}: look at github.app.id, its key and installation", answer
                )
            self._token, self._until = (
                token,
                datetime.fromisoformat(ends) if ends else self._clock() + timedelta(hours=1),
            )
        return {"Authorization": f"Bearer {self._token}"}

    def login(self) -> str:
        """The App's bot."""
        if not self._login:
            answer = self._server.ask("GET", "/app", headers=self._signed())
            if not (slug := _text(answer, "slug")):
                raise NoIdentity(f"GET /app answers {answer.status}: look at github.app.id and its key", answer)
            self._login = f"{slug}[bot]"
        return self._login

    def renew(self) -> None:
        """Sign for a new token with the next request."""
        self._token = ""

    def _signed(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {signed_jwt(self._app, self._key_file, self._clock())}"}


def signed_jwt(app: str, key_file: Path, now: datetime) -> str:
    """What an App proves itself with. Raises NoIdentity, with the way out."""
    try:
        import jwt
    except ImportError:
        raise NoIdentity("a GitHub App needs a library: pip install 'quota-scheduler[github-app]'") from None
    claims = {"iat": int((now - JWT_BACK).timestamp()), "exp": int((now + JWT_LENGTH).timestamp()), "iss": app}
    try:
        return jwt.encode(claims, key_file.read_bytes(), algorithm="RS256")
    except OSError as error:
        raise NoIdentity(f"github.app.key_file: {key_file} cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, jwt.PyJWTError):
        raise NoIdentity(f"github.app.key_file: {key_file} holds no RSA private key in PEM") from None


def _text(answer: HttpAnswer, name: str) -> str:
    """A text of a JSON object, empty where the answer has none."""
    try:
        content: Any = json.loads(answer.content) if answer.status in (200, 201) else None
    except ValueError:
        return ""
    value = content.get(name) if isinstance(content, Mapping) else None
    return value if isinstance(value, str) else ""
