"""A database whose disk is full, as far as one kind of statement at one table goes: a file's or a server's."""

from collections.abc import Iterator
from contextlib import contextmanager

from quota_scheduler.store import Store

SAYS = "disk is full"


@contextmanager
def full_disk(store: Store, event: str, table: str, when: str = "true") -> Iterator[None]:
    """Refuse every ``event`` (INSERT, UPDATE, DELETE) at a table as a full disk would, until the block ends."""
    head = f"CREATE TRIGGER full_disk BEFORE {event} ON {table} FOR EACH ROW WHEN ({when})"
    made, gone = [f"{head} BEGIN SELECT raise(abort, '{SAYS}'); END"], ["DROP TRIGGER full_disk"]
    if store.is_shared:
        raises = f"BEGIN RAISE EXCEPTION '{SAYS}' USING ERRCODE = 'disk_full'; END"
        made = [f"CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ {raises} $$"]
        made.append(f"{head} EXECUTE FUNCTION full_disk()")
        gone = [f"DROP TRIGGER full_disk ON {table}", "DROP FUNCTION full_disk()"]
    _run(store, made)
    try:
        yield
    finally:
        _run(store, gone)


def _run(store: Store, statements: list[str]) -> None:
    with store.transaction() as tx:
        for statement in statements:
            tx.execute(statement)
