"""A server that cannot serve us: one sentence with the way out, and nothing touched. And connections that are cut."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import psycopg
import pytest
from click.testing import CliRunner

from quota_scheduler.cli import quota_scheduler_command
from quota_scheduler.core.cycle.requests import Submit
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.tickets.ticket import State
from quota_scheduler.errors import DatabaseAway, NotOurDatabase, StoreError
from quota_scheduler.service.operate.limits import redefine
from quota_scheduler.service.upkeep.verify import verify
from quota_scheduler.store import Store, facts, postgres_schema, read_only
from quota_scheduler.store.engine import reason
from quota_scheduler.store.label_sets import LabelSets
from quota_scheduler.store.postgres_connection import prepare, reachable
from quota_scheduler.store.steps import newest_step
from quota_scheduler.writer import Writer
from tests.builders import a_limit, a_ticket, a_usage_event
from tests.postgres_process import MISSING, PostgresProcess, programs
from tests.system.service_process import until
from tests.torture.postgres_faults import pgbouncer

LIMITS = (a_limit(1_000),)
HBA = """
host all locked 127.0.0.1/32 scram-sha-256
host all banned 127.0.0.1/32 reject
host all all 127.0.0.1/32 trust
"""


def ask(dsn, *statements):
    """The rows of the last of some statements, each in a transaction of its own."""
    with closing(psycopg.connect(dsn, autocommit=True)) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def tables(dsn):
    return ask(dsn, "SELECT relname, relfilenode FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")


@pytest.fixture(scope="module")
def server():
    """A server with a password for one role and none for another, and a role that was granted nothing."""
    if programs() is None:
        pytest.skip(MISSING)
    with PostgresProcess() as server:
        (server.data / "pg_hba.conf").write_text(HBA)
        ask(
            server.dsn(), "SELECT pg_reload_conf()", "CREATE ROLE locked LOGIN PASSWORD 'right'",
            "CREATE ROLE banned LOGIN", "CREATE ROLE plain LOGIN", "CREATE DATABASE kept",
            "REVOKE ALL ON DATABASE kept FROM public", "GRANT CONNECT ON DATABASE kept TO locked, plain",
        )  # fmt: skip
        Store(server.dsn("kept")).close()
        yield server


@pytest.fixture
def database(server):
    """A database with our tables."""
    ask(server.dsn(), "CREATE DATABASE mine TEMPLATE kept")
    yield server.dsn("mine")
    ask(server.dsn(), "DROP DATABASE mine WITH (FORCE)")


@pytest.mark.parametrize(
    ("url", "kind", "says"),
    [
        pytest.param(
            "postgresql://u@{place}/kept?nosuch=1", StoreError,
            'postgresql://u@{place}/kept?nosuch=1 is no address of a PostgreSQL database: invalid URI query parameter: '
            '"nosuch"; write postgresql://user:password@host:5432/quota', id="a parameter that libpq does not know",
        ),
        pytest.param(
            "postgresql://u:hush%zz@{place}/kept", StoreError,
            'postgresql://u@{place}/kept is no address of a PostgreSQL database: invalid percent-encoded token: "…"; '
            "write postgresql://user:password@host:5432/quota", id="a password that is not quoted is not told",
        ),
        pytest.param(
            "postgresql://u@{place}/kept?sslmode=perhaps", DatabaseAway,
            "PostgreSQL does not answer at postgresql://u@{place}/kept?sslmode=perhaps: "
            'invalid sslmode value: "perhaps"; nothing was changed', id="a value that libpq does not know",
        ),
        pytest.param(
            "postgresql://u@nowhere.invalid/kept", DatabaseAway,
            "PostgreSQL does not answer at postgresql://u@nowhere.invalid/kept: failed to resolve host "
            "'nowhere.invalid': [Errno -2] Name or service not known; nothing was changed", id="no such host",
        ),
        pytest.param(
            "postgresql://u@127.0.0.1:1/kept", DatabaseAway,
            "PostgreSQL does not answer at postgresql://u@127.0.0.1:1/kept: Connection refused; nothing was changed",
            id="nobody listens at the port",
        ),
        pytest.param(
            "postgresql://postgres@{place}/elsewhere", DatabaseAway,
            "PostgreSQL refuses the connection to postgresql://postgres@{place}/elsewhere: "
            'database "elsewhere" does not exist; nothing was changed', id="no such database",
        ),
        pytest.param(
            "postgresql://stranger@{place}/kept", DatabaseAway,
            "PostgreSQL refuses the connection to postgresql://stranger@{place}/kept: "
            'role "stranger" does not exist; nothing was changed', id="no such role",
        ),
        pytest.param(
            "postgresql://locked:wrong@{place}/kept", DatabaseAway,
            "PostgreSQL refuses the connection to postgresql://locked@{place}/kept: "
            'password authentication failed for user "locked"; nothing was changed', id="a wrong password",
        ),
        pytest.param(
            "postgresql://locked@{place}/kept", DatabaseAway,
            "PostgreSQL does not answer at postgresql://locked@{place}/kept: "
            "fe_sendauth: no password supplied; nothing was changed", id="no password",
        ),
        pytest.param(
            "postgresql://banned@{place}/kept", DatabaseAway,
            "PostgreSQL refuses the connection to postgresql://banned@{place}/kept: pg_hba.conf rejects connection "
            'for host "127.0.0.1", user "banned", database "kept", no encryption; nothing was changed',
            id="a role that is kept out",
        ),
        pytest.param(
            "postgresql://postgres@{place}/kept?options=-csearch_path%3Dnone", StoreError,
            "postgres finds no schema in postgresql://postgres@{place}/kept?options=-csearch_path%3Dnone that it may "
            "use: GRANT USAGE, CREATE ON SCHEMA public TO postgres", id="no such schema",
        ),
    ],
)  # fmt: skip
def test_an_address_that_leads_nowhere_is_one_sentence(server, url, kind, says, monkeypatch):
    for name in ("PGPASSWORD", "PGPASSFILE", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    place, before = f"127.0.0.1:{server.port}", tables(server.dsn("kept"))
    with pytest.raises(StoreError) as refused:
        Store(url.replace("{place}", place))
    assert (type(refused.value), str(refused.value)) == (kind, says.replace("{place}", place))
    assert tables(server.dsn("kept")) == before


def test_a_server_that_is_too_old_is_one_sentence(server, monkeypatch):
    ask(server.dsn(), "CREATE DATABASE untouched")
    monkeypatch.setattr(postgres_schema, "OLDEST", 99)
    with pytest.raises(StoreError, match=r"^PostgreSQL \d+ at \S+ is too old: 99 or a newer one is needed$"):
        Store(server.dsn("untouched"))
    assert tables(server.dsn("untouched")) == []


def test_a_database_of_another_program_is_left_alone(server):
    ask(server.dsn(), "CREATE DATABASE theirs")
    ask(server.dsn("theirs"), "CREATE TABLE tickets (n int)", "CREATE TABLE orders (n int)")
    before = tables(server.dsn("theirs"))
    for open_one in (Store, lambda dsn: read_only(dsn).__enter__()):
        with pytest.raises(NotOurDatabase) as refused:
            open_one(server.dsn("theirs"))
        says = f"{server.dsn('theirs')} holds tables of another program (orders, tickets): name an empty database"
        assert str(refused.value) == says
    assert tables(server.dsn("theirs")) == before


def as_plain(dsn):
    return dsn.replace("postgres@", "plain@")


def refusal(dsn):
    with pytest.raises(StoreError) as refused:
        Store(dsn)
    return str(refused.value).replace(dsn, "HERE")


def test_a_role_that_lacks_a_right_is_told_which(server):
    ask(server.dsn(), "CREATE DATABASE rights")
    owner, plain = server.dsn("rights"), as_plain(server.dsn("rights"))
    says = [refusal(plain)]
    assert tables(owner) == []
    Store(owner).close()
    before = tables(owner)
    says.append(refusal(plain))
    ask(owner, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain")
    says.append(refusal(plain))
    with read_only(plain) as tx:
        assert [found for found in verify(tx, LIMITS) if found.wrong] == []
    ask(owner, "REVOKE USAGE ON SCHEMA public FROM public")
    says.append(refusal(plain))
    closed = "plain may not write tables of HERE (alert_states, audit, backfilled)"
    assert says == [
        "plain may not create tables in schema public of HERE: GRANT CREATE ON SCHEMA public TO plain",
        f"{closed}: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain",
        f"{closed}: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain",
        "plain finds no schema in HERE that it may use: GRANT USAGE, CREATE ON SCHEMA public TO plain",
    ]
    assert tables(owner) == before


def admit(store, *keys):
    """Let a writer take some tickets in; returns their states."""
    with store.transaction() as tx:
        redefine(tx, LIMITS)
    writer = Writer(store, Terms(LIMITS), tell=lambda *_: None)
    writer.start()
    try:
        now = store.clock()
        return [writer.ask(Submit(a_ticket(10, key=key, at=now))).result(30).ticket.state for key in keys]
    finally:
        writer.stop()


def test_a_role_with_rights_on_the_tables_alone_serves_and_does_not_upgrade(database):
    ask(database, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain")
    with Store(as_plain(database)) as store:
        assert admit(store, "a", "b") == [State.RUNNING] * 2
        with store.reading() as tx:
            assert [found for found in verify(tx, LIMITS) if found.wrong] == []
    ask(database, f"DELETE FROM schema_migration WHERE name = '{newest_step()}'")
    before = tables(database)
    assert refusal(as_plain(database)) == (
        "cannot bring HERE up to date: permission denied for schema public; nothing was changed: "
        "start this version once as the owner of the tables"
    )
    assert tables(database) == before


def test_a_replica_goes_on_when_a_newer_version_has_brought_the_schema_up_and_an_older_one_does_not_begin(database):
    with Store(database) as store:
        ask(database, "INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')")
        assert admit(store, "a") == [State.RUNNING]
        says = "HERE was written by a newer version (schema 9999_later): update this program"
        assert refusal(database) == says


def test_a_text_with_the_one_sign_that_a_server_cannot_hold_is_kept_without_it(database):
    with Store(database) as store:
        with store.transaction() as tx:
            facts.remember(tx, "a\0", "1\0")
            tx.many("INSERT INTO meta (name, value) VALUES (?, ?)", [("b\0", "2")])
            tx.many_whole("INSERT INTO meta (name, value) VALUES (?, ?)", [("c\0", "3\0")])
        with store.reading() as tx:
            assert [facts.fact(tx, name) for name in ("a\0", "b\0", "c\0")] == ["1\ufffd", "2", "3\ufffd"]


def test_a_number_that_came_in_past_the_service_is_refused_in_words_until_the_server_numbers_on(database):
    names = "provider, account, model, team, project, workflow, task_type, agent, priority"
    ask(database, f"INSERT INTO label_sets (id, {names}) VALUES (1, 'p', '', '', '', '', '', '', '', 'low')")
    event = a_usage_event()
    way_out = "SELECT setval(pg_get_serial_sequence('label_sets', 'id'), max(id)) FROM label_sets"
    with Store(database) as store:
        writer = Writer(store, Terms(LIMITS), tell=lambda *_: None)
        writer.start()
        refused = writer.do(lambda tx: LabelSets(tx).of(event)).exception(30)
        assert (type(refused), str(refused)) == (
            StoreError,
            "the next number of label_sets is taken, since rows came in past the service; let the server number on "
            f"({way_out}); nothing was changed",
        )
        ask(database, way_out)
        assert writer.do(lambda tx: LabelSets(tx).of(event)).result(30) == 2
        writer.stop()


def write(store, number):
    with store.transaction() as tx:
        facts.remember(tx, "before", "1")
        tx.execute("UPDATE turns SET revision = ?", (number,))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**70], ids=["too large", "too small", "far too large"])
def test_a_number_past_64_bits_is_refused_as_in_a_file_and_takes_its_whole_write_along(database, tmp_path, number):
    for address in (database, tmp_path / "quota.db"):
        with Store(address) as store:
            with pytest.raises((psycopg.DataError, OverflowError)):
                write(store, number)
            with store.transaction() as tx:
                assert facts.fact(tx, "before") is None
                tx.execute("UPDATE turns SET revision = ?", (2**63 - 1,))
                assert tx.scalar("SELECT revision FROM turns") == 2**63 - 1


def test_what_is_asked_together_is_told_in_its_order_and_after_the_commit_too(database):
    with Store(database) as store:
        with store.transaction() as tx:
            before = tx.ask("SELECT value FROM meta WHERE name = ?", ("a",))
            tx.send("INSERT INTO meta (name, value) VALUES (?, ?)", ("a", "1"))
            between = tx.ask("SELECT value FROM meta WHERE name = ?", ("a",))
            assert tx.execute("UPDATE meta SET value = '2' WHERE name = ?", ("a",)) == 1
            after = tx.ask("SELECT value FROM meta WHERE name = ?", ("a",))
        assert (before(), between(), after()) == ([], [("1",)], [("2",)])


def send_one_that_is_refused(store):
    with store.transaction() as tx:
        facts.remember(tx, "a", "1")
        tx.send("INSERT INTO breakers (provider) VALUES (?)", ("p",))
        facts.remember(tx, "b", "1")


def test_what_was_sent_and_is_refused_is_told_by_the_commit_and_takes_its_whole_write_along(database):
    with Store(database) as store:
        with pytest.raises(psycopg.errors.NotNullViolation):
            send_one_that_is_refused(store)
        with store.transaction() as tx:
            assert [facts.fact(tx, name) for name in "ab"] == [None, None]


def test_who_was_answered_together_shares_the_next_cycle(database):
    clients, rounds, cycles = 12, 20, []
    with Store(database) as store:
        with store.transaction() as tx:
            redefine(tx, LIMITS)
        writer = Writer(store, Terms(LIMITS), tell=lambda done, _: cycles.append(len(done.answers)))
        writer.start()

        def ask_again_and_again(client):
            for number in range(rounds):
                ticket = a_ticket(1, key=f"{client}-{number}", at=store.clock())
                writer.ask(Submit(ticket)).result(30)

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(ask_again_and_again, range(clients)))
        writer.stop()
    assert sum(cycles) == clients * rounds
    assert cycles.count(1) < rounds / 2  # else the first to ask again is alone in a cycle of each round


def cut(dsn):
    """End every other connection, as a server does that is restarted, or a pooler that drops one."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ended = ask(dsn, f"SELECT pg_terminate_backend(pid, 5000) {others} AND application_name = 'quota-scheduler'")
    assert ended
    assert all(row == (True,) for row in ended)


