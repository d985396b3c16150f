"""Comments at issues: which issue a ticket names, and what has been written there and is still owed."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """``due_at`` is when it is written or looked at next, null for nothing to do; ``version`` grows with each change.

    ``comment`` is GitHub's number of the comment, 0 while none is known; ``said`` a hash of its text; ``barred`` the
    limits that turned its ticket away, as JSON.
    """
    db.execute_sql("ALTER TABLE tickets ADD COLUMN comment_on TEXT NOT NULL DEFAULT ''")
    db.execute_sql(
        "CREATE TABLE comments (repo TEXT NOT NULL, issue BIGINT NOT NULL, workflow TEXT NOT NULL, "
        "ticket BIGINT NOT NULL, changed_at BIGINT NOT NULL, due_at BIGINT, version BIGINT NOT NULL, "
        "comment BIGINT NOT NULL, said TEXT NOT NULL, barred TEXT NOT NULL, attempts INTEGER NOT NULL, "
        "problem TEXT NOT NULL, PRIMARY KEY (repo, issue, workflow))"
    )
    db.execute_sql("CREATE INDEX comments_due ON comments (due_at) WHERE due_at IS NOT NULL")
