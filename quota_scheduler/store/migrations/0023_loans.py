"""Who owes whom within a pool, and when that was paid back; amounts in the base of the limit's unit."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """A loan has ended when ``ended_at`` is there; ``ended`` says how."""
    db.execute_sql(
        "CREATE TABLE loans (id INTEGER PRIMARY KEY, pool TEXT NOT NULL, lender TEXT NOT NULL, borrower TEXT NOT NULL, "
        "amount BIGINT NOT NULL, most BIGINT NOT NULL, since BIGINT NOT NULL, ends_at BIGINT, ended_at BIGINT, "
        "ended TEXT NOT NULL)"
    )
    db.execute_sql("CREATE INDEX loans_open ON loans (ended_at)")
