"""The ledger, windows, tickets and leases. Instants are microseconds since 1970, amounts integers in a limit's unit."""

from typing import Any

STATEMENTS = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sequences (name TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO sequences (name, next) VALUES ('ticket', 1), ('fence', 1);

CREATE TABLE label_sets (
    id INTEGER PRIMARY KEY,
    provider TEXT NOT NULL, account TEXT NOT NULL, model TEXT NOT NULL, team TEXT NOT NULL, project TEXT NOT NULL,
    workflow TEXT NOT NULL, task_type TEXT NOT NULL, agent TEXT NOT NULL, priority TEXT NOT NULL,
    UNIQUE (provider, account, model, team, project, workflow, task_type, agent, priority)
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    provider TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL,
    label_set INTEGER NOT NULL REFERENCES label_sets (id),
    input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL, output INTEGER NOT NULL,
    requests INTEGER NOT NULL, cost INTEGER NOT NULL, unpriced INTEGER NOT NULL,
    run TEXT NOT NULL, session TEXT NOT NULL,
    message TEXT NOT NULL, sidechain INTEGER NOT NULL, flags TEXT NOT NULL,
    prompt_version TEXT NOT NULL, status TEXT NOT NULL, estimated INTEGER NOT NULL, recorded_at INTEGER NOT NULL,
    UNIQUE (provider, key)
);
CREATE INDEX events_at ON events (at);
CREATE INDEX events_recorded ON events (recorded_at);
CREATE INDEX events_message ON events (message) WHERE message != '';
CREATE INDEX events_session ON events (session) WHERE session != '';
CREATE TABLE pruned_keys (hash TEXT PRIMARY KEY, tokens INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX pruned_keys_at ON pruned_keys (at);

CREATE TABLE rollups (
    hour INTEGER NOT NULL, label_set INTEGER NOT NULL REFERENCES label_sets (id),
    input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL, output INTEGER NOT NULL,
    requests INTEGER NOT NULL, cost INTEGER NOT NULL, unpriced INTEGER NOT NULL,
    PRIMARY KEY (hour, label_set)
) WITHOUT ROWID;
CREATE TABLE label_totals (
    label_set INTEGER PRIMARY KEY REFERENCES label_sets (id),
    input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL, output INTEGER NOT NULL,
    requests INTEGER NOT NULL, cost INTEGER NOT NULL, unpriced INTEGER NOT NULL,
    newest INTEGER NOT NULL
);
CREATE TABLE runs (
    run TEXT PRIMARY KEY, label_set INTEGER NOT NULL REFERENCES label_sets (id),
    input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL, output INTEGER NOT NULL,
    requests INTEGER NOT NULL, cost INTEGER NOT NULL, unpriced INTEGER NOT NULL,
    flags TEXT NOT NULL, prompt_version TEXT NOT NULL, status TEXT NOT NULL,
    started_at INTEGER NOT NULL, last_at INTEGER NOT NULL, recorded_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX runs_last_at ON runs (last_at);

CREATE TABLE rules (id TEXT PRIMARY KEY, shape TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE windows (
    id INTEGER PRIMARY KEY,
    rule TEXT NOT NULL, value TEXT NOT NULL, starts_at INTEGER, ends_at INTEGER,
    used INTEGER NOT NULL, reported INTEGER NOT NULL, reserved INTEGER NOT NULL, late INTEGER NOT NULL,
    unleased INTEGER NOT NULL, overrun INTEGER NOT NULL, estimated INTEGER NOT NULL, closed INTEGER NOT NULL,
    end_reason TEXT NOT NULL DEFAULT '', amount INTEGER, ramp INTEGER NOT NULL,
    CHECK (used >= 0 AND reported >= 0 AND reserved >= 0)
);
CREATE UNIQUE INDEX windows_once ON windows (rule, value, starts_at) WHERE end_reason = '';
CREATE INDEX windows_open ON windows (rule, value) WHERE closed = 0;

CREATE TABLE tickets (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL, priority TEXT NOT NULL, labels TEXT NOT NULL,
    estimate TEXT NOT NULL, created_at INTEGER NOT NULL, waiting_since INTEGER NOT NULL, ttl INTEGER NOT NULL,
    run TEXT NOT NULL, session TEXT NOT NULL, flags TEXT NOT NULL, deadline INTEGER, wait_until INTEGER,
    offers INTEGER NOT NULL, offer_until INTEGER, fence INTEGER, outcome TEXT, reason TEXT NOT NULL, closed_at INTEGER,
    was_deferred INTEGER NOT NULL, held INTEGER NOT NULL
);
CREATE UNIQUE INDEX tickets_key ON tickets (key);
CREATE INDEX tickets_open ON tickets (state) WHERE state != 'closed';
CREATE INDEX tickets_closed_at ON tickets (closed_at) WHERE state = 'closed';
CREATE TABLE leases (
    fence INTEGER PRIMARY KEY,
    ticket INTEGER NOT NULL REFERENCES tickets (id),
    granted_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, ttl INTEGER NOT NULL, session TEXT NOT NULL,
    reported TEXT NOT NULL, checkpoints TEXT NOT NULL, ended_at INTEGER
);
CREATE INDEX leases_session ON leases (session) WHERE session != '';
CREATE INDEX leases_expiry ON leases (expires_at) WHERE ended_at IS NULL;
CREATE TABLE reservations (
    ticket INTEGER NOT NULL REFERENCES tickets (id), window INTEGER NOT NULL REFERENCES windows (id),
    amount INTEGER NOT NULL, reported INTEGER NOT NULL, ledgered INTEGER NOT NULL, before INTEGER NOT NULL,
    open INTEGER NOT NULL, whole INTEGER NOT NULL,
    PRIMARY KEY (ticket, window),
    CHECK (amount >= 0 AND reported >= 0 AND ledgered >= 0)
) WITHOUT ROWID;
CREATE INDEX reservations_open ON reservations (window) WHERE open = 1;

CREATE TABLE counters (
    name TEXT NOT NULL, labels TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (name, labels)
) WITHOUT ROWID;
CREATE TABLE outlooks (instance TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE readings (name TEXT PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE audit (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL
);
"""


def up(_migrator: Any, db: Any) -> None:
    """Make the tables."""
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
