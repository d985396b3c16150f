"""Every event that the program logs stands in the reference, with its level, and no other."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception"}
CLIENT = ROOT / "quota_scheduler/client"
"""The client logs into its own program's log, in that program's way."""


def logged():
    """The events of the code: name to levels; a name that is filled in counts by what stands before it."""
    events = {}
    for path in sorted((ROOT / "quota_scheduler").rglob("*.py")):
        if path.is_relative_to(CLIENT):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(ast.Name("log"), level), args=args) if level in LEVELS | {"log"}:
                    texts = [arg.value for arg in args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
                    name = texts[0].split(" ")[0]
                    events.setdefault(name, set()).add("error" if level == "exception" else level)
    return events


def described():
    """The events of the page: name to levels."""
    page = (ROOT / "docs/reference/logs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \| ([a-z, ]+) \|", page, re.MULTILINE)
    return {name: set(levels.split(", ")) for names, levels in rows for name in re.findall(r"`([^`]+)`", names)}


def test_every_event_is_described_with_its_level_and_no_other():
    code, page = logged(), described()
    whole = {name: levels for name, levels in code.items() if "%s" not in name}
    filled = tuple(name.split("%s")[0] for name in code if "%s" in name)
    assert {name: page.get(name) for name in whole} == whole
    assert [name for name in page if name not in whole and not name.startswith(filled)] == []


def test_each_name_says_whose_it_is_and_what_happened():
    assert [name for name in logged() if not re.fullmatch(r"[a-z]+\.(%s|[a-z_]+)", name)] == []
