"""Facts: single values that outlive a restart, by name."""

from quota_scheduler.store import Transaction


def fact(tx: Transaction, name: str) -> str | None:
    """A remembered fact, None when there is none."""
    value: str | None = tx.scalar("SELECT value FROM meta WHERE name = ?", (name,))
    return value


def facts_below(tx: Transaction, prefix: str) -> dict[str, str]:
    """Remembered facts whose names begin with a prefix, by the rest of their names, in order."""
    rows = tx.rows("SELECT name, value FROM meta WHERE substr(name, 1, ?) = ? ORDER BY name", (len(prefix), prefix))
    return {row[0][len(prefix) :]: row[1] for row in rows}


def remember(tx: Transaction, name: str, value: str) -> None:
    """Remember a fact."""
    tx.send(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def forget(tx: Transaction, name: str) -> None:
    """Remember a fact no more."""
    tx.send("DELETE FROM meta WHERE name = ?", (name,))
