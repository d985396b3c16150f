"""What every test may rely on: a home of its own, and outside programs that are there or the reason why not."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from quota_scheduler.store import engine

if TYPE_CHECKING:
    from tests.on_postgres import Databases

DEBIAN_PACKAGES = {
    "amtool": "prometheus-alertmanager",
    "chromium": "chromium",
    "haproxy": "haproxy",
    "nginx": "nginx",
    "pgbouncer": "pgbouncer",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "promtool": "prometheus",
}
"""The outside programs that tests use, and what to install for each."""

OURS = ("QUOTA_", "CLAUDE_", "CODEX_", "ANTHROPIC_", "MAX_TOKENS_PER_WORKFLOW", "XDG_")
"""Beginnings of the variables that the product reads: none of the developer's own reach a test."""

pytest_plugins = ["tests.postgres"]

settings.register_profile("ours", deadline=None)
settings.load_profile("ours")


def pytest_xdist_auto_num_workers() -> int:
    """Two workers more than cores, eight at the most: many tests wait for scrapes, ticks and processes of their own."""
    return min(8, (os.cpu_count() or 1) + 2)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty home: tests neither read nor write the developer's transcripts, settings and databases."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OURS)]:
            patch.delenv(name)
        patch.setenv("HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Find an outside program: without it a test is skipped, or fails where REQUIRE_PROGRAMS=1 promises it."""

    def find(name: str) -> str:
        if found := shutil.which(name):
            return found
        missing = f"{name} is not installed: apt-get install {DEBIAN_PACKAGES[name]}"
        if os.environ.get("REQUIRE_PROGRAMS") == "1":
            pytest.fail(missing)
        pytest.skip(missing)

    return find


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--database postgres`` lets every store of the tests be a database on a server."""
    parser.addoption("--database", choices=("sqlite", "postgres"), default="sqlite")


@pytest.fixture(scope="session", autouse=True)
def databases(request: pytest.FixtureRequest) -> Iterator["Databases | None"]:
    """Where the stores of the tests are kept, if not in files."""
    if request.config.getoption("--database") == "sqlite":
        yield None
        return
    from tests.on_postgres import Databases

    databases = Databases(request.getfixturevalue("postgres"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("open_engine", "open_view"):
            open_one = getattr(engine, name)
            patch.setattr(engine, name, lambda path, *more, open_one=open_one: open_one(databases.url(path), *more))
        yield databases


@pytest.fixture(autouse=True)
def databases_of_the_test(databases: "Databases | None", request: pytest.FixtureRequest) -> Iterator[None]:
    """A test's databases are the next one's."""
    if databases is None:
        yield
        return
    folder = request.getfixturevalue("tmp_path")
    yield
    databases.give_back(folder)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is about files says nothing of a server."""
    if config.getoption("--database") != "sqlite":
        skip = pytest.mark.skip(reason="about the files of SQLite")
        for item in items:
            if item.get_closest_marker("sqlite_only"):
                item.add_marker(skip)
