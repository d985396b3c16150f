"""Builds of the program: this one under another version, or one of an earlier commit, each in a folder of its own."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.system.service_process import REPOSITORY, Place

PARTS = ("quota_scheduler", "alerts", "grafana")
MIGRATIONS = "quota_scheduler/store/migrations"


def this_build(folder: Path, *, version: str, migrations: Mapping[str, str] | None = None) -> Path:
    """A copy of this build that says it is of ``version``, with steps of the schema added by file name."""
    for part in PARTS:
        shutil.copytree(REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    init = folder / "quota_scheduler/__init__.py"
    text, before, rest = init.read_text().partition('__version__ = "')
    assert before
    init.write_text(f'{text}{before}{version}"{rest.partition(chr(34))[2]}')
    for name, step in (migrations or {}).items():
        (folder / MIGRATIONS / name).write_text(step)
    return folder


def earlier_build(folder: Path, commit: str) -> Path:
    """The build of a commit; skips where the history is not whole."""
    packed = subprocess.run(["git", "archive", commit, *PARTS], cwd=REPOSITORY, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"needs commit {commit}: git fetch --unshallow")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
    return folder


def runs(place: Place, build: Path) -> None:
    """Let what starts in a place from now on be of a build."""
    place.environ["PYTHONPATH"] = str(build)
