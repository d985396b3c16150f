"""A service behind a socket that ticks when a test says so, and can be asked without a browser."""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from quota_scheduler.store import utc_now
from tests.shell.serving import Serving, serving_in


@dataclass
class Seen:
    """The service; ``token`` is sent with what a test asks beside the browser."""

    serving: Serving
    token: str = ""

    @property
    def url(self) -> str:
        """Where it is asked."""
        return self.serving.url

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request that must succeed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.serving.port, timeout=30)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        reply = connection.getresponse()
        content = json.loads(reply.read())
        connection.close()
        assert reply.status == 200, content
        return content

    def tick(self) -> None:
        """Publish new readings."""
        self.serving.service.tick()


@contextmanager
def seen_in(folder: Path, config: str, *, clock: Callable[[], datetime] = utc_now) -> Iterator[Seen]:
    """A service that has read its sources and ticked once; ``clock`` is its own."""
    with serving_in(folder, config, clock=clock) as serving:
        serving.service.read()
        serving.service.tick()
        serving.at_end.append(serving.service.drain)  # whoever listens is told, and nobody waits for them
        yield Seen(serving)
