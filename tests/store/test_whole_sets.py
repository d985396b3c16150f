"""Statements for one row as statements for a set."""

import pytest

from quota_scheduler.store.whole_sets import document, whole


def test_an_insert_takes_its_rows_from_one_document() -> None:
    assert whole("INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT (a) DO UPDATE SET b = excluded.b", 8) == (
        "INSERT INTO t (a, b) SELECT a, b FROM json_populate_recordset(CAST(NULL AS t), CAST(? AS json)) AS j "
        "WHERE true ON CONFLICT (a) DO UPDATE SET b = excluded.b",
        ("a", "b"),
    )


def test_an_update_finds_each_row_by_its_key() -> None:
    assert whole("UPDATE t SET a = ?, b = ? WHERE id = ?", 8) == (
        "UPDATE t SET a = j.a, b = j.b FROM "
        "(SELECT * FROM json_populate_recordset(CAST(NULL AS t), CAST(? AS json)) LIMIT 8) AS j WHERE t.id = j.id",
        ("a", "b", "id"),
    )


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("UPDATE t SET a = a + ? WHERE id = ?", id="what adds to a row needs each in its turn"),
        pytest.param("UPDATE t SET a = ? WHERE id = ? AND b < ?", id="a second condition"),
        pytest.param("INSERT INTO t (a) VALUES (? + 1)", id="a value that is computed"),
        pytest.param("DELETE FROM t WHERE id = ?", id="neither an insert nor an update"),
    ],
)
def test_any_other_statement_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match="not a statement for a set of rows"):
        whole(sql, 1)


def test_rows_become_what_our_tables_hold() -> None:
    rows = [(1, True, None, 'a "quoted" \\u0000 word'), (2, False, 1.5, "an\0end")]
    assert document(("id", "flag", "none", "text"), rows) == (
        '[{"id":1,"flag":1,"none":null,"text":"a \\"quoted\\" \\\\u0000 word"},'
        '{"id":2,"flag":0,"none":1.5,"text":"an\ufffdend"}]'
    )
