"""Where sessions began: the first working directory that a session's own file names.

    …/projects/-srv-shop/SESSION.jsonl                        its first line with a ``cwd``
    …/projects/-srv-shop/SESSION/subagents/agent-1.jsonl      that of SESSION.jsonl

It is read from the file, not remembered from lines that went by: a pass that goes on after a restart, or that meets the
sub-agents first, must find the same.
"""

from pathlib import Path

import msgspec

HEAD_BYTES = 1 << 20
"""How much of a file is searched for its first working directory: it stands in one of the first lines."""
MOST_REMEMBERED = 10_000
"""Files whose answer is remembered, about 2 MB."""


class _Line(msgspec.Struct, gc=False):
    cwd: str | None = None


_decode = msgspec.json.Decoder(_Line).decode


class Homes:
    """The working directories in which sessions began, by the files that tell."""

    def __init__(self) -> None:
        self._folders: dict[Path, str] = {}

    def began(self, path: str, session: str) -> str:
        """The folder in which a session began whose lines stand in this file; empty where no file tells."""
        file = Path(path)
        holder, inside, _ = str(file).rpartition("/subagents/")
        main = Path(f"{holder}.jsonl") if inside else file
        is_name = session and "/" not in session and "\0" not in session
        named = main.with_name(f"{session}.jsonl") if is_name else main
        return next((cwd for tried in dict.fromkeys((named, main, file)) if (cwd := self._first(tried))), "")

    def _first(self, file: Path) -> str:
        if file not in self._folders:
            if not (cwd := _first_cwd(file)):
                return ""  # it may be written yet
            if len(self._folders) >= MOST_REMEMBERED:
                self._folders.clear()
            self._folders[file] = cwd
        return self._folders[file]


def _first_cwd(file: Path) -> str:
    try:
        with file.open("rb") as lines:
            while lines.tell() < HEAD_BYTES and (line := lines.readline(HEAD_BYTES)).endswith(b"\n"):
                if b'"cwd"' in line and (cwd := _cwd_in(line)):
                    return cwd
    except OSError:
        pass
    return ""


def _cwd_in(line: bytes) -> str:
    try:
        return _decode(line).cwd or ""
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
