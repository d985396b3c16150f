"""The real client and ``run`` against a service that lets a token ask seldom: slower, and nothing is lost."""

import hashlib
import time
from collections.abc import Iterator

import pytest

from quota_scheduler.client import Client
from tests.system.service_process import Place, ServiceProcess

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service that takes three requests at once, and then two a second."""
    place = Place(tmp_path_factory.mktemp("slow"))
    lines = [f"  - {{name: {name}, role: runner, sha256: {hashlib.sha256(name.encode()).hexdigest()}}}\n"
             for name in ("client", "run")]  # fmt: skip
    place.config(f"rate_limit: {{per_second: 2, burst: 3}}\ntokens:\n{''.join(lines)}")
    with ServiceProcess(place) as service:
        yield service.ready()


def test_the_client_waits_and_loses_nothing(slow: ServiceProcess, tmp_path) -> None:
    client = Client(f"http://127.0.0.1:{slow.port}", "client", spool=tmp_path / "spool.jsonl", patience=30)
    began = time.monotonic()
    for number in range(4):
        with client.lease(f"work-{number}", provider="anthropic", tokens=1_000) as lease:
            lease.used("claude-haiku-4-5", input=10, output=1)
    assert time.monotonic() - began >= 1.0  # eight requests, three at once and two a second
    usage = slow.ask("GET", "/v1/usage/summary?by=provider", token="run").body["usage"]
    assert sum(row["tokens"] for row in usage) == 44


def test_run_waits_and_ends_as_its_command(slow: ServiceProcess) -> None:
    place = slow.place
    place.environ |= {"QUOTA_TOKEN": "run", "QUOTA_URL": f"http://127.0.0.1:{slow.port}"}
    for number in range(2):
        said = place.run("run", "--key", f"run-{number}", "--estimate", "1000", "--", "sh", "-c", "echo done; exit 3")
        assert (said.returncode, said.stdout.strip()) == (3, "done"), said.stderr
