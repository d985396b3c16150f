"""Events by columns: whatever the ledger holds and whatever comes, the database is the same as with one by one."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from quota_scheduler.core.ledger.plain_events import NOTHING, parted
from quota_scheduler.core.usage import Extent, UsageEvent
from quota_scheduler.price_catalog import Prices
from quota_scheduler.service.apply_prices import priced_events, priced_plain
from quota_scheduler.service.rebuild import rebuild_sessions
from quota_scheduler.service.record import record_usage
from quota_scheduler.store import pruned
from tests import schema_names
from tests.builders import DAY, HOUR, MINUTE, MONDAY, MONTHLY, a_limit, a_session_limit, a_usage_event
from tests.service.world import World

PRICES = Prices()
LIMITS = (
    a_limit(10_000),
    a_limit(10_000, id="month", schedule=MONTHLY, per="team"),
    a_session_limit(10_000, id="session"),
)
MODELS = ["claude-opus-4-5", "claude-sonnet-4-5", "no-such-model"]
CALLS = st.lists(
    st.builds(
        lambda number, ids, at, tokens, session, model, other: a_usage_event(
            tokens * 100_001, key=ids[0].format(number), message=ids[1].format(number), at=MONDAY - at * MINUTE,
            session=session, run=session, model=model, team=session, **other,
        ),
        st.integers(0, 11),
        st.sampled_from([("req_{}", "msg_{}")] * 4 + [("msg:msg_{}", "msg_{}"), ("req_1", "msg_{}"), ("r{}:m", "m")]),
        st.sampled_from([-1, 0, 1, 30, 61, 400, 1_500, 20_000, 60_000]),
        st.integers(0, 9),
        st.sampled_from("abc"),
        st.sampled_from(MODELS),
        st.sampled_from(
            [{"origin": "claude_code"}] * 3
            + [
                {"origin": "claude_code", "extent": Extent.PARTIAL},
                {"origin": "claude_code", "sidechain": True},
                {"origin": "otlp/claude_code/logs"},
                {"origin": "litellm"},
            ]
        ),
    ),
    max_size=10,
)  # fmt: skip
LEFT_OUT = {"label_sets", "quality", "sqlite_sequence"}


def everything(here: World) -> dict[str, list]:
    """All rows of all tables, with labels in place of their numbers, in no order."""
    with here.store.reading() as tx:
        sets = {row[0]: row[1:] for row in tx.rows("SELECT * FROM label_sets")}
        tables = schema_names.tables(tx)
        shown = {}
        for table in sorted(set(tables) - LEFT_OUT):
            columns = schema_names.columns(tx, table)
            rows = tx.rows(f"SELECT * FROM {table}")
            shown[table] = sorted(
                repr([
                    sets[value] if name == "label_set" else value
                    for name, value in zip(columns, row, strict=True)
                    if name != "id"
                ])
                for row in rows
            )  # fmt: skip
    return shown


def a_call(key: str, message: str, tokens: int = 10) -> UsageEvent:
    return a_usage_event(tokens, key=key, message=message, origin="claude_code")


@settings(max_examples=40, deadline=None)
@given(batches=st.lists(CALLS, min_size=1, max_size=3), is_pruned=st.booleans(), with_limits=st.booleans())
@example(batches=[[a_call("req_1", "msg_1")], [a_call("req_1", "msg_1", 25)]], is_pruned=False, with_limits=True)
@example(batches=[[a_call("req_1", "msg_1")], [a_call("req_1", "msg_1", 25)]], is_pruned=True, with_limits=True)
@example(batches=[[a_call("req_1", "msg_1")], [a_call("msg:msg_1", "msg_1", 25)]], is_pruned=False, with_limits=False)
@example(
    batches=[[a_call("req_1", "msg_1")], [a_call("req_1", "msg_2"), a_call("req_1:msg_2", "msg_3")]],
    is_pruned=False,
    with_limits=False,
)
def test_by_columns_is_the_same_as_one_by_one(tmp_path_factory, batches, is_pruned, with_limits):
    shown, recorded = [], []
    for by_columns in (False, True):
        here = World(tmp_path_factory.mktemp("world"), *(LIMITS if with_limits else ()))
        counts = []
        for number, batch in enumerate(batches):
            plain, events = parted(batch)
            if not by_columns:
                plain, events = NOTHING, [*events, *plain.events()]
            plain = priced_plain(plain, PRICES) if plain else NOTHING
            with here.store.transaction() as tx:
                counts.append(record_usage(tx, priced_events(events, PRICES), here.limits, history=True, plain=plain))
            if is_pruned and number == 0:
                with here.store.transaction() as tx:
                    pruned.prune(tx, recorded_before=MONDAY + HOUR, keys_before=MONDAY - DAY)
        with here.store.transaction() as tx:
            rebuild_sessions(tx, here.limits)  # as a first pass ends: until then they lie as their uses came
        shown.append(everything(here))
        recorded.append(counts)
        here.store.close()
    assert shown[0] == shown[1]
    assert recorded[0] == recorded[1]
