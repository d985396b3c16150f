"""What PostgreSQL allows one hot limit: one statement a transaction, prepared, every client at the same row.

    python -m benchmarks.bench_postgres [SECONDS] [CLIENTS]

It is the floor that deciding in batches is measured against, in two weights. *Bare*: two tables of its own, a limit is
moved and a reservation noted. *The same*: the rows of an admission of the service in the tables of the service, with
their indexes and the rows that they point at: the turn, the window, the ticket under its key, its lease, its
reservation, the count of decisions. It is still lighter than the service, since numbers come from a sequence, nobody
looks who waits, has run out or was offered a turn, and nothing of the ticket crosses from the client.

The server is a throw-away one with durable commits, of the programs that tests/postgres_process.py finds. Figures:
transactions a second, their latency, and the processor time that the server spent on each, which says more on a machine
that others use.
"""

import os
import sys
import time
from pathlib import Path

from tests.postgres_process import DURABLE, PostgresProcess

SCHEMA = """
CREATE TABLE counters (id int PRIMARY KEY, used bigint, reserved bigint, lim bigint) WITH (fillfactor = 50);
CREATE TABLE reservations (id bigserial PRIMARY KEY, counter int, amount bigint);
INSERT INTO counters SELECT n, 0, 0, 1000000000000 FROM generate_series(1, 64) n;
"""
ADMIT = (
    "WITH moved AS (UPDATE counters SET reserved = reserved + 100 WHERE id = {row} AND used + reserved + 100 <= lim "
    "RETURNING id) INSERT INTO reservations (counter, amount) SELECT id, 100 FROM moved;\n"
)
HOT, SPREAD = "1", ":row"
SAME = """\\set draw random(1, 9000000000000000000)
WITH turn AS (UPDATE turns SET revision = revision + 1 RETURNING revision),
moved AS (UPDATE windows w SET reserved = w.reserved + 100, revision = turn.revision FROM turn
  WHERE w.id = 1 AND w.used + w.rest + w.reserved + 100 <= w.amount RETURNING turn.revision AS revision),
number AS (SELECT nextval(pg_get_serial_sequence('tickets', 'id')) AS id, revision,
  CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS at FROM moved),
ticket AS (INSERT INTO tickets (id, key, body, state, priority, labels, estimate, created_at, waiting_since, ttl, run,
  session, flags, offers, fence, reason, was_deferred, held, revision)
  SELECT id, :client_id || '-' || :draw, '', 'running', 'interactive',
  '["anthropic", "", "", "", "", "", "", ""]',
  '[[0, 0, 0, 0, 100, 0, 0, 0, 0], [0, 0, 0, 0, 100, 0, 0, 0, 0], "declared", true, 1.0, false, null, 0, 0]',
  at, at, 14400000000, '', '', '[]', 0, id, 'fits', 0, 0, revision FROM number RETURNING id, created_at AS at),
lease AS (INSERT INTO leases (fence, ticket, granted_at, expires_at, ttl, session, reported, checkpoints)
  SELECT id, id, at, at + 14400000000, 14400000000, '', '[]', '[]' FROM ticket),
reservation AS (INSERT INTO reservations (ticket, "window", amount, reported, ledgered, before, open, whole)
  SELECT id, 1, 100, 0, 0, 0, 1, 100 FROM ticket)
INSERT INTO decision_counts (hour, instance, class, decision, reason, value)
  SELECT at / 3600000000 * 3600000000, 'hot', 'interactive', 'admitted', 'fits', 1 FROM ticket
  ON CONFLICT (hour, instance, class, decision, reason) DO UPDATE SET value = decision_counts.value + 1;
"""
"""What one admission writes, as one statement; needs a database with the schema and one open window."""
TICKS = os.sysconf("SC_CLK_TCK")


def bare(row: str) -> str:
    """The script that moves one row of the bare tables."""
    return ("\\set row random(1, 64)\n" if row == SPREAD else "") + ADMIT.format(row=row)


def measure(
    server: PostgresProcess, text: str, clients: int, seconds: int, database: str = "postgres"
) -> tuple[float, float, float]:
    """Transactions a second, milliseconds each, and milliseconds of the server's processor time each."""
    script = server.folder / "admit.sql"
    script.write_text(text)
    script.chmod(0o644)
    before, backends = processor_seconds(server), len(children(server))
    said = server.run(
        "pgbench",
        "-n",
        "-M",
        "prepared",
        "-c",
        str(clients),
        "-j",
        "2",
        "-T",
        str(seconds),
        "-f",
        str(script),
        database,
    )
    while len(children(server)) > backends:  # what has ended counts once its parent has noticed
        time.sleep(0.01)
    after = processor_seconds(server)
    values = dict(line.split(" = ", 1) for line in said.splitlines() if " = " in line)
    each = next(value for name, value in values.items() if name.startswith("latency average"))
    rate = float(values["tps"].split()[0])
    done = int(next(line for line in said.splitlines() if "actually processed" in line).split()[-1].split("/")[0])
    return rate, float(each.split()[0]), 1000 * (after - before) / done


def processor_seconds(server: PostgresProcess) -> float:
    """What the server's processes have used so far, those that have ended included."""
    assert server.process is not None
    main = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (sum(map(int, main[11:15])) + sum(children(server))) / TICKS


def children(server: PostgresProcess) -> list[int]:
    """The processor time of each process of the server but the first, in ticks of the clock."""
    assert server.process is not None
    used = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == server.process.pid:
            used.append(int(fields[11]) + int(fields[12]))
    return used


def main() -> None:
    """Print the floor for one hot row and for 64 rows, by clients."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    clients = [int(sys.argv[2])] if len(sys.argv) > 2 else [1, 8, 32]
    with PostgresProcess(DURABLE) as server:
        server.run("psql", "-q", "-c", SCHEMA, "postgres")
        print(
            server.run("postgres", "--version").strip(),
            f"| load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors",
        )
        for name, row in (("one hot row", HOT), ("64 rows", SPREAD)):
            for count in clients:
                rate, each, processor = measure(server, bare(row), count, seconds)
                print(
                    f"{name:12} {count:3} clients {rate:7.0f}/s, {each:6.2f} ms each, {processor:.3f} ms of processor"
                )


if __name__ == "__main__":
    main()
