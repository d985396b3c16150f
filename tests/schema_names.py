"""Names of tables and columns, whichever database it is."""

from quota_scheduler.store import Transaction


def tables(tx: Transaction) -> list[str]:
    """Every table."""
    where = {
        "SQLite": "SELECT name FROM sqlite_master WHERE type = 'table'",
        "PostgreSQL": "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()",
    }
    return [row[0] for row in tx.rows(where[tx.about().name])]


def columns(tx: Transaction, table: str) -> list[str]:
    """The columns of a table, in order."""
    if tx.about().name == "SQLite":
        return [row[1] for row in tx.rows(f"PRAGMA table_info({table})")]
    listed = (
        "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = ?"
    )
    return [row[0] for row in tx.rows(f"{listed} ORDER BY ordinal_position", (table,))]
