"""What tests of tracked calls share: a service with a budget for each team, a server of models, a client."""

from collections.abc import Iterator

import pytest

from quota_scheduler.client import Client
from tests.client.budgeted import CONFIG
from tests.client.model_server import ModelServer, model_server
from tests.system.service_process import Place, ServiceProcess


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[ServiceProcess]:
    """A service that each team may spend ten dollars a day at."""
    place = Place(tmp_path_factory.mktemp("service"))
    place.config(CONFIG)
    with ServiceProcess(place) as service:
        yield service.ready()


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """A server of models, which notes what it was asked."""
    with model_server() as server:
        yield server


@pytest.fixture
def client(service, tmp_path) -> Client:
    """Of that service, with a spool of the test's own."""
    return Client(f"http://127.0.0.1:{service.port}", spool=tmp_path / "spool.jsonl")
