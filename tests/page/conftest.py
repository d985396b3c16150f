"""A real browser, one for the whole module, and the services that it looks at."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.page.looking import FLAGS, Looked, opened
from tests.page.seen import Seen, seen_in


@pytest.fixture(scope="module")
def browser(program: Callable[[str], str]) -> Iterator[Any]:
    """Debian's chromium, driven by playwright."""
    path = program("chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Seen]]:
    """Start a service with a configuration; it ends with the test."""
    with ExitStack() as ends:
        yield lambda config: ends.enter_context(seen_in(tmp_path, config))


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., Looked]]:
    """Open the page of a service; whatever the browser complained about is a failure of the test."""
    opened_pages: list[Looked] = []

    def at(service: Seen, **options: Any) -> Looked:
        opened_pages.append(opened(browser, service.url, **options))
        return opened_pages[-1]

    yield at
    complaints = [text for looked in opened_pages for text in looked.complaints]
    for looked in opened_pages:
        looked.close()
    assert complaints == []
