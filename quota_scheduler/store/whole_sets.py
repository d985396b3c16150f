"""Many rows in one statement, for PostgreSQL: the rows come as one JSON document, typed by the table itself.

One statement for each row is parsed and planned for each, which cost more than deciding about it.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

_encoded = msgspec.json.Encoder().encode
_ODD = (b":true", b":false", b"\\u0000")
"""What stands in JSON where a row holds a truth value or U+0000."""
_INSERT = re.compile(r"INSERT INTO (\w+) \(([\w, ]+)\) VALUES \([?, ]+\)(.*)", re.DOTALL)
_UPDATE = re.compile(r"UPDATE (\w+) SET ((?:\w+ = \?(?:, )?)+) WHERE (\w+) = \?")


@lru_cache(256)
def whole(sql: str, most: int) -> tuple[str, tuple[str, ...]]:
    """A statement for one row as one for a set of ``most`` at the most, and the names of its columns.

    It is in our spelling with one parameter. ``most`` is a power of two, so that few statements stand for all sets; the
    server learns from it how many rows will be looked up, and does not read a whole table for the hundred that it takes
    any document for. The statement is an INSERT with plain VALUES, or an UPDATE that sets columns WHERE one column is
    something. Raises ValueError for any other.
    """
    if insert := _INSERT.fullmatch(sql):
        table, columns, conflict = insert.groups()
        # a condition, since without one the ON of a conflict would be read as that of a join
        return (
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {_rows(table)} AS j WHERE true{conflict}",
            _names(columns),
        )
    if update := _UPDATE.fullmatch(sql):
        table, settings, key = update.groups()
        columns = _names(settings.replace(" = ?", ""))
        moved = ", ".join(f"{name} = j.{name}" for name in columns)
        return f"UPDATE {table} SET {moved} FROM {_some(table, most)} WHERE {table}.{key} = j.{key}", (*columns, key)
    raise ValueError(f"not a statement for a set of rows: {sql}")


def _rows(table: str) -> str:
    return f"json_populate_recordset(CAST(NULL AS {table}), CAST(? AS json))"


def _some(table: str, most: int) -> str:
    return f"(SELECT * FROM {_rows(table)} LIMIT {most}) AS j"


def _names(columns: str) -> tuple[str, ...]:
    return tuple(columns.split(", "))


def document(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as the JSON that the statement takes; truth values are numbers, and the one sign no text may hold is not."""
    named = [dict(zip(names, row, strict=True)) for row in rows]
    text = _encoded(named)
    if any(sign in text for sign in _ODD):  # perhaps within a text: most sets have none at all
        text = _encoded([{name: _plain(value) for name, value in row.items()} for row in named])
    return text.decode()


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd") if "\0" in value else value
    return int(value) if isinstance(value, bool) else value
