"""The audit log: who changed what by hand."""

import json
from collections.abc import Mapping
from typing import Any

from quota_scheduler.core.instants import to_micros
from quota_scheduler.store import Transaction


def write(tx: Transaction, who: str, what: str, detail: Mapping[str, Any]) -> None:
    """Write down who changed what by hand."""
    values = (to_micros(tx.now), who, what, json.dumps(detail, default=str))
    tx.execute("INSERT INTO audit (at, who, what, detail) VALUES (?, ?, ?, ?)", values)
