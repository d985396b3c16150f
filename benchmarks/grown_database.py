"""A database as it looks after a long time: events, their sums, and closed tickets, written as the store keeps them.

Everything follows from row numbers, so that two databases of one size are the same but for the instant they end at.
Every second event is a run of its own, as what a released lease reports is; the others come from sessions of fifty.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from quota_scheduler.core.instants import HOUR_MICROS, to_micros
from quota_scheduler.price_catalog import Prices
from quota_scheduler.service.reprice import PRICES
from quota_scheduler.store import Store, Transaction, facts, postgres_pulse
from quota_scheduler.store.usage_columns import COLUMNS, NAMES

TEAMS, WORKFLOWS, DAYS = 20, 40, 60
MODELS = ("claude-opus-5-5", "claude-sonnet-5")
KEPT_HOURS = 24
"""Closed tickets are forgotten after so long: all of them ended within it."""
EVENTS_A_RUN = 100
CONFIG = """
sources: {claude_code: {enabled: false}, codex: {enabled: false}}
limits:
  - {id: monthly, match: {provider: anthropic}, unit: tokens, amount: 900T, window: month, holdback: 0}
  - {id: weekly, match: {provider: anthropic}, unit: usd, amount: 900M, window: week, holdback: 0}
  - {id: session, match: {provider: anthropic}, unit: tokens, amount: 90T, window: {session: 5h}, holdback: 0}
  - {id: calls, match: {provider: anthropic}, unit: requests, amount: 900M, window: day, holdback: 0}
  - {id: running, unit: leases, amount: 900M}
  - {id: team-daily, per: team, unit: usd, amount: 900M, window: day, holdback: 0}
  - {id: full, match: {team: waits}, unit: tokens, amount: 1000, window: day, holdback: 0}
"""
"""Twenty-five instances once all teams have used something."""
_NUMBERS = (
    "WITH RECURSIVE n (i) AS "
    "(SELECT CAST(?6 AS INTEGER) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < CAST(?1 AS INTEGER)) "
)
"""Row numbers as both engines count them, in 64 bits, from ?6 to before ?1."""
SLICE = 500_000
"""Rows of one statement: ten million at once take minutes, and a server that is busy for so long is given up."""
_WIDE = "substr(CAST(1000000000000000000 + i AS TEXT), 2)"
"""A row's number in 18 digits."""
_FACTS = (
    "run, session, message, sidechain, flags, prompt_version, status, estimated, recorded_at, terms, origin, extent"
)
_RUN = f"CASE WHEN i % 2 = 0 THEN 'run-' || (i / {EVENTS_A_RUN}) ELSE 'ticket:' || (i / 2) END"
_SESSION = f"CASE WHEN i % 2 = 0 THEN 'run-' || (i / {EVENTS_A_RUN}) ELSE '' END"
_EVENTS = (
    f"{_NUMBERS}INSERT INTO events (provider, key, at, label_set, {COLUMNS}, {_FACTS}) "
    f"SELECT 'anthropic', 'req_000000' || {_WIDE}, ?2 + (i * 2654435761) % ?3, 1 + (i * 40503) % ?4, i % 100, "
    "(i * 7919) % 200000, (i * 104729) % 3000, 0, (i * 1299709) % 3000, 1, (i * 15485863) % 100000, 0, "
    f"(i * 32452843) % 1000000, {_RUN}, {_SESSION}, "
    f"'msg_000000' || {_WIDE}, 0, '[]', '', '', 0, ?2 + (i * 2654435761) % ?3, '-', 'claude_code', '' FROM n"
)
_SUMS = ", ".join(f"sum({name})" for name in NAMES)
_TICKETS = (
    f"{_NUMBERS}INSERT INTO tickets (id, key, body, state, priority, labels, estimate, created_at, waiting_since, ttl, "
    "run, session, flags, wait_until, offers, fence, outcome, reason, closed_at, was_deferred, held) "
    f"SELECT i + 1, 'past-' || i, '{'0' * 46}' || {_WIDE}, 'closed', 'low', ?4, ?5, ?2 + i * ?3, ?2 + i * ?3, "
    "60000000, '', '', '[]', NULL, 0, i + 1, 'completed', '', ?2 + i * ?3 + 1000000, 0, 0 FROM n"
)
_LEASES = (
    f"{_NUMBERS}INSERT INTO leases SELECT i + 1, i + 1, ?2 + i * ?3, ?2 + i * ?3 + 60000000, 60000000, '', '[]', '[]', "
    "?2 + i * ?3 + 1000000 FROM n"
)
_RESERVED = (
    f"{_NUMBERS}INSERT INTO reservations SELECT i + 1, w.id, 1000, 0, 1000, 0, 0, 1000 FROM n CROSS JOIN windows w"
)
PATIENCE_SECONDS = 1_800.0
"""How long a statement may take here, and a server be silent: sums and indexes over ten million rows take minutes."""
_INDEXES = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND indexdef LIKE 'CREATE INDEX%' "
    "AND tablename IN ('events', 'runs', 'tickets', 'leases', 'reservations')"
)


