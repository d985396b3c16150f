"""What headless runs print, posted as it came: what they used counts once, with a transcript beside it or without."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.service.headless import ORIGIN
from quota_scheduler.spool import packed, unpacked
from tests.shell.edge import START, Edge, start

MODEL = "claude-opus-5-5"
CONFIG = """
sources: {claude_code: {roots: [transcripts], account: max-1}}
limits:
  - {id: all, match: {provider: anthropic}, unit: tokens, amount: 1M, window: day}
"""
RESET = (START + timedelta(hours=2)).timestamp()


def figures(fresh: int, out: int) -> dict[str, int]:
    return {"inputTokens": fresh, "outputTokens": out, "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0}


def result(fresh: int, out: int, *, session: str = "S", since: tuple[int, int] | None = None, **more) -> str:
    said = {"type": "result", "subtype": "success", "is_error": False, "session_id": session}
    said["modelUsage"] = {MODEL: figures(fresh, out)}
    if since:
        said["model_usage_since_last_result"] = {MODEL: figures(*since)}
    return json.dumps(said | more)


EVENT = json.dumps(
    {
        "type": "rate_limit_event",
        "session_id": "S",
        "rate_limit_info": {
            "status": "allowed",
            "unifiedWindows": {"five_hour": {"utilization": 0.5, "resetsAt": RESET, "status": "allowed"}},
        },
    }
)


def call(number: int, fresh: int, out: int) -> str:
    usage = {"input_tokens": fresh, "output_tokens": out}
    message = {"id": f"msg_{number}", "model": MODEL, "stop_reason": "end_turn", "usage": usage}
    at = f"2026-11-22T08:59:{number:02}.000Z"
    line = {"type": "assistant", "sessionId": "S", "requestId": f"req_{number}", "timestamp": at, "message": message}
    return json.dumps(line)


STATE = json.dumps({"type": "cost-state", "sessionId": "S", "modelUsage": {MODEL: figures(300, 30)}})


class Place:
    """A service, a folder of transcripts, and how many tokens are counted."""

    def __init__(self, folder: Path) -> None:
        (folder / "transcripts").mkdir()
        self.file = folder / "transcripts" / "S.jsonl"
        self.edge: Edge = start(folder, CONFIG)

    def post(self, *lines: str, query: str = "") -> dict:
        reply = self.edge.ask("POST", f"/v1/headless{query}", raw="\n".join(lines).encode())
        assert reply.status == 200, reply
        return reply.body

    def transcript(self, *lines: str) -> None:
        self.file.write_text("".join(f"{line}\n" for line in lines))

    @property
    def tokens(self) -> tuple[int, int]:
        """Input and output counted in all, once sources are read and a tick has passed."""
        service = self.edge.service
        service.read()
        service.tick()
        with service.store.reading() as tx:
            return tuple(tx.row("SELECT coalesce(sum(input), 0), coalesce(sum(output), 0) FROM events"))


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    place.edge.service.stop()


def test_a_run_without_a_transcript_counts_by_what_it_states(place):
    answer = place.post(EVENT, result(300, 30))
    assert (answer, place.tokens) == (
        {"sessions": ["S"], "observations": 1, "duplicate": 0, "throttles": 0, "refused": []},
        (300, 30),
    )


@pytest.mark.parametrize(
    ("outputs", "tokens"),
    [
        pytest.param([[result(300, 30)], [result(300, 30)]], (300, 30), id="the same output twice"),
        pytest.param([[result(100, 10), result(300, 30)]], (300, 30), id="two results of one run"),
        pytest.param([[result(100, 10)], [result(200, 20)], [result(300, 30)]], (300, 30), id="resumed: cumulative"),
        pytest.param([[result(300, 30)], [result(100, 10, session="T")]], (400, 40), id="two sessions"),
        pytest.param([[result(0, 0, modelUsage={})]], (0, 0), id="interrupted before anything"),
        pytest.param([[json.dumps([json.loads(result(300, 30))], indent=1)]], (300, 30), id="an array, over lines"),
        pytest.param([["noise", result(300, 30)[:40], result(300, 30)]], (300, 30), id="noise and a torn line"),
    ],
)
def test_what_outputs_add_up_to(place, outputs, tokens):
    for output in outputs:
        place.post(*output)
        place.edge.clock.advance(timedelta(minutes=1))
    assert place.tokens == tokens


@pytest.mark.parametrize("is_read_first", [pytest.param(True, id="read first"), pytest.param(False, id="read later")])
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([call(1, 100, 10), call(2, 200, 20)], id="lists all"),
        pytest.param([call(1, 100, 10)], id="lists a part"),
        pytest.param([call(1, 100, 10), call(2, 200, 20), STATE], id="states it too"),
        pytest.param([], id="is empty"),
    ],
)
def test_beside_a_transcript_nothing_counts_twice(place, lines, is_read_first):
    if is_read_first:
        place.transcript(*lines)
        assert place.tokens[0] <= 300
    place.post(result(300, 30))
    place.transcript(*lines)
    assert place.tokens == (300, 30)


def test_a_fork_without_a_transcript_does_not_count_its_parent(place):
    place.post(result(300, 30, session="parent"))
    place.post(result(350, 35, session="fork", since=(50, 5)), query="?forked=true")
    assert place.tokens == (350, 35)


@pytest.mark.parametrize(
    "usage",
    [{MODEL: {"inputTokens": -1}}, {MODEL: {"inputTokens": 10**30}}, {MODEL: "?"}, {"m" * 9000: figures(1, 1)}],
)
def test_a_garbled_total_is_refused_and_the_rest_is_taken(place, usage):
    answer = place.post(EVENT, result(0, 0, modelUsage=usage), result(300, 30, session="T"))
    assert (len(answer["refused"]), answer["observations"], answer["sessions"]) == (1, 1, ["T"])
    assert place.tokens == (300, 30)


def test_whose_it_is_and_when_it_ended(place):
    place.post(EVENT, result(300, 30), query="?account=max-2&at=2026-11-22T08:00:00Z")
    reports = place.edge.ask("GET", "/v1/observations").body["observations"]
    assert [(one["account"], one["observed_at"]) for one in reports] == [("max-2", "2026-11-22T08:00:00Z")]


@pytest.mark.parametrize("query", ["?at=yesterday", "?at=2027-01-01T00:00:00Z", f"?account={'x' * 900}"])
def test_a_query_that_cannot_be_meant_is_refused(place, query):
    assert place.edge.ask("POST", f"/v1/headless{query}", raw=b"{}").status == 422


@pytest.mark.parametrize(
    ("scope", "tokens"),
    [
        pytest.param(EVERYBODY, (300, 30), id="everybody's: what it states counts"),
        pytest.param(Scope((("team", "growth"),)), (100, 10), id="of a token that is bound: not of another's session"),
    ],
)
def test_a_total_that_lay_in_the_spool_counts_as_if_it_came_at_once(place, scope, tokens):
    usage = {"provider": "anthropic", "key": "req_1", "at": "2026-11-22T08:59:00Z", "session": "S", "model": MODEL}
    usage |= {"labels": {"team": "zebra"}, "input": 100, "output": 10}
    assert place.edge.ask("POST", "/v1/usage", usage).status == 200
    parts = place.edge.service.parts
    run = parts.doors.headless.read(f"{EVENT}\n{result(300, 30)}".encode(), at=START)
    delivery = Pushed(ORIGIN, observations=tuple(run.word.observations), totals=run.totals, scope=scope)
    for _ in range(2):
        parts.intake.put(parts.intake.priced(unpacked(packed(delivery)))).result(10)
    assert place.tokens == tokens
    assert [one["used_ratio"] for one in place.edge.ask("GET", "/v1/observations").body["observations"]] == [0.5]
