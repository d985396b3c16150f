"""Read a YAML file into nodes: safely, with line numbers, duplicate keys refused, ``${VAR}`` put in.

Only YAML's grammar is used, not its guesses about types, and tags construct nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from quota_scheduler.config.nodes import Branch, Layer, Listing, Node, Origin, Problems, Scalar
from quota_scheduler.errors import ConfigError

LARGEST_FILE = 4 << 20
MOST_NODES = 50_000
"""Aliases may multiply a small file into a huge tree; no honest configuration comes near this."""
DEEPEST = 20
NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_VARIABLE = re.compile(r"(\$?)\$\{([^}]*)\}")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_file(path: Path, name: str, environ: Mapping[str, str], problems: Problems) -> Branch:
    """Read a configuration file; what is wrong with it goes to ``problems``. ``name`` is what problems call it."""
    origin = Origin(Layer.FILE, name, path.parent)
    empty = Branch(origin, "", 0, {})
    text = _text(path, name, problems)
    if text is None:
        return empty
    parser = None
    try:
        parser = _PARSER(text)
        root = parser.get_single_node()
    except yaml.YAMLError as error:
        problems.say(_grammar(name, error))
        return empty
    finally:
        if parser is not None:
            parser.dispose()
    if root is None:
        return empty
    node = _Reader(origin, environ, problems).node(root, "", root.start_mark.line + 1)
    if isinstance(node, Branch):
        return node
    if not (isinstance(node, Scalar) and node.text is None):
        problems.add(node, "must hold keys and values, such as `timezone: Europe/Berlin`")
    return empty


def node_of(text: str, name: str, problems: Problems) -> Node | None:
    """Text of another file as nodes, with the same bounds; no variables are put in. None for what holds nothing."""
    parser = _PARSER(text)
    try:
        root = parser.get_single_node()
    except yaml.YAMLError as error:
        problems.say(_grammar(name, error))
        return None
    finally:
        parser.dispose()
    if root is None:
        return None
    return _Reader(Origin(Layer.FILE, name, Path()), None, problems).node(root, "", root.start_mark.line + 1)


def plain_yaml(text: str, name: str) -> Any:
    """YAML as plain values, for files that are not configurations. Raises ConfigError for what is not YAML."""
    try:
        return yaml.load(text, _PARSER)
    except yaml.YAMLError as error:
        raise ConfigError([_grammar(name, error)]) from None


def _text(path: Path, name: str, problems: Problems) -> str | None:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            problems.say(f"{name}: is larger than {LARGEST_FILE >> 20} MiB: this is not a configuration file")
            return None
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        problems.say(f"{name}: there is no such file: name another with --config, or write one with `config init`")
    except UnicodeDecodeError as error:
        problems.say(f"{name}: is not UTF-8 text (byte {error.start}): save it as UTF-8")
    except OSError as error:
        problems.say(f"{name}: cannot be read: {error.strerror}")
    return None


def _grammar(name: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f"{name}:{mark.line + 1}" if mark else name
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be understood"
    advice = "indent with spaces" if "\\t" in what else "see the line and the one before it"
    return f"{where}: is not YAML: {what}; {advice}"


class _Reader:
    """Turns the parser's nodes into ours."""

    def __init__(self, origin: Origin, environ: Mapping[str, str] | None, problems: Problems) -> None:
        self.origin, self.environ, self.problems = origin, environ, problems
        self.count = 0

    def node(self, raw: Any, path: str, line: int, depth: int = 0) -> Node:
        self.count += 1
        if depth > DEEPEST or self.count > MOST_NODES:
            if self.count <= MOST_NODES + 1:
                self.problems.say(
                    f"{self.origin.name}:{line}: is nested too deep or too large; avoid aliases", line=line
                )
            self.count = max(self.count, MOST_NODES + 1)
            return Scalar(self.origin, path, line, None, broken=True)
        if not raw.tag.startswith("tag:yaml.org,2002:") or "python" in raw.tag:
            self.problems.say(
                f"{self.origin.name}:{line}: {path}: the tag {raw.tag} is not understood: remove it", line=line
            )
            return Scalar(self.origin, path, line, None, broken=True)
        if isinstance(raw, yaml.MappingNode):
            return self.branch(raw, path, line, depth)
        if isinstance(raw, yaml.SequenceNode):
            items = [
                self.node(item, f"{path}[{i}]", item.start_mark.line + 1, depth + 1) for i, item in enumerate(raw.value)
            ]
            return Listing(self.origin, path, line, tuple(items))
        return self.scalar(raw.value, path, line, plain=not raw.style)

    def branch(self, raw: Any, path: str, line: int, depth: int) -> Branch:
        branch = Branch(self.origin, path, line, {})
        for key, value in raw.value:
            at = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.problems.say(f"{self.origin.name}:{at}: {path or 'file'}: a key must be a single word", line=at)
                continue
            node = self.node(value, branch.child(key.value), at, depth + 1)
            if first := branch.entries.get(key.value):
                self.problems.add(node, f"is given twice, first on line {first.line}: keep one")
            else:
                branch.entries[key.value] = node
        return branch

    def scalar(self, written: str, path: str, line: int, *, plain: bool) -> Scalar:
        if plain and written in NOTHING:
            return Scalar(self.origin, path, line, None)
        place = Scalar(self.origin, path, line, written, written)
        if self.environ is None:
            return place
        before = len(self.problems)
        text = _VARIABLE.sub(lambda match: self.variable(match, place), written)
        return Scalar(self.origin, path, line, text, written, broken=len(self.problems) > before)

    def variable(self, match: re.Match[str], place: Scalar) -> str:
        escaped, inside = match[1], match[2]
        if escaped:
            return match[0][1:]
        parts = _NAME.fullmatch(inside)
        if parts is None:
            self.problems.add(
                place, f"${{{inside}}} names no variable: write ${{NAME}}, or $${{ for the characters themselves"
            )
            return ""
        name, default = parts[1], parts[2]
        assert self.environ is not None
        if default is not None:
            return self.environ.get(name) or default
        if name not in self.environ:
            self.problems.add(place, f"the variable {name} is not set: set it, or give a default with ${{{name}:-…}}")
        return self.environ.get(name, "")
