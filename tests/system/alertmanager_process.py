"""A Prometheus with our rules and an Alertmanager with our routes, and a webhook that keeps what it is told."""

import json
import subprocess
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.error import URLError
from urllib.request import Request, urlopen

import yaml

from quota_scheduler.data_files import data_dir
from tests.system.prometheus_process import PrometheusProcess
from tests.system.service_process import free_port, until

FOLDER = data_dir("alerts")
AT_ONCE = {"QuotaUsageHigh": {"for": "0s", "keep_firing_for": "1s"}, "QuotaSchedulerDown": {"for": "0s"}}
"""All that is changed about the committed rules, so that the test need not wait for minutes."""


class Webhook:
    """Keeps every alert that Alertmanager sends, by receiver; ends with the ``with`` block."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                webhook.got += [(self.path.strip("/"), alert) for alert in body["alerts"]]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def told(self, status: str, **labels: str) -> list[tuple[str, dict[str, Any]]]:
        """Receiver and alert of what came with these labels."""
        return [
            (receiver, alert)
            for receiver, alert in list(self.got)
            if alert["status"] == status and labels.items() <= alert["labels"].items()
        ]


class PlainText:
    """Hands scrapes on to the service, asking for the text format 0.0.4, whatever Prometheus asks for."""

    def __init__(self, service: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = Request(f"http://127.0.0.1:{service}/metrics", headers={"Accept": "text/plain;version=0.0.4"})
                try:
                    with urlopen(asked, timeout=5) as answer:
                        status, kind, body = 200, answer.headers["Content-Type"], answer.read()
                except (URLError, ConnectionError):
                    status, kind, body = 502, "text/plain", b""
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class AlertmanagerProcess:
    """The committed example, with the webhook's address and without its waits."""

    def __init__(self, folder: Path, webhook: int) -> None:
        folder.mkdir(exist_ok=True)
        self.port, self.log = free_port(), folder / "log"
        config = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
        for receiver in config["receivers"]:
            receiver["webhook_configs"][0]["url"] = f"http://127.0.0.1:{webhook}/{receiver['name']}"
        for route in (config["route"], *config["route"]["routes"]):
            route.update(group_wait="0s", group_interval="1s")
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
        command = [
            "prometheus-alertmanager",
            f"--config.file={folder / 'alertmanager.yml'}",
            "--cluster.listen-address=",
        ]
        command += [f"--storage.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*command, "--log.level=warn"], stdout=log, stderr=log)

    def __enter__(self) -> Self:
        until(self._is_ready, what=f"Alertmanager: {self.log.read_text()!r}")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with suppress(URLError, ConnectionError), urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5):
            return True
        return False


class Watching(PrometheusProcess):
    """Prometheus with the committed rules, scraping one service in both formats and telling an Alertmanager."""

    def __init__(self, folder: Path, *, service: int, plain: int, alertmanager: int) -> None:
        folder.mkdir(exist_ok=True)
        rules = yaml.safe_load((FOLDER / "prometheus-rules.yml").read_text())
        for group in rules["groups"]:
            for rule in group["rules"]:
                rule.update(AT_ONCE.get(rule.get("alert", ""), {}))
        (folder / "rules.yml").write_text(yaml.safe_dump(rules))
        jobs = {"quota-scheduler": service, "plain-text": plain}
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
                for name, port in jobs.items()
            ],
        }
        self.folder, self.port = folder, free_port()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
        # an alert that fired before the Alertmanager was known is sent again at once, not after a minute
        command += ["--log.level=error", "--rules.alert.resend-delay=1s", f"--web.listen-address=127.0.0.1:{self.port}"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
