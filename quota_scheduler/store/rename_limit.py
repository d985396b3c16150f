"""A limit under another name: everything that is stored under the old id follows."""

from quota_scheduler.store import Transaction

BY_RULE = {
    "rules.id": (),
    "windows.rule": ("value", "starts_at", "end_reason"),
    "turned_away.rule": ("value", "starts_at", "rank"),
    "quality.rule": ("value", "starts_at"),
    "limit_changes.rule": ("field",),
}
"""Columns that hold the id of a limit, and what else must not stand twice beside it."""
BY_INSTANCE = {
    "tracks.instance": (),
    "ramps.instance": (),
    "predictions.instance": ("starts_at", "part"),
    "unmet.instance": ("hour", "rank"),
    "outlooks.instance": (),
    "readings.name": (),
    "alert_states.scope": ("rule", "episode"),
    "decision_counts.instance": ("hour", "class", "decision", "reason"),
}
"""Columns that hold the name of an instance, the id, or the id and a value behind a slash; likewise."""
FREELY = "deferred_under.instance"
"""The same, where any number of rows may hold one name."""


def follow(tx: Transaction, old: str, new: str) -> None:
    """Let windows, levels, forecasts, quality, changes by hand and alerts of ``old`` be those of ``new``.

    What an earlier limit of the new name had left behind gives way.
    """
    for place, beside in BY_RULE.items():
        table, column = place.split(".")
        same = _same(table, beside)
        if table == "windows":  # only of windows that ran their course there may be one
            same += " AND windows.end_reason = ''"
        tx.send(
            f"DELETE FROM {table} WHERE {column} = ? AND EXISTS "
            f"(SELECT 1 FROM {table} AS mine WHERE mine.{column} = ?{same})",
            (new, old),
        )
        tx.send(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, old))
    below = f"{old}/"
    for place, beside in BY_INSTANCE.items():
        table, column = place.split(".")
        tx.send(
            f"DELETE FROM {table} WHERE EXISTS (SELECT 1 FROM {table} AS mine WHERE "
            f"(mine.{column} = ? OR substr(mine.{column}, 1, ?) = ?) "
            f"AND {table}.{column} = CAST(? AS TEXT) || substr(mine.{column}, ?){_same(table, beside)})",
            (old, len(below), below, new, len(old) + 1),
        )
        _rename_instances(tx, table, column, old, new)
    table, column = FREELY.split(".")
    _rename_instances(tx, table, column, old, new)


def _same(table: str, columns: tuple[str, ...]) -> str:
    return "".join(f" AND mine.{name} = {table}.{name}" for name in columns)


def _rename_instances(tx: Transaction, table: str, column: str, old: str, new: str) -> None:
    tx.send(
        f"UPDATE {table} SET {column} = CAST(? AS TEXT) || substr({column}, ?) "
        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
    )
