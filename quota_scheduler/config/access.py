"""Who may use the service: tokens in the configuration, and those in a file of their own.

The file has one token a line, ``role:name:sha256``; empty lines and lines that start with ``#`` do not count.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from quota_scheduler.config import places
from quota_scheduler.config.fields import Fields
from quota_scheduler.config.nodes import Problems
from quota_scheduler.config.scalars import one_of, slug, text, token_hash
from quota_scheduler.config.tree import ApiToken, Role

LARGEST_FILE = 1 << 20


def read_tokens(top: Fields, home: Path) -> tuple[tuple[ApiToken, ...], Path | None]:
    """All tokens, names and hashes unique, and the file that some came from."""
    tokens: dict[str, ApiToken] = {}
    for one in top.each("tokens"):
        with one:
            token = ApiToken(
                name=one.require("name", slug, "", "name who uses it, as in `name: ci`"),
                role=one.require("role", one_of(Role), Role.VIEWER, "write viewer, runner or operator"),
                sha256=one.require("sha256", token_hash, "", "write `printf %s TOKEN | sha256sum`", secret=True),
            )
            if problem := _repeats(token, tokens):
                one.complain("name", problem)
            tokens[token.name] = token
    folder = top.folder("tokens_file")
    path = top.read("tokens_file", lambda value: places.resolved(text(value), folder, home), None)
    if path is not None:
        for token, line in _lines(path, top):
            if problem := _repeats(token, tokens):
                top.problems.say(f"{path}:{line}: {problem}")
            tokens[token.name] = token
    return tuple(tokens.values()), path


def _repeats(token: ApiToken, tokens: dict[str, ApiToken]) -> str:
    if token.name and token.name in tokens:
        return f"{token.name!r} is the name of an earlier token: give each its own"
    twin = next((one.name for one in tokens.values() if token.sha256 and one.sha256 == token.sha256), None)
    return f"{token.name!r} is the same token as {twin!r}: give each its own" if twin else ""


def _lines(path: Path, top: Fields) -> list[tuple[ApiToken, int]]:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE).decode()
    except OSError as error:
        top.complain("tokens_file", f"{path} cannot be read: {error.strerror}; name another file or remove the key")
        return []
    except UnicodeDecodeError:
        top.complain("tokens_file", f"{path} is not text: write one role:name:sha256 a line")
        return []
    rows = [(line.strip(), number) for number, line in enumerate(content.splitlines(), 1)]
    parse = partial(_token, path=path, problems=top.problems)
    tokens = [(parse(row, number), number) for row, number in rows if row and not row.startswith("#")]
    return [(token, number) for token, number in tokens if token is not None]


def _token(row: str, number: int, *, path: Path, problems: Problems) -> ApiToken | None:
    parts = [part.strip() for part in row.split(":")]
    try:
        if len(parts) != 3:
            raise ValueError("*** is not a token: write role:name:sha256")
        return ApiToken(role=one_of(Role)(parts[0]), name=slug(parts[1]), sha256=token_hash(parts[2]))
    except ValueError as error:
        problems.say(f"{path}:{number}: {error}")
        return None
