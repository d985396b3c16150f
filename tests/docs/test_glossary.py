"""The glossary explains every class of the core, and no name is used twice for different things."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "quota_scheduler"
GLOSSARY = (ROOT / "docs/reference/glossary.md").read_text(encoding="utf-8")
MENTIONED = re.findall(r"`([A-Z][A-Za-z]+)`", GLOSSARY)


def classes(folder: Path) -> dict[str, list[str]]:
    """The public classes of a folder by name, and the files that define them."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                by_name[node.name].append(path.relative_to(HOUSE).as_posix())
    return by_name


@pytest.mark.parametrize("name", sorted(classes(HOUSE / "core")))
def test_every_public_class_of_the_core_is_explained(name):
    assert name in MENTIONED


def test_the_glossary_explains_no_class_that_is_not_there():
    assert sorted(set(MENTIONED) - classes(HOUSE / "core").keys()) == []


def test_no_two_public_classes_share_a_name():
    """But for the client, which is another program that says the same things: its lease is the runner's."""
    inside = {
        name: [file for file in files if not file.startswith("client/")] for name, files in classes(HOUSE).items()
    }
    assert {name: files for name, files in inside.items() if len(files) > 1} == {}


def test_no_term_is_explained_twice_in_one_room():
    for room in GLOSSARY.split("\n## ")[1:]:
        terms = re.findall(r"^\| ([^|`]+?) \|", room, re.MULTILINE)[1:]
        assert len(terms) == len(set(terms)), room.splitlines()[0]
