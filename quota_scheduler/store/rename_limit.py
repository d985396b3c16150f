"""A limit under another name: everything that is stored under the old id follows."""

from quota_scheduler.store import Transaction

BY_RULE = ("rules.id", "windows.rule", "turned_away.rule", "quality.rule", "limit_changes.rule")
"""Columns that hold the id of a limit."""
BY_INSTANCE = (
    "tracks.instance",
    "predictions.instance",
    "unmet.instance",
    "outlooks.instance",
    "readings.name",
    "alert_states.scope",
    "decision_counts.instance",
    "deferred_under.instance",
)
"""Columns that hold the name of an instance: the id, or the id and a value behind a slash."""


def follow(tx: Transaction, old: str, new: str) -> None:
    """Let windows, levels, forecasts, quality, changes by hand and alerts of ``old`` be those of ``new``.

    What an earlier limit of the new name had left behind gives way.
    """
    for place in BY_RULE:
        table, column = place.split(".")
        tx.execute(f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {column} = ?", (new, old))
    for place in BY_INSTANCE:
        table, column = place.split(".")
        tx.execute(
            f"UPDATE OR REPLACE {table} SET {column} = ? || substr({column}, ?) "
            f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
            (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
        )
