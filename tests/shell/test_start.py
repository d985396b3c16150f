"""What starting loads: nothing that only some services need, or that is needed later than the first answer."""

import json
import subprocess
import sys
import threading

import pytest
from msgspec.structs import replace

from quota_scheduler.assemble import assemble
from quota_scheduler.config import Listen, default_config
from quota_scheduler.facade import Facade
from quota_scheduler.server import listen, server
from quota_scheduler.store import Store
from tests.system.service_process import until

SERVICE = """
from quota_scheduler import assemble
from quota_scheduler.cli import serve
from quota_scheduler.config import default_config
from quota_scheduler.facade import Facade
from quota_scheduler.server import server
from pathlib import Path
from msgspec.structs import replace
import sys

service = assemble.assemble(replace(default_config(), database=Path(sys.argv[1])))
serving = server(service, Facade(service), reload=lambda: None)
serving.config.load()
"""


def loaded(code: str, *arguments: str) -> set[str]:
    """The modules that a process of its own has loaded after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def of_a_service(tmp_path_factory) -> set[str]:
    database = tmp_path_factory.mktemp("start") / "quota.db"
    Store(database).close()
    return loaded(SERVICE, str(database))


@pytest.mark.parametrize(
    "library",
    [
        pytest.param("peewee", id="a schema that is up to date needs nobody who brings it there"),
        pytest.param("pydantic", id="what validates bodies comes with the first body, and soon after the start"),
        pytest.param("numpy", id="what forecasts are counted with comes with the first tick"),
        pytest.param("psycopg", id="nor does a file need the driver of a server"),
        pytest.param("apscheduler", id="when periodic work runs is worked out beside the first answers"),
        pytest.param("apprise", id="what sends notifications comes with the first receiver"),
        pytest.param("requests", id="and so does what it sends them with"),
        pytest.param("urllib3", id="what asks other servers comes where there are bills or comments"),
        pytest.param("jwt", id="and what signs for them"),
        pytest.param("google.protobuf", id="messages of OTLP come with the first export in protobuf"),
        pytest.param("opentelemetry", id="spans are sent where somebody asks for them"),
        pytest.param("websockets", id="there are no web sockets"),
        pytest.param("mcp", id="agents ask through a process of their own"),
        pytest.param("rich", id="only terminals are painted"),
        pytest.param("quota_scheduler.bills", id="reports of providers are read where there is a bill"),
        pytest.param("quota_scheduler.github", id="comments are written where there is a token"),
        pytest.param("quota_scheduler.simulate", id="a made-up world comes with the first who asks what if"),
        pytest.param("quota_scheduler.wrapper", id="a service runs no commands"),
    ],
)
def test_a_start_loads_nothing_that_only_some_services_need(of_a_service, library):
    assert {name for name in of_a_service if name == library or name.startswith(f"{library}.")} == set()


def test_every_route_names_a_function_that_is_there_once_all_rooms_are_loaded():
    """Routes name what answers in a text, which no linter follows."""
    code = """
import quota_scheduler.api as api
api.warm()
api.warm()
for _, _, handler in api.ROUTES:
    room, _, function = handler.__qualname__.partition(".")
    assert callable(getattr(sys.modules[f"quota_scheduler.api.{room}"], function)), handler.__qualname__
"""
    assert {"pydantic", "quota_scheduler.api.tickets", "quota_scheduler.api.page_files"} <= loaded(f"import sys{code}")


def test_what_describes_the_api_and_what_validates_bodies_is_made_when_it_is_needed():
    """Schemas of all bodies took a tenth of a start."""
    code = """
import quota_scheduler.api as api
from quota_scheduler.api.openapi import openapi
from quota_scheduler.api.schemas import TicketBody
from quota_scheduler.api.tickets import TICKET
print(openapi.cache_info().currsize, TicketBody.__pydantic_complete__)
api.described()
TICKET.validate_python({"key": "k", "labels": {"provider": "p"}, "estimate": {"tokens": 1}})
print(openapi.cache_info().currsize, TicketBody.__pydantic_complete__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False", "1", "True"]


def test_what_runs_by_itself_begins_once_requests_are_answered(tmp_path):
    """The first tick takes as long as half a start: nobody waits for it who only wants an answer."""
    service = assemble(replace(default_config(), database=tmp_path / "quota.db"))
    where, seen = listen(Listen("127.0.0.1", 0)), []

    def answers() -> None:
        seen.append((serving.started, service.has_readings))
        service.begin_tasks()

    service.start()
    serving = server(service, Facade(service), reload=lambda: None, answers=answers)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [where]})
    thread.start()
    try:
        until(lambda: service.has_readings, what="the first tick")
    finally:
        serving.should_exit = True
        thread.join(20)
        service.stop()
    assert seen == [(True, False)]
