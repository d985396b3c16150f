"""The columns that hold a usage, in the order of ``Usage``: the same in events, rollups, totals by labels and runs."""

from quota_scheduler.core.units import LARGEST_SUM

NAMES = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "requests",
    "cost",
    "unpriced",
    "cost_rest",
)
COLUMNS = ", ".join(NAMES)
ALL_ZERO = " AND ".join(f"{name} = 0" for name in NAMES)


def columns_of(table: str) -> str:
    """The columns of one table of a join."""
    return ", ".join(f"{table}.{name}" for name in NAMES)


def added(table: str) -> str:
    """The assignments of an upsert into a table that add what comes to what is there; a sum stays at its bound."""
    return ", ".join(f"{name} = min({LARGEST_SUM}, {table}.{name} + excluded.{name})" for name in NAMES)


def summed(table: str = "") -> str:
    """The sums over rows, of one table of a join if that is named; NULL for no rows.

    ``sum()`` fails where the true sum passes 2^63; ``total()`` adds in floating point, exact up to 2^53.
    """
    columns = [f"{table}.{name}" if table else name for name in NAMES]
    return ", ".join(
        f"CASE WHEN count({name}) > 0 THEN CAST(min({LARGEST_SUM}.0, total({name})) AS INTEGER) END" for name in columns
    )


def summed_of_some(table: str) -> str:
    """The same over rows of which there is at least one in each group: half the work."""
    return ", ".join(f"CAST(min({LARGEST_SUM}.0, total({table}.{name})) AS INTEGER)" for name in NAMES)