def test_connections_that_were_cut_while_nobody_used_them_are_replaced(database):
    with Store(database) as store:
        for number in range(3):
            with store.transaction() as tx:
                facts.remember(tx, "a", str(number))
            with store.reading() as tx:
                assert facts.fact(tx, "a") == str(number)
            cut(database)


def write_and_be_cut(store, dsn):
    with store.transaction() as tx:
        facts.remember(tx, "half", "1")
        cut(dsn)
        facts.remember(tx, "half", "2")


def test_a_write_that_is_cut_half_way_is_gone_and_the_next_goes_on(database):
    with Store(database) as store:
        with pytest.raises(psycopg.OperationalError) as ended:
            write_and_be_cut(store, database)
        told = str(reason(ended.value))  # the server's word, or that of the driver who finds it gone
        assert re.fullmatch(r"the database did not take the write \(.+\); nothing was changed", told), told
        with store.transaction() as tx:
            assert facts.fact(tx, "half") is None
            facts.remember(tx, "next", "1")
        with store.reading() as tx:
            assert facts.fact(tx, "next") == "1"


def look_and_be_cut(store, dsn):
    with store.reading() as tx:
        cut(dsn)
        facts.fact(tx, "a")


def looked(store):
    """What a view says, or None while the server is taken for away: for half a second after a view was cut."""
    with suppress(DatabaseAway), store.reading() as tx:
        return (facts.fact(tx, "a"),)


