"""One call through several doors, in a real store: in any order one record, also in windows and after restarts."""

from itertools import permutations

import pytest
from msgspec.structs import replace

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.service.queries.sources import sources_document
from quota_scheduler.store import ledger
from tests.builders import DAY, HOUR, MONDAY, SECOND, a_limit
from tests.service.world import World

SHOP = Labels("anthropic", "default", "claude-opus-5", project="shop")


def told(origin, key, message="", *, labels=SHOP, **more):
    return UsageEvent(key, MONDAY, labels, Usage(output=40, requests=1), message=message, origin=origin, **more)


IN_FILE = told("claude_code", "req_1", "msg_1", session="s1", run="s1")
EXPORTED = told("otlp/claude_code/logs", "req_1", session="s1", labels=SHOP._replace(project=""))
PASSED_ON = told("litellm", "msg:msg_1", "msg_1", labels=Labels("bedrock", "max-1", "us.anthropic.claude-opus-5"))
ELSEWHERE = told("otlp/claude_code/logs", "req_1", session="s1", labels=Labels("vertex_ai", model="claude-opus-5"))


@pytest.mark.parametrize(
    "copies",
    [
        pytest.param((IN_FILE, EXPORTED), id="file, event"),
        pytest.param((IN_FILE, PASSED_ON), id="file, gateway"),
        pytest.param((IN_FILE, EXPORTED, PASSED_ON), id="file, event, gateway"),
        pytest.param((IN_FILE, ELSEWHERE, PASSED_ON), id="each with another provider"),
    ],
)
def test_one_call_is_one_record_in_whatever_order_and_transaction(tmp_path, copies):
    for number, order in enumerate(permutations(copies)):
        (tmp_path / str(number)).mkdir()
        here = World(tmp_path / str(number), a_limit(1000))
        for event in order:
            here.record(event)
            here.kill()
        with here.store.reading() as tx:
            (event,) = ledger.between(tx, MONDAY, MONDAY + SECOND)
            used = tx.rows("SELECT sum(used) FROM windows")[0][0]
            counted = sum(usage.tokens for _, _, usage, _ in ledger.totals(tx))
        assert (event.key, event.message, event.labels.project, event.session) == ("req_1", "msg_1", "shop", "s1")
        here.store.close()
        assert (event.usage.tokens, used, counted) == (40, 40, 40)


# doors whose calls cannot be matched

METRICS = "otlp/claude_code/metrics"


def at_hour(hour, origin, key, message="", tokens=40, **more):
    event = told(origin, key, message, **more)
    return replace(event, at=MONDAY - 20 * HOUR + hour * HOUR, usage=Usage(output=tokens, requests=1))


def total(here):
    """All tokens that count, in the ledger, in windows, in the hours."""
    with here.store.reading() as tx:
        stored = ledger.between(tx, MONDAY - DAY, MONDAY + DAY)
        sums = sum(usage.tokens for _, _, usage in ledger.hours(tx, MONDAY - DAY))
    assert sums == sum(event.usage.tokens for event in stored)
    return {event.key: event.usage.tokens for event in stored}


LITELLM = at_hour(0, "litellm", "msg:msg_9", "msg_9", labels=SHOP._replace(agent="claude_code"))


@pytest.mark.parametrize(
    ("events", "keys"),
    [
        pytest.param(
            [at_hour(0, "claude_code", "req_1", "msg_1"), at_hour(0, METRICS, "p1"), at_hour(9, METRICS, "p2")],
            {"req_1", "p2"},
            id="metrics count where no file tells of the time",
        ),
        pytest.param(
            [at_hour(0, "otlp/claude_code/logs", "req_1"), at_hour(1, METRICS, "p1"), at_hour(3, METRICS, "p2")],
            {"req_1", "p2"},
            id="nor beside events, an hour off included",
        ),
        pytest.param([LITELLM, at_hour(0, "otlp/claude_code/logs", "req_1")], {"req_1"}, id="a gateway beside events"),
        pytest.param(
            [LITELLM, at_hour(0, "claude_code", "req_1", "msg_1")],
            {"msg:msg_9", "req_1"},
            id="a gateway beside files is matched: what they do not tell is another call",
        ),
        pytest.param(
            [
                at_hour(0, "codex", "codex:resp_1", session="S"),
                at_hour(0, "otlp/codex/logs", "codex:otlp:1", session="S"),
                at_hour(0, "otlp/codex/traces", "codex:otlp:2", session="S"),
                at_hour(0, "otlp/codex/metrics", "p1"),
            ],
            {"codex:resp_1"},
            id="events, spans and metrics of Codex name nothing that its files know",
        ),
        pytest.param(
            [
                at_hour(0, "codex", "codex:resp_1", session="S", thread="T"),
                at_hour(0, "otlp/codex/logs", "codex:otlp:1", session="T"),
                at_hour(0, "otlp/codex/logs", "codex:otlp:3", session="E"),
                at_hour(0, "otlp/codex/traces", "codex:otlp:4", session="E"),
            ],
            {"codex:resp_1", "codex:otlp:3"},
            id="a sub-agent of Codex in files and events, and a run that leaves no file",
        ),
        pytest.param(
            [
                at_hour(0, "gemini", "gemini:m1", session="S"),
                at_hour(0, "otlp/gemini/logs", "gemini:otlp:1", session="S"),
                at_hour(0, "gemini", "gemini:m2", session="silent"),
            ],
            {"gemini:otlp:1", "gemini:m2"},
            id="a session of Gemini CLI that exports, and one that does not",
        ),
        pytest.param(
            [at_hour(0, METRICS, "p1"), at_hour(0, "otlp/claude_code/logs@build-1", "req_1")],
            {"p1", "req_1"},
            id="two hosts are two",
        ),
        pytest.param([at_hour(0, METRICS, "p1"), at_hour(0, "", "job 7")], {"p1", "job 7"}, id="a runner's report"),
    ],
)
def test_of_doors_that_cannot_be_matched_one_counts_in_any_order(tmp_path, events, keys):
    for number, order in enumerate(permutations(events)):
        (tmp_path / str(number)).mkdir()
        here = World(tmp_path / str(number), a_limit(1000))
        for event in order:
            here.record(event)
        here.record(*order)
        seen = total(here)
        here.store.close()
        assert set(seen) == keys
        assert set(seen.values()) == {40}


def test_sources_say_which_door_counts(tmp_path):
    here = World(tmp_path, a_limit(1000))
    here.record(at_hour(0, "claude_code", "req_1", "msg_1"), at_hour(0, METRICS, "p1"))
    with here.store.reading() as tx:
        told_by = {
            door["told_by"]: (door["agent"], door["counts"], door["instead"]) for door in sources_document(tx)["doors"]
        }
    here.store.close()
    assert told_by == {"files": ("claude_code", True, []), "metrics": ("claude_code", False, ["files"])}
