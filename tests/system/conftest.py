"""The built service as a process: what every test here starts from."""

from pathlib import Path

import pytest

from tests.system.service_process import Place

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts a process."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.system)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A home with nothing in it."""
    home = tmp_path / "home"
    home.mkdir()
    return Place(home)