def test_a_view_that_is_cut_says_so_and_soon_another_is_answered(database):
    with Store(database) as store:
        with pytest.raises(DatabaseAway, match="terminating connection due to administrator command; nothing was"):
            look_and_be_cut(store, database)
        assert until(lambda: looked(store), what="a view") == (None,)


def test_a_full_disk_is_known_in_any_language(database):
    with Store(database) as store:
        raised = "RAISE EXCEPTION 'kein Speicherplatz mehr' USING ERRCODE = 'disk_full'"
        with pytest.raises(psycopg.OperationalError) as full, store.transaction() as tx:
            tx.execute(f"DO $$ BEGIN {raised}; END $$")
    says = "the disk is full or cannot be written (kein Speicherplatz mehr): make room; nothing was changed"
    assert str(reason(full.value)) == says


def test_the_doctor_verifies_a_database_on_a_server_and_names_what_is_spoilt(database, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quota.yaml").write_text(
        "limits: [{id: day, match: {provider: anthropic}, unit: tokens, amount: 1000, window: day}]"
    )
    with Store(database) as store:
        assert admit(store, "a") == [State.RUNNING]
    command = ["doctor", "--verify", "--database", database]
    sound = CliRunner().invoke(quota_scheduler_command, command)
    assert (sound.exit_code, "who holds reservations: work that runs" in sound.output) == (0, True), sound.output
    ask(database, "UPDATE windows SET reserved = reserved + 1 WHERE reserved > 0")
    spoilt = CliRunner().invoke(quota_scheduler_command, command)
    assert (spoilt.exit_code, "WRONG  reservations: " in spoilt.output) == (1, True), spoilt.output


