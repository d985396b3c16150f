"""What was written, before anybody asks what it means: a tree of texts that know where they stand.

    file, environment, command line  ──►  Branch / Listing / Scalar  ──►  fields.Fields  ──►  tree.Config

Every scalar stays text until the key that reads it says what it is. So ``mode: off`` is the word *off*, ``starts:
10:30`` is half past ten, and a variable of the environment is read exactly like a line of the file.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from msgspec import Struct

SHOWN = 60
"""Characters of a wrong value that a problem repeats."""


class Layer(Enum):
    """Who says so; later ones win."""

    FILE = 1
    ENVIRONMENT = 2
    COMMAND_LINE = 3


class Origin(Struct, frozen=True):
    """Where a value was written: a file, a variable or an option; relative paths in it start at ``folder``."""

    layer: Layer
    name: str
    folder: Path


class Node(Struct, frozen=True):
    """One place in the configuration: ``path`` is ``limits[2].window``, ``line`` counts from 1, 0 where unknown."""

    origin: Origin
    path: str
    line: int

    @property
    def place(self) -> str:
        """How a problem names this place."""
        if self.origin.layer is not Layer.FILE:
            return self.origin.name
        where = f"{self.origin.name}:{self.line}" if self.line else self.origin.name
        return f"{where}: {self.path}" if self.path else where


class Scalar(Node, frozen=True):
    """One value. ``text`` None means nothing was written; ``written`` is the text before variables were put in.

    ``broken`` says that a problem with it has been reported already.
    """

    text: str | None
    written: str = ""
    broken: bool = False

    def shown(self) -> str:
        """The value for a problem: as written, so that what a variable holds is not repeated; no addresses."""
        text = self.written
        if "://" in text and not text.startswith("sqlite:"):
            text = text.partition("://")[0] + "://***"
        return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


class Listing(Node, frozen=True):
    """A list."""

    items: tuple[Node, ...]


class Branch(Node, frozen=True):
    """A mapping; ``entries`` is filled while the layers are put together."""

    entries: dict[str, Node]

    def child(self, key: str) -> str:
        """The path of one of its keys."""
        return f"{self.path}.{key}" if self.path else key


class Problems:
    """Every problem found, told all at once: those of the file by line, then the others in the order found."""

    def __init__(self) -> None:
        self._problems: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._problems)

    def add(self, node: Node, message: str) -> None:
        """Note what is wrong at one place, and the way out."""
        self.say(f"{node.place}: {message}", line=node.line)

    def say(self, sentence: str, *, line: int = 0) -> None:
        """Note a problem that names its place itself."""
        self._problems.append((line or 1 << 30, sentence))

    def sentences(self) -> list[str]:
        """All of them, each once."""
        return list(dict.fromkeys(text for _, text in sorted(self._problems, key=lambda problem: problem[0])))
