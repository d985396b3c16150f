"""A GitHub that keeps issues and comments, counts who asks how often, and loses answers when told to."""

import json
import re
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ISSUE_COMMENTS = re.compile(r"/repos/([^/]+/[^/]+)/issues/(\d+)/comments")
ONE_COMMENT = re.compile(r"/repos/([^/]+/[^/]+)/issues/comments/(\d+)")
Reply = tuple[int, dict[str, str], Any]


@dataclass
class Comment:
    number: int
    issue: tuple[str, int]
    login: str
    body: str


@dataclass
class GitHub:
    """State and behaviour. ``troubles`` are answers given instead of doing what was asked, ``lost`` after doing it."""

    accounts: dict[str, str] = field(default_factory=lambda: {"tok": "quota-bot", "other": "quota-bot", "eve": "eve"})
    issues: set[tuple[str, int]] = field(default_factory=lambda: {("acme/web", 12), ("acme/web", 13)})
    comments: dict[int, Comment] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    troubles: list[Reply] = field(default_factory=list)
    lost: list[Reply] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    before_post: Callable[[], None] = lambda: None
    apps: dict[str, str] = field(default_factory=dict)
    next_number: int = 100
    unchanged: int = 0
    mutex: threading.RLock = field(default_factory=threading.RLock)

    def write(self, body: str, *, login: str = "ann", issue: int = 12) -> int:
        with self.mutex:
            self.next_number += 1
            self.comments[self.next_number] = Comment(self.next_number, ("acme/web", issue), login, body)
            return self.next_number

    def texts(self, login: str = "quota-bot") -> list[str]:
        """What an account has written, oldest first."""
        return [one.body for _, one in sorted(self.comments.items()) if one.login == login]

    def writes(self) -> list[str]:
        return [line for line in self.asked if not line.startswith("GET")]

    def reply(self, method: str, path: str, token: str, body: Any) -> Reply:
        with self.mutex:
            self.asked.append(f"{method} {path}")
            if self.troubles:
                return self.troubles.pop(0)
        if method == "POST" and ISSUE_COMMENTS.fullmatch(path):
            self.before_post()
        with self.mutex:
            answer = self._do(method, path, token, body)
            if method != "GET" and self.lost:
                return self.lost.pop(0)
            return answer

    def _do(self, method: str, path: str, token: str, body: Any) -> Reply:
        where, query = urlsplit(path).path, parse_qs(urlsplit(path).query)
        if where == "/app" and token in self.apps:
            return 200, {}, {"slug": self.apps[token]}
        if re.fullmatch(r"/app/installations/7/access_tokens", where) and token in self.apps:
            self.accounts["installed"] = f"{self.apps[token]}[bot]"
            return 201, {}, {"token": "installed", "expires_at": "2026-11-23T10:00:00Z"}
        login = self.accounts.get(token)
        if login is None:
            return 401, {}, {"message": "Bad credentials"}
        if where == "/user":
            return (
                (403, {}, {"message": "Resource not accessible"}) if "[bot]" in login else (200, {}, {"login": login})
            )
        if named := ISSUE_COMMENTS.fullmatch(where):
            return self._at_issue(method, (named[1].lower(), int(named[2])), login, body, query)
        if named := ONE_COMMENT.fullmatch(where):
            return self._one(method, int(named[2]), login, body)
        return 404, {}, {"message": "Not Found"}

    def _at_issue(self, method: str, issue: tuple[str, int], login: str, body: Any, query: Any) -> Reply:
        if issue not in self.issues:
            return 404, {}, {"message": "Not Found"}
        if method == "POST":
            if not body["body"] or len(body["body"]) > 65_536:
                return 422, {}, {"message": "Validation Failed"}
            self.next_number += 1
            self.comments[self.next_number] = Comment(self.next_number, issue, login, body["body"])
            return 201, {}, self._shown(self.comments[self.next_number])
        size, page = int(query["per_page"][0]), int(query["page"][0])
        rows = [self._shown(one) for _, one in sorted(self.comments.items()) if one.issue == issue]
        more = page * size < len(rows)
        link = {"Link": f'<https://elsewhere.example/?page={page + 1}>; rel="next"'} if more else {}
        return 200, link, rows[(page - 1) * size : page * size]

    def _one(self, method: str, number: int, login: str, body: Any) -> Reply:
        one = self.comments.get(number)
        if one is None:
            return 404, {}, {"message": "Not Found"}
        if one.login != login:
            return 403, {}, {"message": "Must have admin rights"}
        if method == "DELETE":
            del self.comments[number]
            return 204, {}, None
        one.body = body["body"]
        return 200, {}, self._shown(one)

    @staticmethod
    def _shown(one: Comment) -> dict[str, Any]:
        return {"id": one.number, "body": one.body, "user": {"login": one.login}}


class Server:
    """The same behind a socket; ``base`` is its address."""

    def __init__(self, github: GitHub) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
                github.agents.add(f"{self.headers['User-Agent']} {self.headers['X-GitHub-Api-Version']}")
                status, headers, content = github.reply(self.command, self.path, token, body)
                raw = b"" if content is None else json.dumps(content).encode()
                if self.command == "GET" and status == 200:
                    headers = {**headers, "ETag": f'W/"{zlib.crc32(raw + str(headers).encode())}"'}
                    if self.headers["If-None-Match"] == headers["ETag"]:
                        github.unchanged += 1
                        status, headers, raw = 304, {"ETag": headers["ETag"]}, b""
                self.send_response(status)
                for name, value in {**github.headers, **headers, "Content-Length": str(len(raw))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.base = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