def test_behind_a_pooler_that_hands_connections_out_by_the_transaction(server, program):
    with pgbouncer(server, program) as dsn, Store(dsn) as here, Store(dsn) as there:
        with closing(reachable(dsn)) as connection:
            prepare(connection)
            assert connection.prepare_threshold is None
        assert admit(here, *"abcde") + admit(there, *"fghij") == [State.RUNNING] * 10
        with there.reading() as view, here.reading() as tx:
            assert [found for found in verify(tx, LIMITS) if found.wrong] == []
            assert view.scalar("SELECT count(*) FROM tickets") == 10


def test_plans_that_are_kept_are_made_anew_when_a_newer_version_has_changed_a_table(database):
    with Store(database) as store:
        assert admit(store, *"abcdef") == [State.RUNNING] * 6
        with store.transaction() as tx:
            kept = {row[0] for row in tx.rows("SELECT statement FROM pg_prepared_statements")}
        assert any("INSERT INTO tickets" in plan for plan in kept)
        assert any("FROM turns FOR UPDATE" in plan for plan in kept)
        assert any("FROM tickets WHERE key" in plan for plan in kept)  # a cycle's, which is asked along
        assert not any("FROM meta" in plan for plan in kept)
        ask(database, "ALTER TABLE tickets ADD COLUMN later TEXT", "ALTER TABLE turns ADD COLUMN later TEXT")
        assert admit(store, *"ghi") == [State.RUNNING] * 3


