"""Real proxies before two replicas, as docs/how-to/put-a-proxy-in-front.md has them: HTTPS, waiting, streams.

Each is skipped where it is not installed.
"""

import http.client
import json
import os
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.system.service_process import REPOSITORY, Place, ServiceProcess, free_port, until
from tests.system.test_tls import certificate

pytestmark = pytest.mark.system
TOKEN = "a token of the tests"
CONFIG = """
database: {database}
tokens: [{{name: ops, role: operator, sha256: {hash}}}]
trusted_proxies: [127.0.0.1]
limits:
  - {{id: daily, match: {{provider: acme}}, unit: tokens, amount: 1000, window: day, holdback: 0}}
"""


def haproxy(folder: Path, port: int, replicas: list[int]) -> list[str]:
    """The balancer of the example, with a certificate and the replicas of the test."""
    text = (REPOSITORY / "examples/replicas/haproxy.cfg").read_text()
    pair = folder / "pair.pem"
    pair.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    text = text.replace("bind :8484", f"bind 127.0.0.1:{port} ssl crt {pair}").replace(
        " resolvers docker init-addr libc,none", ""
    )
    for number, replica in enumerate(replicas, 1):
        text = text.replace(f"scheduler-{number}:8484", f"127.0.0.1:{replica}")
    (folder / "haproxy.cfg").write_text(text)
    return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]


def nginx(folder: Path, port: int, replicas: list[int]) -> list[str]:
    """The server of the page, with the certificate and the replicas of the test."""
    page = (REPOSITORY / "docs/how-to/put-a-proxy-in-front.md").read_text()
    (text,) = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    for written, ours in (
        ("127.0.0.1:8484", f"127.0.0.1:{replicas[0]}"), ("127.0.0.1:8485", f"127.0.0.1:{replicas[1]}"),
        ("listen 443", f"listen 127.0.0.1:{port}"), ("/etc/nginx/quota.pem", str(folder / "cert.pem")),
        ("/etc/nginx/quota.key", str(folder / "key.pem")),
    ):  # fmt: skip
        assert written in text
        text = text.replace(written, ours)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; user root; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary}\n{text}}}\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log")]


@dataclass
class Front:
    """A proxy and what stands behind it."""

    port: int
    certificate: Path
    replicas: list[ServiceProcess]

    def connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.certificate))
        return http.client.HTTPSConnection("localhost", self.port, timeout=60, context=context)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], Any]:
        """One request through the proxy, its certificate verified."""
        connection = self.connect()
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            raw = answer.read()
            kept = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, kept, json.loads(raw) if "json" in kept.get("content-type", "") else raw
        finally:
            connection.close()

    def submit(self, key: str, tokens: int = 1) -> Any:
        body = {"key": key, "labels": {"provider": "acme"}, "estimate": {"output": tokens}}
        status, _, answer = self.ask("POST", "/v1/tickets", body)
        assert status == 200, answer
        return answer

    def is_there(self) -> bool:
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False


@pytest.fixture(params=[haproxy, nginx], ids=["HAProxy", "nginx"])
def front(
    request: pytest.FixtureRequest, program: Callable[[str], str], postgres_dsn: str, tmp_path: Path
) -> Iterator[Front]:
    program(request.param.__name__)
    certificate(tmp_path, "front")
    places = [Place(tmp_path / name) for name in ("one", "two")]
    for place in places:
        place.home.mkdir()
        place.config(CONFIG.format(database=postgres_dsn, hash=sha256(TOKEN.encode()).hexdigest()))
    port = free_port()
    with ServiceProcess(places[0]) as one, ServiceProcess(places[1]) as two:
        one.ready()
        two.ready()
        with (tmp_path / "proxy.log").open("wb") as log:
            command = request.param(tmp_path, port, [one.port, two.port])
            proxy = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            front = Front(port, tmp_path / "cert.pem", [one, two])
            until(front.is_there, what=f"an answer through {command[0]}: {(tmp_path / 'proxy.log').read_text()}")
            yield front
        finally:
            proxy.terminate()
            proxy.wait(10)


