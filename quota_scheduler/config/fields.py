"""Typed access to one mapping. Reading a key makes it known; leaving the ``with`` block reports what is not.

    with fields.section("sources") as sources:
        account = sources.read("account", text, "default")

A wrong value is noted and its default returned, so that one pass finds every problem; what was built from it is
thrown away when there are any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from quota_scheduler.config.nodes import Branch, Layer, Listing, Node, Problems, Scalar
from quota_scheduler.config.scalars import did_you_mean

T = TypeVar("T")
D = TypeVar("D")
LATER = "is not supported in this version: remove it"


class Fields:
    """One mapping of the configuration. ``seen`` collects the paths of all keys ever asked for.

    What stands in place of a mapping reads as an empty one, in which nothing is missing: that was reported already.
    """

    def __init__(self, node: Branch, problems: Problems, seen: set[str]) -> None:
        self.node, self.problems, self.seen = node, problems, seen
        self.hints: dict[str, str] = {}
        self._known: dict[str, bool] = {}
        self._broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            for key, node in self.node.entries.items():
                if key not in self._known:
                    self.problems.add(node, self._unknown(key, node))

    def _unknown(self, key: str, node: Node) -> str:
        if key in self.hints:
            return self.hints[key]
        if node.origin.layer is not Layer.ENVIRONMENT:
            return f"unknown key `{key}`{did_you_mean(key, self._known) or ': remove it'}"
        prefix = node.origin.name[: len(node.origin.name) - len(key)]
        scalars = [name for name, is_scalar in self._known.items() if is_scalar]
        guess = did_you_mean(key, scalars)
        return "unknown variable" + (re.sub("`(.+)`", lambda m: prefix + m[1].upper(), guess) or ": unset it")

    def has(self, key: str) -> bool:
        """Whether something was written for a key."""
        node = self.node.entries.get(key)
        return node is not None and not (isinstance(node, Scalar) and node.text is None and not node.broken)

    def complain(self, key: str, message: str) -> None:
        """Note a problem at a key, or at the mapping where the key is not given."""
        self.problems.add(self.node.entries.get(key) or self.place(key), message)

    def place(self, key: str) -> Node:
        """Where a key would stand."""
        return Node(self.node.origin, self.node.child(key), self.node.line)

    def folder(self, key: str) -> Path:
        """Where relative paths of a key start: beside the file, or where the program was started."""
        return (self.node.entries.get(key) or self.node).origin.folder

    def know(self, *keys: str) -> None:
        """Make keys known that may not be read."""
        for key in keys:
            self._known.setdefault(key, True)
            self.seen.add(re.sub(r"\[\d+\]", "[]", self.node.child(key)))

    def _take(self, key: str, *, scalar: bool) -> Node | None:
        self.know(key)
        self._known[key] = scalar
        return self.node.entries.get(key) if self.has(key) else None

    def read(self, key: str, parse: Callable[[str], T], default: D, *, secret: bool = False) -> T | D:
        """The value of a key, or the default."""
        node = self._take(key, scalar=True)
        return default if node is None else self.parsed(node, parse, default, secret=secret)

    def require(self, key: str, parse: Callable[[str], T], standin: T, advice: str, *, secret: bool = False) -> T:
        """The value of a key that must be there."""
        node = self._take(key, scalar=True)
        if node is None:
            self.missing(key, advice)
            return standin
        return self.parsed(node, parse, standin, secret=secret)

    def missing(self, key: str, advice: str) -> None:
        """Note that a key is not given though it must be."""
        if not self._broken:
            self.problems.add(self.place(key), f"is missing: {advice}")

    def parsed(self, node: Node, parse: Callable[[str], T], default: D, *, secret: bool = False) -> T | D:
        """The value of a scalar, or the default after noting what is wrong with it."""
        if not isinstance(node, Scalar):
            self.problems.add(node, f"must be a single value, not {_shape(node)}")
        elif not node.broken and node.text is not None:
            try:
                return parse(node.text)
            except ValueError as error:
                shown = "***" if secret else node.shown()
                self.problems.add(node, str(error).replace(repr(node.text), shown))
        elif not node.broken:
            self.problems.add(node, "is empty: write a value or remove it")
        return default

    def several(self, key: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """The values of a list; one value alone will do, in the environment several with commas."""
        node = self._take(key, scalar=True)
        return () if node is None else self.all_of(node, parse)

    def all_of(self, node: Node, parse: Callable[[str], T]) -> tuple[T, ...]:
        """The values of a list node."""
        values = [self.parsed(item, parse, None) for item in _elements(node)]
        return tuple(value for value in values if value is not None)

    def section(self, key: str) -> Fields:
        """The mapping under a key, empty where it is not given."""
        node = self._take(key, scalar=False)
        return self.inside(
            node if node is not None else Branch(self.node.origin, self.node.child(key), self.node.line, {})
        )

    def inside(self, node: Node) -> Fields:
        """The keys of a node, none after noting that it is no mapping."""
        if isinstance(node, Branch):
            return Fields(node, self.problems, self.seen)
        if not (isinstance(node, Scalar) and node.broken):
            self.problems.add(node, self._not_a("mapping of keys and values", node))
        empty = Fields(Branch(node.origin, node.path, node.line, {}), self.problems, self.seen)
        empty._broken = True
        return empty

    def each(self, key: str) -> Iterator[Fields]:
        """The mappings of a list; what is none is noted and left out."""
        node = self._take(key, scalar=False)
        if isinstance(node, Listing):
            read = (self.inside(item) for item in node.items)
            yield from (one for one in read if not one._broken)
        elif node is not None and not (isinstance(node, Scalar) and node.broken):
            self.problems.add(node, self._not_a("list", node))

    def entries(self, key: str) -> Mapping[str, Node]:
        """The entries of a mapping whose keys are free."""
        node = self._take(key, scalar=False)
        if node is None:
            return {}
        entries = self.inside(node).node.entries
        for entry in entries.values():
            if entry.origin.layer is not Layer.FILE:
                self.problems.add(entry, "can only be set in the file")
        return {name: entry for name, entry in entries.items() if entry.origin.layer is Layer.FILE}

    def _not_a(self, what: str, node: Node) -> str:
        if node.origin.layer is not Layer.FILE:
            return f"stands for a {what}: set it in the file"
        return f"must be a {what}, not {_shape(node)}"


def _shape(node: Node) -> str:
    if isinstance(node, Scalar):
        return f"the value {node.shown()}" if node.text is not None else "nothing"
    return "a list" if isinstance(node, Listing) else "a mapping"


def _elements(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Listing):
        return node.items
    if isinstance(node, Scalar) and node.text is not None and node.origin.layer is not Layer.FILE:
        parts = [part.strip() for part in node.text.split(",")]
        return tuple(Scalar(node.origin, node.path, 0, part, part) for part in parts if part)
    return (node,)
