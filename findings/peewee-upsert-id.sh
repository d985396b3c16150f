#!/usr/bin/env bash
# peewee on SQLite: an upsert that changed nothing returns the id of another row.
#
# Guess:   Model.insert(...).on_conflict(..., where=...).execute() returns the id of the row concerned, or something that
#          says "nothing done" (0, None).
# Package: PyPI peewee 4.5.3, SQLite.
# Seen:    it returns the connection's last insert id. "Replace if larger" on key a (row 1) with a smaller value returns 2,
#          the id of row b, which was inserted last; a successful replacement of row 1 returns 2 as well;
#          on_conflict_ignore() of an existing key returns 2, too. With returning(...) the answer is right: no row, one row.
# Why it matters: "keep the larger of two copies of one response" is the upsert of usage meters. Whoever books the returned
#          id (difference, label, audit row) books it on a stranger. Use returning(), or as_rowcount().
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check peewee==4.5.3

cat >"$work/probe.py" <<'PROBE'
import peewee

db = peewee.SqliteDatabase(":memory:")
class Usage(peewee.Model):
    key = peewee.CharField(unique=True)
    tokens = peewee.IntegerField()
    class Meta:
        database = db
db.create_tables([Usage])
print("insert a:", Usage.insert(key="a", tokens=50).execute(), "| insert b:", Usage.insert(key="b", tokens=50).execute())
def keep_larger(tokens):
    return Usage.insert(key="a", tokens=tokens).on_conflict(conflict_target=[Usage.key], preserve=[Usage.tokens],
                                                           where=peewee.EXCLUDED.tokens > Usage.tokens)
print("a with 30 (refused):", keep_larger(30).execute(), "| a with 90 (replaced):", keep_larger(90).execute(),
      "| a again, ignore:", Usage.insert(key="a", tokens=1).on_conflict_ignore().execute())
print("with returning: refused", [row.id for row in keep_larger(40).returning(Usage.id).execute()],
      "replaced", [row.id for row in keep_larger(99).returning(Usage.id).execute()])
print("with as_rowcount: refused", keep_larger(41).as_rowcount().execute(), "replaced", keep_larger(100).as_rowcount().execute())
print("table:", [(row.id, row.key, row.tokens) for row in Usage.select()])
PROBE

cat >"$work/recorded" <<'RECORDED'
insert a: 1 | insert b: 2
a with 30 (refused): 2 | a with 90 (replaced): 2 | a again, ignore: 2
with returning: refused [] replaced [1]
with as_rowcount: refused 0 replaced 1
table: [(1, 'a', 100), (2, 'b', 50)]
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
