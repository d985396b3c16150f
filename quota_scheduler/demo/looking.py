"""What the service says of itself, looked at as often as somebody blinks."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from quota_scheduler.client.transport import Transport

Row = dict[str, Any]
LOW_LOOKED_AT = 3
"""Waiting tickets of class low whose expected start is asked for with each look."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Answers of one moment. ``limits`` by name; ``tickets``: by id, those that are waiting and were asked for."""

    at: datetime
    limits: dict[str, Row]
    waiting: list[Row]
    running: list[Row]
    alerts: list[Row]
    loans: list[Row]
    tickets: dict[str, Row] = field(default_factory=dict)


def look(service: Transport) -> Sight:
    """Ask for everything that the demo tells of. Raises the client's errors."""
    limits, queue = service.ask("GET", "/v1/limits"), service.ask("GET", "/v1/queue")
    low = [row["id"] for row in queue["waiting"] if row["class"] == "low"][:LOW_LOOKED_AT]
    return Sight(
        at=datetime.fromisoformat(queue["at"]),
        limits={row["limit"]: row for row in limits["limits"]},
        waiting=queue["waiting"],
        running=queue["running"],
        alerts=service.ask("GET", "/v1/alerts")["alerts"],
        loans=service.ask("GET", "/v1/loans?days=1")["loans"],
        tickets={name: service.ask("GET", f"/v1/tickets/{name}?claim=no") for name in low},
    )


def is_ready(service: Transport) -> bool:
    """Whether it takes work, has read the history, and has forecast from it."""
    answer = service.ask("GET", "/v1/limits", patience=0.0)
    rows = answer["limits"]
    return (
        bool(rows)
        and not any(source["catching_up"] for source in answer["sources"])
        and all((row["forecast"] or {}).get("sufficient") for row in rows)
    )
