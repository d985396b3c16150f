"""Where comments at issues are written, and as whom."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from quota_scheduler.config import places
from quota_scheduler.config.fields import Fields
from quota_scheduler.config.scalars import http_address, text, whole
from quota_scheduler.config.tree import GitHub, GitHubApp

API = "https://api.github.com"
NAMED = "name the App's private key, as in `key_file: github-app.pem`"


def read_github(top: Fields, home: Path) -> GitHub | None:
    """The section; None where nothing is to be written."""
    with top.section("github") as section:
        wanted = section.has("token") or section.has("app")
        token = section.read("token", _token, "", secret=True)
        url = section.read("url", _address, API)
        login = section.read("login", text, "")
        app = _app(section, home)
        if token and app:
            section.complain("token", "and `app` cannot both be given: comments are written in one name, keep one")
        for key in ("url", "login"):
            if section.has(key) and not wanted:
                section.complain(key, "needs who writes: add `token: ${GITHUB_TOKEN}` or an `app`, or remove it")
    return GitHub(url, token, app, login) if wanted else None


def _app(section: Fields, home: Path) -> GitHubApp | None:
    given = section.has("app")
    with section.section("app") as app:
        if not given:
            app.know("id", "key_file", "installation")
            return None
        key_file = app.require("key_file", partial(_path, folder=app.folder("key_file"), home=home), None, NAMED)
        number = app.require("id", text, "", "write the App's id or client id")
        most = 2**62
        installation = app.require("installation", whole(1, most), 0, "write the number in the installation's address")
    return GitHubApp(number, key_file, installation) if key_file else None


def _path(value: str, *, folder: Path, home: Path) -> Path:
    return places.resolved(text(value), folder, home)


def _token(value: str) -> str:
    """A token, which is never repeated in a problem."""
    if not value.isascii() or not value.isprintable() or " " in value or not value:
        raise ValueError("*** is no token: write `token: ${GITHUB_TOKEN}` and set it")
    return value


def _address(value: str) -> str:
    """The base of the API; GitHub Enterprise's ends in /api/v3."""
    none = f"{value!r} is no address of an API: write {API}, or https://HOST/api/v3 for Enterprise"
    parts = http_address(value, none)
    if parts.username or parts.query or parts.fragment:
        raise ValueError(none)
    if parts.hostname == "github.com":
        raise ValueError(f"{value!r} is GitHub's page and not its API: write {API}")
    return value.rstrip("/")
