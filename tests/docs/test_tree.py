"""The plan of the house names every room there is, and the walks through it lead through files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "quota_scheduler"
PLAN = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```")
TREE = next(block for block in PLAN if "quota_scheduler/\n" in block)
PAGES = ("docs/explanation/architecture.md", "docs/explanation/admission.md", "docs/explanation/forecasting.md")
GENERATED = {"__pycache__", "_data", "migrations"}


def rooms() -> set[str]:
    """Folders that hold code, and files beside them: what a reader sees first."""
    folders = [path for path in HOUSE.rglob("*") if path.is_dir() and path.name not in GENERATED]
    return {f"{path.name}/" for path in folders if list(path.glob("*.py"))} | {
        path.name for path in [*HOUSE.glob("*.py"), *(HOUSE / "core").glob("*.py")] if not path.stem.startswith("__")
    }


def test_every_room_has_its_line_and_no_other():
    below = TREE.split("quota_scheduler/\n")[1].split("\nalerts/")[0]
    heads = re.findall(r"^ +((?:[a-z_]+(?:/|\.py) *)+)", below, re.MULTILINE)
    drawn = {name for head in heads for name in head.split()}
    assert drawn == rooms()


@pytest.mark.parametrize("page", PAGES)
def test_a_walk_leads_through_files_that_are_there(page):
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", (ROOT / page).read_text(encoding="utf-8"))
    assert [
        path for path in named if not any((base / path).exists() for base in (HOUSE, ROOT, HOUSE / "service"))
    ] == []
