"""HTTPS by itself: a certificate of the test's own, exchanged while it serves, and the verbs that talk to it."""

import json
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.system.service_process import Place, ServiceProcess, until

pytestmark = pytest.mark.system


def certificate(folder: Path, name: str) -> None:
    """A certificate for localhost and its key, signed by itself."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip


def served(port: int) -> str:
    """The certificate that is served, as PEM; empty while nobody answers."""
    try:
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=5)
    except OSError:
        return ""


class SecureProcess(ServiceProcess):
    """A service that is ready once it serves a certificate."""

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.said
        return bool(served(self.port))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("tls"))
    certificate(place.home, "first")
    place.config("tls: {certificate: cert.pem, key: key.pem}\n")
    return place


def test_it_serves_with_a_certificate_and_takes_a_new_one_while_it_serves(place: Place) -> None:
    with SecureProcess(place) as service:
        service.ready()
        first = served(service.port)
        assert first.strip() == (place.home / "cert.pem").read_text().strip()
        assert f"listens on https://127.0.0.1:{service.port}" in service.said

        asked = place.run("--listen", f"127.0.0.1:{service.port}", "limits", "list", "--json")
        assert (asked.returncode, [one["id"] for one in json.loads(asked.stdout)]) == (
            0,
            ["anthropic-monthly", "run-cap"],
        )
        headers = answer_of(service.port, place.home / "cert.pem")
        assert "strict-transport-security: max-age=31536000" in headers
        assert "x-frame-options: deny" in headers

        with socket.create_connection(("127.0.0.1", service.port), timeout=5) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200" not in plain.recv(100)

        certificate(place.home, "second")
        service.process.send_signal(signal.SIGHUP)
        until(lambda: served(service.port).strip() == (place.home / "cert.pem").read_text().strip(), what="the new one")

        (place.home / "key.pem").write_text("no key\n")
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "tls.rejected" in service.said, what="the sentence about the wrong key")
        assert served(service.port).strip() == (place.home / "cert.pem").read_text().strip()


def answer_of(port: int, trusted: Path) -> str:
    """The head of an answer, verified, in lower case."""
    context = ssl.create_default_context(cafile=str(trusted))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as secure,
    ):
        secure.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return secure.recv(4000).decode().lower()


WRONG = [
    pytest.param("tls: {certificate: nowhere.pem, key: key.pem}\n", "No such file or directory", id="no certificate"),
    pytest.param("tls: {certificate: quota.yaml, key: quota.yaml}\n", "quota.yaml cannot be served", id="no PEM"),
    pytest.param("tls: {certificate: cert.pem}\n", "tls.key: is missing", id="no key"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_a_certificate_that_cannot_be_served_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    place = Place(tmp_path)
    place.config(text)
    said = place.run("--listen", "127.0.0.1:0", "serve")
    assert said.returncode in (1, 2)
    assert sentence in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("trusted", "believed"),
    [
        pytest.param("trusted_proxies: [127.0.0.0/8]\n", True, id="from a proxy that is named"),
        pytest.param("trusted_proxies: [10.0.0.0/8]\n", False, id="from anybody else"),
    ],
)
def test_who_says_that_it_was_https_is_believed(tmp_path: Path, trusted: str, believed: bool) -> None:
    place = Place(tmp_path)
    place.config(trusted)
    with ServiceProcess(place) as service:
        answer = service.ready().ask("GET", "/healthz", headers={"X-Forwarded-Proto": "https"})
        assert ("strict-transport-security" in answer.headers) is believed
