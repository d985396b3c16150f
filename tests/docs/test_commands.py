"""Every command that the docs show is run, on the service as it is; what cannot be run says why not."""

from collections import Counter

import pytest

from tests.docs.command_blocks import ROOT, RUN, Follower, blocks
from tests.docs.recipes import AGENT

FIRST = ROOT / "docs/tutorial/first-steps.md"
RECIPES = "".join(
    (ROOT / "tests/docs" / name).read_text(encoding="utf-8") for name in ("test_recipes.py", "test_client_pages.py")
)
"""What runs the pages that need a machine or a provider of their own; it names each."""
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if page != FIRST and page.name not in RECIPES and any(block.language in RUN for block in blocks(page))
]
NOT_RUN = {
    "README.md": 1,
    "back-up-and-restore.md": 2,
    "comment-on-github.md": 1,
    "connect-prometheus.md": 1,
    "exit-statuses.md": 1,
    "put-a-proxy-in-front.md": 1,
    "receive-alerts.md": 2,
    "receive-usage.md": 1,
    "run-a-plan.md": 1,
    "run-in-a-container.md": 4,
    "run-on-kubernetes.md": 1,
    "run-replicas-with-compose.md": 5,
    "run-under-systemd.md": 1,
    "ship-from-another-host.md": 1,
    "use-postgresql.md": 3,
    "watch-the-demo.md": 2,
    "watch.md": 1,
}
"""Blocks that cannot be run here, by page: each says why above itself. One more is a decision."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """One home and one service for all pages; the tutorial has its own, because it begins without one."""
    with Follower(tmp_path_factory.mktemp("reader")) as follower:
        follower.program("claude", f"#!/usr/bin/env python3\n{AGENT}")
        yield follower


def test_the_tutorial(tmp_path):
    with Follower(tmp_path, serving=False, instead={"session: 1m": "session: 5s"}) as newcomer:
        newcomer.follow(FIRST, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_can_be_done(reader, page):
    reader.follow(page)


def test_a_page_with_sessions_has_a_machine_of_its_own():
    pages = [
        page for page in (ROOT / "docs").rglob("*.md") if any(block.language == "console" for block in blocks(page))
    ]
    assert [page.name for page in pages if page.name not in RECIPES] == []


def test_what_is_not_run_is_counted():
    assert Counter(block.page.name for page in PAGES for block in blocks(page) if block.not_run) == NOT_RUN
