"""Reports of a provider as the running service reads them: kept, shown as a source, and a spend limit that is seen."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from quota_scheduler.core.units import MICRO
from quota_scheduler.service.keep_bills import bill_lines
from quota_scheduler.store import read_only
from tests.system.service_process import Place, ServiceProcess, until

pytestmark = pytest.mark.system


class Reports(BaseHTTPRequestHandler):
    """An organisation of OpenAI that spent six cents today."""

    def do_GET(self) -> None:
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        span = {"start_time": int(today.timestamp()), "end_time": int((today + timedelta(days=1)).timestamp())}
        cost = {"amount": {"value": 0.06, "currency": "usd"}, "line_item": "gpt-5.5", "project_id": None}
        rows = [span | {"results": [cost]}] if "/costs" in self.path else []
        self.send_response(200 if self.headers["authorization"] == "Bearer sk-admin-EXAMPLE" else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"object": "page", "data": rows, "has_more": False}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_the_service_reads_the_bill(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Reports)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    place = Place(tmp_path)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    place.config(f"bills: [{{provider: openai, account: org, key: sk-admin-EXAMPLE, url: '{url}'}}]\n")
    with ServiceProcess(place) as service:
        service.ready()
        until(lambda: service.sample("quota_source_lag_seconds", source="bill/openai/org"), what="the bill as a source")

        def charged() -> float:
            now = datetime.now(UTC)
            with read_only(place.database) as tx:
                lines = bill_lines(tx, now - timedelta(days=2), now + timedelta(days=2))
            return sum(line.usage.cost_microusd for line in lines) / MICRO

        until(lambda: charged() == 0.06, what="six cents")
        assert "sk-admin" not in service.said
    server.shutdown()
    server.server_close()
