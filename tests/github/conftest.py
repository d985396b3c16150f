"""A GitHub of the test's own, and its address."""

from collections.abc import Iterator

import pytest

from tests.github.fake import GitHub, Server


@pytest.fixture
def github() -> GitHub:
    return GitHub()


@pytest.fixture
def base(github: GitHub) -> Iterator[str]:
    server = Server(github)
    yield server.base
    server.close()