def test_a_plan_that_is_kept_of_a_question_reads_no_table_whole_though_that_was_empty_when_it_was_made(database):
    questions = "FROM pg_prepared_statements WHERE statement LIKE 'SELECT id%' AND generic_plans > 0"
    with Store(database) as store:
        admit(store, *"abcdefghijkl")
        with store.transaction() as tx:
            kept = tx.rows(f"SELECT name, cardinality(parameter_types) {questions}")
            plans = [tx.rows(f"EXPLAIN EXECUTE {name} ({', '.join(['NULL'] * width)})") for name, width in kept]
    assert len(plans) == 2  # the windows that have ended too soon, and the keys
    assert not [line for plan in plans for (line,) in plan if "Seq Scan" in line]


def test_what_is_asked_along_is_answered_as_of_the_turn_and_no_more_once_something_is_written(database):
    look = ("SELECT value FROM meta WHERE name = ?", ("a",))
    with Store(database) as here, Store(database) as there:
        held = threading.Event()

        def write():
            with there.transaction() as tx:
                held.set()
                until(lambda: ask(database, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
                facts.remember(tx, "a", "1")

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            held.wait(30)
            with here.transaction([look]) as tx:
                assert tx.rows(*look) == [("1",)]  # what was written while it waited
                facts.remember(tx, "a", "2")
                assert tx.rows(*look) == [("2",)]
            writing.result(30)
        with here.transaction([look]) as tx:
            facts.remember(tx, "a", "3")
            assert tx.rows(*look) == [("3",)]
