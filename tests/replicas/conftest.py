"""Replicas on a database of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.replicas.several import Several


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Several]:
    """A database that nobody serves yet."""
    made = Several(tmp_path)
    yield made
    made.close()