def test_runners_and_the_page_work_through_it_while_a_replica_ends(front: Front) -> None:
    assert_https_is_seen(front)
    assert_a_parked_question_is_answered(front)
    assert_a_stream_comes_as_it_is_told(front)
    assert_nobody_notices_that_a_replica_ends(front)


def assert_https_is_seen(front: Front) -> None:
    """The service knows that it was asked over HTTPS; the page may write from there, another site may not."""
    _, headers, _ = front.ask("GET", "/v1/limits")
    assert headers["strict-transport-security"] == "max-age=31536000"


def assert_a_parked_question_is_answered(front: Front) -> None:
    """Parked at one replica, woken through another, and answered at once."""
    first, second = front.submit("first", 900), front.submit("second", 500)
    assert (first["state"], second["state"]) == ("running", "waiting")
    answers: list[Any] = []

    def park() -> None:
        """As runners do: whatever changes about the ticket answers, and who still waits asks again."""
        while not answers or answers[-1]["state"] == "waiting":
            answers.append(front.ask("GET", f"/v1/tickets/{second['id']}?wait=30")[2])

    thread = threading.Thread(target=park)
    thread.start()
    time.sleep(0.5)  # it is to be parked by then; if it is not, the answer is the same
    began = time.monotonic()
    lease = first["lease"]
    release = {"fence": lease["fence"], "status": "completed", "usage": {"output": 10}}
    assert front.ask("POST", f"/v1/leases/{lease['id']}/release", release)[0] == 200
    thread.join(30)
    assert (answers[-1]["state"], len(answers) < 5) == ("running", True), answers
    assert time.monotonic() - began < 10


def assert_a_stream_comes_as_it_is_told(front: Front) -> None:
    """News, and a sign of life within the time that the page waits for one; nothing is held back on the way."""
    connection = front.connect()
    connection.request("GET", "/v1/page/events", headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    began, kinds = time.monotonic(), []
    while len(kinds) < 3:
        line = answer.readline()
        kinds += [line.split()[1]] if line.startswith(b"event:") else []
    assert set(kinds) <= {b"news", b"beat"}
    assert time.monotonic() - began < 20
    connection.close()


def assert_nobody_notices_that_a_replica_ends(front: Front) -> None:
    """Every ticket is answered while one replica drains and ends."""
    statuses: list[int] = []
    enough = threading.Event()

    def work(worker: int) -> None:
        number = 0
        while not enough.is_set():
            body = {"key": f"w{worker}-{number}", "labels": {"provider": "other"}, "estimate": {"output": 1}}
            statuses.append(front.ask("POST", "/v1/tickets", body)[0])
            number += 1

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: len(statuses) > 20, what="work")
    assert front.replicas[0].terminate() == 0
    after = len(statuses)
    until(lambda: len(statuses) > after + 20, what="work at the other")
    enough.set()
    for thread in threads:
        thread.join(30)
    assert set(statuses) == {200}


def test_verbs_trust_a_certificate_that_they_are_told_of(front: Front, tmp_path: Path) -> None:
    place = Place(tmp_path / "runner")
    place.home.mkdir()
    place.environ |= {"QUOTA_URL": f"https://localhost:{front.port}", "QUOTA_TOKEN": TOKEN}
    for verb in (("status",), ("run", "--label", "provider=acme", "--key", "a", "--estimate", "1", "--", "true")):
        said = place.run(*verb)
        assert "certificate" in said.stderr, (verb, said)
        assert "SSL_CERT_FILE" in said.stderr, (verb, said)
        assert "Traceback" not in said.stderr
    place.environ["SSL_CERT_FILE"] = os.fspath(front.certificate)
    status = place.run("status")
    assert (status.returncode, "daily" in status.stdout) == (0, True), status