def build(folder: Path, *, events: int, tickets: int, now: datetime, url: str = "", days: int = DAYS) -> Path | str:
    """Write a database of so many events of 60 days and so many tickets that closed within the last day.

    It lies in a file of the folder, or on a server at ``url``.
    """
    (folder / "quota.yaml").write_text(CONFIG)
    database = url or folder / "quota.db"
    postgres_pulse.LONGEST_SECONDS = PATIENCE_SECONDS
    with (
        Store(database, clock=lambda: now, patience=PATIENCE_SECONDS) as store,
        store.transaction() as tx,
        _indexed_later(tx, is_server=bool(url)),
    ):
        if events or tickets:
            _label_sets(tx)
        if events:
            _fill_ledger(tx, events, to_micros(now), days)
        if tickets:
            _fill_tickets(tx, tickets, to_micros(now))
        _add_up(tx)
        facts.remember(tx, PRICES, Prices().fingerprint)  # long since charged: no sweep is due
    return database


@contextmanager
def _indexed_later(tx: Transaction, *, is_server: bool) -> Iterator[None]:
    """Make indexes of a server when the rows are there: ten million rows take minutes in place of an hour."""
    indexes = tx.rows(_INDEXES) if is_server else []
    if is_server:
        tx.execute("SET LOCAL session_replication_role = replica")  # nobody looks whether what is pointed at is there
        tx.execute("TRUNCATE events, runs, tickets, leases, reservations, rollups")  # tables made anew need no log
    for name, _ in indexes:
        tx.execute(f"DROP INDEX {name}")
    yield
    for _, statement in indexes:
        tx.execute(statement)


def _add_up(tx: Transaction) -> None:
    """Sums by day, and of runs by hour."""
    tx.execute(
        f"INSERT INTO rollup_days (day, label_set, {COLUMNS}) SELECT hour / 24, label_set, {_SUMS} "
        "FROM rollups GROUP BY 1, 2"
    )
    kind = "label_set, flags, prompt_version"
    tx.execute(
        f"INSERT INTO run_hours (hour, {kind}, runs, most, {COLUMNS}) SELECT last_at / {HOUR_MICROS}, {kind}, "
        f"count(*), "
        f"max(input + cache_read + cache_write_5m + cache_write_1h + output), {_SUMS} FROM runs GROUP BY 1, {kind}"
    )


def _label_sets(tx: Transaction) -> None:
    """All of them, numbered from 1 by the database: a server would give out numbers that are written into it again."""
    labels = [
        (f"team{team}", f"flow{flow}", model) for team in range(TEAMS) for flow in range(WORKFLOWS) for model in MODELS
    ]
    tx.many(
        "INSERT INTO label_sets (provider, account, model, team, project, workflow, task_type, agent, priority) "
        "VALUES ('anthropic', 'max', ?, ?, '', ?, '', '', ?)",
        [
            (model, team, flow, ("interactive", "high", "normal", "low")[n % 4])
            for n, (team, flow, model) in enumerate(labels, 1)
        ],
    )


def _in_slices(tx: Transaction, sql: str, rows: int, *params: int | str) -> None:
    """Write so many rows, ``SLICE`` with each statement."""
    padded = (*params, *(0 for _ in range(4 - len(params))))
    for begin in range(0, rows, SLICE):
        tx.execute(sql, (min(begin + SLICE, rows), *padded, begin))


def _fill_ledger(tx: Transaction, events: int, now: int, days: int) -> None:
    span = days * 24 * HOUR_MICROS
    _in_slices(tx, _EVENTS, events, now - span, span, TEAMS * WORKFLOWS * len(MODELS))
    tx.execute(
        f"INSERT INTO rollups (hour, label_set, {COLUMNS}) SELECT at / {HOUR_MICROS}, label_set, {_SUMS} "
        "FROM events GROUP BY 1, 2"
    )
    tx.execute(
        f"INSERT INTO label_totals (label_set, {COLUMNS}, newest) SELECT label_set, {_SUMS}, max(at) "
        "FROM events GROUP BY 1"
    )
    tx.execute(
        f"INSERT INTO runs (run, label_set, {COLUMNS}, flags, prompt_version, status, started_at, last_at, recorded_at)"
        f" SELECT run, min(label_set), {_SUMS}, '[]', '', 'completed', min(at), max(at), max(at) FROM events GROUP BY 1"
    )


def _fill_tickets(tx: Transaction, tickets: int, now: int) -> None:
    labels = '["anthropic", "max", "claude-opus-5-5", "team0", "", "flow0", "", ""]'
    estimate = '[[0,0,0,0,1000,1,0,0,0],[0,0,0,0,1000,1,0,0,0],"declared",true,1.0,false,null,0,0]'
    begin, apart = now - KEPT_HOURS * HOUR_MICROS * 9 // 10, KEPT_HOURS * HOUR_MICROS * 8 // 10 // tickets
    tx.execute(
        "INSERT INTO windows (rule, value, starts_at, ends_at, used, reported, reserved, late, unleased, overrun, "
        "estimated, closed, ramp) VALUES ('past', '', ?1, ?1, 0, 0, 0, 0, 0, 0, 0, 1, 0), "
        "('past', 'team0', ?1, ?1, 0, 0, 0, 0, 0, 0, 0, 1, 0)",
        (begin,),
    )
    _in_slices(tx, _TICKETS, tickets, begin, apart, labels, estimate)
    _in_slices(tx, _LEASES, tickets, begin, apart)
    _in_slices(tx, _RESERVED, tickets)
    for name in ("ticket", "fence"):
        tx.execute("UPDATE sequences SET next = ? WHERE name = ?", (tickets + 1, name))
