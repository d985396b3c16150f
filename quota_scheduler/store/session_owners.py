"""Whose the calls of sessions are, as far as they are recorded."""

import json
from collections.abc import Collection

from quota_scheduler.core.labels import Labels
from quota_scheduler.store import Transaction
from quota_scheduler.store.lists import TEXTS

_LABELS = (
    "SELECT DISTINCT e.session, l.provider, l.account, l.model, l.team, l.project, l.workflow, l.task_type, l.agent "
    "FROM events e JOIN label_sets l ON l.id = e.label_set "
    f"WHERE e.session IN {TEXTS} AND e.session != ''"
)


def labels_of(tx: Transaction, sessions: Collection[str]) -> list[tuple[str, Labels]]:
    """Each session with every set of labels that calls of it are recorded under."""
    if not sessions:
        return []
    return [(row[0], Labels(*row[1:])) for row in tx.rows(_LABELS, (json.dumps(sorted(sessions)),))]
