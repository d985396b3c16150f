"""``track(llm, team=...)``: the short way, with a client of its own."""

from typing import Any, TypeVar

from quota_scheduler.client.connection import Client

T = TypeVar("T")


def track(llm: T, *, client: Client | None = None, **options: Any) -> T:
    """Watch an SDK's client by a team's budget: ``Client.track`` of a client that QUOTA_URL and QUOTA_TOKEN name.

    Without ``client``, calls go on while the service is away (``fail="open"``); their usage is told later.

    >>> ask = track(lambda model: None, team="docs")
    >>> ask(model="claude-haiku-4-5") is None
    True
    """
    chosen = client or Client(fail="open")
    return chosen.track(llm, **options)
