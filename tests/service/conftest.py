"""Worlds for the journeys."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.service.upkeep.verify import verify
from tests.service.world import World


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., World]]:
    """Make a world with these limits, closed at the end, when every sum is made anew and compared."""
    made = []

    def make(*limits: Limit, **terms: Any) -> World:
        made.append(World(tmp_path, *limits, **terms))
        return made[-1]

    yield make
    for each in made:
        with each.store.transaction() as tx:
            wrong = [found for found in verify(tx, each.limits) if found.wrong]
        each.store.close()
        assert wrong == [] or request.node.get_closest_marker("spoils_sums")
