"""One comment of ours at an issue: edited where its number is known, else found by its mark, else written.

number known ──PATCH──▶ 200 done
                    └─▶ 404 gone: search
search ──▶ ours, by mark and login: the lowest is edited, others are deleted
      └──▶ none ──POST──▶ 201, and search again: who wrote at the same moment has left a second one
                     └──▶ anything else: the next attempt searches first, since it may have been stored
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from quota_scheduler.core.comments.patience import Setback, Trouble, asked_wait, is_limited, until_reset, wait_after
from quota_scheduler.core.comments.place import CommentPlace
from quota_scheduler.github.identity import Identity, NoIdentity
from quota_scheduler.github.pace import Pace
from quota_scheduler.outbound import HttpAnswer, NoAnswer, OtherServer

log = logging.getLogger(__name__)
HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "quota-scheduler",
}
ANSWER_SECONDS = 20.0
PAGE = 100
MOST_PAGES = 300
"""More comments than GitHub lets an issue have."""
REMEMBERED_PAGES = 200
"""Pages whose own comments are kept: asked for again with their tag, an unchanged one costs nothing of the limit."""
HINTS = {
    401: "the token is refused: give github.token a valid one",
    403: "it may not write there: it needs the permission Issues: write, and the issue must not be locked",
    404: "no such repository or issue, or the token may not see it",
    410: "issues are turned off there, or the issue was deleted",
    422: "GitHub does not take the comment",
}
GONE, UNCHANGED = 404, 304


class _Stopped(Exception):
    """What is in the way of a comment."""

    def __init__(self, setback: Setback) -> None:
        super().__init__(setback.why)
        self.setback = setback


class _OwnComment(Struct, frozen=True):
    number: int
    body: str


class _Page(Struct, frozen=True):
    """What a page of comments had of ours."""

    tag: str
    ours: tuple[_OwnComment, ...]
    is_last: bool


class GitHubComments:
    """Comments in the name of one account."""

    def __init__(
        self, server: OtherServer, identity: Identity, *, clock: Callable[[], datetime], pace: Pace | None = None,
        must_lead: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """``must_lead`` raises where another process writes comments by now; it is asked before each thing written."""
        self._must_lead = must_lead
        self._server, self._identity, self._clock, self._pace = server, identity, clock, pace or Pace()
        self._limited = 0
        self._pages: dict[str, _Page] = {}

    @property
    def is_free(self) -> bool:
        """Whether it may be asked now."""
        return self._pace.is_free

    def close(self) -> None:
        """Wait for nothing any more."""
        self._pace.close()

    def put(self, place: CommentPlace, text: str, *, comment: int) -> int | Setback:
        """Let the one comment of ours at a place say ``text``; its number, or what is in the way."""
        try:
            if comment and self._edit(place, comment, text):
                return comment
            kept = self._only_one(place) or self._write(place, text)
            if kept.body != text:
                self._edit(place, kept.number, text)
            return kept.number
        except _Stopped as stopped:
            return stopped.setback
        except NoAnswer as error:
            return Setback(Trouble.FAILED, str(error))
        except NoIdentity as error:
            return self._without_identity(error)

    def _without_identity(self, error: NoIdentity) -> Setback:
        """Nobody to ask as: that is about every comment."""
        if error.answer is not None and error.answer.status >= 500:
            return Setback(Trouble.FAILED, str(error))
        self._limited += 1
        asked = self._asked(error.answer) if error.answer else None
        setback = Setback(Trouble.LIMITED, str(error), asked)
        self._pace.be_quiet(wait_after(setback, self._limited))
        return setback

    def _edit(self, place: CommentPlace, number: int, text: str) -> bool:
        """Let a comment say this; False where it is gone."""
        path = f"/repos/{place.repo}/issues/comments/{number}"
        return self._ask("PATCH", path, {"body": text}, but=(GONE,)).status != GONE

    def _only_one(self, place: CommentPlace) -> _OwnComment | None:
        """The comment of ours that is there, with every further one deleted; None where there is none."""
        ours = sorted(self._ours(place), key=lambda one: one.number)
        for second in ours[1:]:
            self._ask("DELETE", f"/repos/{place.repo}/issues/comments/{second.number}", but=(GONE,))
            log.warning("comment.second_deleted issue=%s#%d comment=%d", place.repo, place.issue, second.number)
        return ours[0] if ours else None

    def _write(self, place: CommentPlace, text: str) -> _OwnComment:
        answer = self._ask("POST", f"/repos/{place.repo}/issues/{place.issue}/comments", {"body": text})
        written = _comment_in(_json(answer))
        if written is None:
            raise _Stopped(Setback(Trouble.FAILED, f"{self._server.base} answered a new comment without its number"))
        return self._only_one(place) or written[1]

    def _ours(self, place: CommentPlace) -> Iterator[_OwnComment]:
        """Comments with the mark that are ours: anybody can paste a mark."""
        for number in range(1, MOST_PAGES + 1):
            page = self._page(f"/repos/{place.repo}/issues/{place.issue}/comments?per_page={PAGE}&page={number}")
            yield from (comment for comment in page.ours if place.marks(comment.body))
            if page.is_last:
                return

    def _page(self, path: str) -> _Page:
        """Our comments of a page, as they are now."""
        login, before = self._identity.login().lower(), self._pages.get(path)
        answer = self._ask("GET", path, tag=before.tag if before else "", but=(UNCHANGED,) if before else ())
        if before and answer.status == UNCHANGED:
            return before
        content = _json(answer)
        if not isinstance(content, list):
            raise _Stopped(Setback(Trouble.FAILED, f"{self._server.base} answers no list of comments"))
        ours = tuple(one for author, one in filter(None, map(_comment_in, content)) if author.lower() == login)
        page = _Page(answer.headers.get("etag", ""), ours, 'rel="next"' not in answer.headers.get("link", ""))
        self._pages.pop(path, None)
        if page.tag:
            self._pages[path] = page
        if len(self._pages) > REMEMBERED_PAGES:
            del self._pages[next(iter(self._pages))]
        return page

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        tag: str = "",
        but: tuple[int, ...] = (),
    ) -> HttpAnswer:
        """One answer that is as it should be, or has a status of ``but``. Raises _Stopped."""
        if method != "GET" and not self._pace.before_write():
            raise _Stopped(Setback(Trouble.FAILED, "the service is ending"))
        if method != "GET":
            self._must_lead()
        raw = None if body is None else json.dumps(body).encode()
        headers = {**self._identity.headers(), **({"If-None-Match": tag} if tag else {})}
        answer = self._server.ask(method, path, raw, headers=headers)
        if (left := until_reset(answer.headers, now=self._clock())) is not None:
            self._pace.be_quiet(left)
        if 200 <= answer.status < 300 or answer.status in but:
            self._limited = 0
            return answer
        raise _Stopped(self._setback(method, path, answer))

    def _setback(self, method: str, path: str, answer: HttpAnswer) -> Setback:
        said = _message(answer)
        why = f"{method} {path.partition('?')[0]} answers {answer.status}"
        if is_limited(answer.status, answer.headers, said):
            self._limited += 1
            setback = Setback(Trouble.LIMITED, f"{why}: too many requests ({said})", self._asked(answer))
            self._pace.be_quiet(wait_after(setback, self._limited))
            return setback
        if answer.status == 401:
            self._identity.renew()
            self._limited += 1
            setback = Setback(Trouble.LIMITED, f"{why}: {HINTS[401]}")
            self._pace.be_quiet(wait_after(setback, self._limited))
            return setback
        if answer.status in HINTS:
            return Setback(Trouble.REFUSED, f"{why}: {HINTS[answer.status]} ({said})")
        if 300 <= answer.status < 400:
            return Setback(Trouble.REFUSED, f"{why}: the repository has moved, name it as it is called now")
        return Setback(Trouble.FAILED, f"{why} ({said})")

    def _asked(self, answer: HttpAnswer) -> Any:
        now = self._clock()
        return asked_wait(answer.headers, retry_after=answer.retry_after(now=now.timestamp()), now=now)


def _json(answer: HttpAnswer) -> Any:
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        return None


def _message(answer: HttpAnswer) -> str:
    """What GitHub says about it, on one line."""
    content = _json(answer)
    said = content.get("message") if isinstance(content, Mapping) else None
    return " ".join(str(said or "no further words").split())[:200]


def _comment_in(content: Any) -> tuple[str, _OwnComment] | None:
    """The author and the comment of one that GitHub shows; None for what is none."""
    if not isinstance(content, Mapping):
        return None
    number, body, user = content.get("id"), content.get("body"), content.get("user")
    author = user.get("login") if isinstance(user, Mapping) else None
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    return str(author or ""), _OwnComment(number, body if isinstance(body, str) else "")
