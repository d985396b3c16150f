"""What histories came to when they were kept last: a start goes on from there, and reads the hours that moved since."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Create the table. ``counting`` says how limits counted, ``body`` is base64, which both databases hold alike."""
    db.execute_sql(
        "CREATE TABLE kept_histories (instance TEXT PRIMARY KEY, as_of BIGINT NOT NULL, counting TEXT NOT NULL, "
        "body TEXT NOT NULL)"
    )
