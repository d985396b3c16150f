"""Asks the usage endpoint of claude.ai accounts what is left, where an operator has switched that on.

    credentials file ──its token, read each time──► GET ──► observations;   not before: five minutes, or as it asks

Undocumented, and meant for the vendor's own client: it is off by default, asks at most every five minutes per account,
waits as long as it is asked to, across restarts too, and never keeps, renews or logs the token. A refusal of this
endpoint says nothing about the account's quota and opens no breaker: what was said last stays, with its age.
"""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.sources.labelling import PROVIDER
from quota_scheduler.sources.word.headers import plain_headers, retry_pause
from quota_scheduler.sources.word.usage_endpoint import SOURCE, read_usage
from quota_scheduler.sources.word.word import Teller, Word, mapping_of, number_of, text_of

NAME = "claude_usage"
"""The name of this source in the store."""
URL = "https://api.anthropic.com/api/oauth/usage"
BETA = "oauth-2025-04-20"
AGENT = "claude-code/2.1.332 (quota-scheduler)"
"""The endpoint answers the client whose account it is; it is said who asks on its behalf."""
CREDENTIALS = ".credentials.json"
EVERY = timedelta(minutes=5)
"""More often it refuses busy accounts, for up to an hour."""
LONGEST_PAUSE = timedelta(hours=1)
"""After failures the pause doubles up to this."""
TIMEOUT_SECONDS = 10.0
LARGEST_ANSWER = 1 << 20
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class UsageAnswer(Struct, frozen=True):
    """What asking came to: a word, or the problem that kept it from being said; not to be asked before an instant."""

    word: Word
    problem: str
    not_before: datetime


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the token to another place: it is an answer like any other that is none."""

    def redirect_request(self, *_: object) -> None:
        """None: not followed."""


class UsagePoll:
    """Accounts, each with the configuration folder of its client, asked in the background, one request at a time."""

    def __init__(
        self,
        folders: Sequence[tuple[Path, str]],
        *,
        clock: Callable[[], datetime],
        url: str = URL,
        every: timedelta = EVERY,
    ) -> None:
        """``folders`` are configuration folders of Claude Code with their accounts. Raises ValueError for a bad URL."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError(f"{url!r} would send a token in the clear: the address has to begin with https://")
        self._url, self._clock, self._every = url, clock, every
        self._accounts = {folder / CREDENTIALS: account for folder, account in folders}
        self._asking: dict[Path, threading.Thread] = {}
        self._answers: dict[Path, UsageAnswer] = {}
        self._problems: dict[Path, str] = {}
        self._failures: dict[Path, int] = {}

    def scan(self, known: Mapping[str, FileState]) -> Iterator[Batch]:
        """Yield what was answered since the last pass, and ask again what is due; returns at once.

        The ``offset`` of a file's state is the epoch second before which its account is not asked.
        """
        word, states = Word(), list[FileState]()
        for file, account in self._accounts.items():
            now, answer = self._clock(), self._answers.pop(file, None)
            if answer is not None:
                self._asking.pop(file).join()
                word.add(answer.word)
                self._problems[file] = answer.problem
                states.append(_state(file, answer.not_before))
            elif file not in self._asking and _due(known.get(str(file)), now) and file.exists():
                states.append(_state(file, now + self._every))
                self._ask(file, account)
        yield Batch(
            observations=tuple(word.observations),
            unknown=tuple(word.unknown),
            files=tuple(states),
            unreadable=tuple(problem for problem in self._problems.values() if problem),
            gone=tuple(path for path in known if Path(path) not in self._accounts),
            last=True,
        )

    def _ask(self, file: Path, account: str) -> None:
        thread = threading.Thread(target=self._answer, args=(file, account), name=NAME, daemon=True)
        self._asking[file] = thread
        thread.start()

    def _answer(self, file: Path, account: str) -> None:
        """Ask for one account; whatever goes wrong is an answer with a problem."""
        try:
            answer = self._asked(file, Teller(account, self._clock(), SOURCE, PROVIDER))
        except Exception as error:  # a fault of this program must not end the polling
            answer = self._failed(file, f"{type(error).__name__}")
        self._answers[file] = answer

    def _asked(self, file: Path, teller: Teller) -> UsageAnswer:
        token = token_in(file, teller.at)
        if isinstance(token, NoToken):
            return UsageAnswer(Word(), f"{file}: {token.text}", teller.at + self._every)
        headers = {"Authorization": f"Bearer {token}", "anthropic-beta": BETA, "User-Agent": AGENT}
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(urllib.request.Request(self._url, headers=headers), timeout=TIMEOUT_SECONDS) as said:
                body = said.read(LARGEST_ANSWER)
        except urllib.error.HTTPError as error:
            pause = retry_pause(plain_headers(dict(error.headers.items())), teller.at)
            return self._failed(file, f"answered {error.code}{_hint(error.code)}", pause)
        except (OSError, HTTPException) as error:
            return self._failed(file, f"does not answer: {getattr(error, 'reason', error)}")
        return self._read(file, body, teller)

    def _read(self, file: Path, body: bytes, teller: Teller) -> UsageAnswer:
        try:
            word = read_usage(json.loads(body), teller)
        except (ValueError, RecursionError):
            return self._failed(file, "answered what is no JSON")
        if not word.observations:
            return self._failed(file, "answered without any window")
        self._failures.pop(file, None)
        return UsageAnswer(word, "", self._clock() + self._every)

    def _failed(self, file: Path, problem: str, pause: timedelta | None = None) -> UsageAnswer:
        """A problem, and how long to leave the endpoint alone: as it asked, else twice as long after each failure."""
        failures = self._failures[file] = self._failures.get(file, 0) + 1
        doubled = min(self._every * 2 ** min(failures - 1, 10), max(LONGEST_PAUSE, self._every))
        account = self._accounts[file]
        return UsageAnswer(
            Word(), f"{urlsplit(self._url).netloc} for account {account}: {problem}",
            self._clock() + max(pause or doubled, self._every),
        )  # fmt: skip


class NoToken(Struct, frozen=True):
    """Why there is no token."""

    text: str


def token_in(file: Path, now: datetime) -> str | NoToken:
    """The access token that the client keeps in its credentials file, while it lasts."""
    try:
        login = mapping_of(mapping_of(json.loads(file.read_bytes())).get("claudeAiOauth"))
    except (OSError, ValueError, RecursionError):
        return NoToken("holds no login that can be read")
    token, expires = text_of(login.get("accessToken")), number_of(login.get("expiresAt"))
    if not token or not token.isascii() or not token.isprintable():
        return NoToken("holds no login of a claude.ai account")
    if expires is not None and expires / 1000 <= now.timestamp():
        return NoToken("its login has expired: the client renews it when it is started")
    return token


def _hint(code: int) -> str:
    if code in {401, 403}:
        return ": the login is not accepted; the client renews it when it is started"
    return ": asked too often" if code == 429 else ""


def _due(state: FileState | None, now: datetime) -> bool:
    return state is None or now >= datetime.fromtimestamp(state.offset, UTC)


def _state(file: Path, not_before: datetime) -> FileState:
    return FileState(str(file), 0, 0, 0, int(not_before.timestamp()) + 1)
