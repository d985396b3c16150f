"""Replicas that a test makes up: each serves what the product exposes of given readings, until it is stopped."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from prometheus_client import CollectorRegistry

from quota_scheduler.core.readings.readings import Readings
from quota_scheduler.metrics import Metrics


class Replica:
    """One process to scrape. Ends with the ``with`` block, however it goes."""

    def __init__(self, readings: Readings, *, leads: bool = False) -> None:
        self.metrics = Metrics(CollectorRegistry(), version="1.2.3", tasks=("recompute",), targets=("ops",))
        self.metrics.publish(readings)
        self.metrics.database_checked(up=True)
        self.metrics.task_ran("recompute", 0.01)
        self.metrics.leads(leads)
        metrics = self.metrics

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body, headers = metrics.exposition(self.headers.get("Accept", ""))
                self.send_response(200)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Be gone: scrapes are refused from now on."""
        self._server.shutdown()
        self._server.server_close()
