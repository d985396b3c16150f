"""OTLP over HTTP: what agents send in either encoding counts once, and what is odd keeps nothing else out."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from tests.shell.edge import Edge, Reply, start
from tests.shell.otlp_bodies import claude, codex, encoded, gemini, logs, metric, record, spans

CONFIG = """
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 1000, window: day, holdback: 0}
otlp:
  account: shared
  accounts: {uuid-of-max: max-1}
  labels: {project: [git.repository, project]}
"""
BOTH = [pytest.param(True, id="in JSON"), pytest.param(False, id="in protobuf")]


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = start(tmp_path, CONFIG)
    yield edge
    edge.service.stop()


def send(edge: Edge, signal: str, document: dict[str, Any], *, as_json: bool = True, packed: bool = False) -> Reply:
    """Export a document."""
    content, kind = encoded(signal, document, as_json=as_json)
    headers = {"Content-Type": kind} | ({"Content-Encoding": "gzip"} if packed else {})
    return edge.ask("POST", f"/v1/{signal}", raw=gzip.compress(content) if packed else content, headers=headers)


def rows(edge: Edge, columns: str = "*") -> list[tuple[Any, ...]]:
    """What the ledger holds, in order of its keys."""
    with edge.service.store.reading() as tx:
        return tx.rows(f"SELECT {columns} FROM events e JOIN label_sets l ON l.id = e.label_set ORDER BY e.key")


KINDS = "input, cache_read, cache_write_5m, cache_write_1h, output, requests"
USED = f"e.origin, e.session, l.model, {KINDS}"
CLAUDE = ("otlp/claude_code/logs", "5e0f", "claude-opus-5", 6, 20000, 700, 900, 412, 1)
CODEX = ("otlp/codex/logs", "thread-1", "gpt-5.5", 1001, 20001, 40, 0, 301, 1)
GEMINI = ("otlp/gemini/logs", "s-1", "gemini-3.8-flash", 1012, 20002, 0, 0, 354, 1)
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.response.model": "claude-opus-5",
    "gen_ai.response.id": "msg_1",
    "gen_ai.usage.input_tokens": 21606,
    "gen_ai.usage.output_tokens": 412,
    "gen_ai.usage.cache_read.input_tokens": 20000,
    "gen_ai.usage.cache_creation.input_tokens": 1600,
    "gen_ai.response.finish_reason": "stop",
}
SPAN = ("otlp/genai/traces", "", "claude-opus-5", 6, 20000, 1600, 0, 412, 1)


@pytest.mark.parametrize("as_json", BOTH)
@pytest.mark.parametrize(
    ("signal", "document", "expected"),
    [
        pytest.param("logs", logs(claude()), [CLAUDE], id="an answer of Claude Code"),
        pytest.param(
            "logs",
            logs(claude(input_tokens="6", output_tokens="412", cache_creation_5m_tokens=None)),
            [CLAUDE],
            id="an answer of Claude Code before 2.1.122: figures are texts",
        ),
        pytest.param("logs", logs(claude(), claude("req_2")), [CLAUDE, CLAUDE], id="two answers"),
        pytest.param("logs", logs(claude(), claude()), [CLAUDE], id="an answer told twice"),
        pytest.param(
            "logs",
            logs(
                codex(),
                codex(
                    input_token_count=None,
                    output_token_count=None,
                    cached_token_count=None,
                    cache_write_token_count=None,
                ),
            ),
            [CODEX],
            id="an answer of Codex, and its twin without tokens",
        ),
        pytest.param(
            "logs",
            logs(
                gemini(),
                record(CALL | {"gen_ai.usage.input_tokens": 21004}, name="gen_ai.client.inference.operation.details"),
                service="gemini-cli",
            ),
            [GEMINI],
            id="an answer of Gemini CLI, and its twin of the conventions",
        ),
        pytest.param(
            "logs",
            logs(
                record(CALL, at=0, observed=5 * 10**17 * 3, name="gen_ai.client.inference.operation.details"),
                service="a",
            ),
            [("otlp/genai/logs", *SPAN[1:])],
            id="the event of the conventions",
        ),
        pytest.param(
            "logs", logs(record({"event.name": "user_prompt", "prompt": "x"})), [], id="an event of another kind"
        ),
        pytest.param("traces", spans(CALL), [SPAN], id="a span of the conventions"),
        pytest.param(
            "traces",
            spans(CALL, CALL | {"gen_ai.usage.output_tokens": 413, "gen_ai.usage.cache_creation.input_tokens": None}),
            [(*SPAN[:7], 413, 1)],
            id="two spans of one answer: the finer input, the larger output",
        ),
        pytest.param(
            "traces",
            spans(CALL, CALL | {"gen_ai.operation.name": "invoke_agent", "gen_ai.response.id": None}),
            [SPAN],
            id="a span of an agent adds up what is below it",
        ),
        pytest.param(
            "traces",
            spans(
                {
                    "model": "gpt-5.5",
                    "thread.id": "t-1",
                    "codex.turn.token_usage.input_tokens": 21042,
                    "codex.turn.token_usage.cached_input_tokens": 20001,
                    "codex.turn.token_usage.cache_write_input_tokens": 40,
                    "codex.turn.token_usage.non_cached_input_tokens": 1041,
                    "codex.turn.token_usage.output_tokens": 301,
                    "codex.turn.token_usage.reasoning_output_tokens": 51,
                    "codex.turn.token_usage.total_tokens": 21343,
                },
                service="codex_exec",
                name="session_task.turn",
            ),
            [("otlp/codex/traces", "t-1", "gpt-5.5", 1001, 20001, 40, 0, 301, 1)],
            id="a turn of Codex as a span",
        ),
        pytest.param(
            "traces",
            spans(
                {
                    **CALL,
                    "gen_ai.response.id": "resp_1",
                    "gen_ai.provider.name": None,
                    "gen_ai.response.model": "gpt-5.5",
                },
                service="codex_exec",
                name="handle_responses",
            ),
            [],
            id="an answer of Codex as a span, which names neither model nor thread: its turn's holds it",
        ),
        pytest.param(
            "metrics",
            metric(
                "claude_code.token.usage",
                [
                    ({"type": kind, "model": "claude-opus-5", "session.id": "5e0f"}, float(tokens))
                    for kind, tokens in (("input", 6), ("output", 412), ("cacheRead", 20000), ("cacheCreation", 1600))
                ],
            ),
            [("otlp/claude_code/metrics", "5e0f", "claude-opus-5", 6, 20000, 1600, 0, 412, 1)],
            id="the metric of Claude Code",
        ),
        pytest.param(
            "metrics",
            metric(
                "codex.turn.token_usage",
                [
                    ({"token_type": kind, "model": "gpt-5.5"}, float(tokens))
                    for kind, tokens in (
                        ("input", 21042),
                        ("cached_input", 20001),
                        ("cache_write_input", 40),
                        ("output", 301),
                        ("reasoning_output", 51),
                        ("total", 21343),
                    )
                ],
                histogram=True,
                service="codex_exec",
            ),
            [("otlp/codex/metrics", "", "gpt-5.5", 1001, 20001, 40, 0, 301, 1)],
            id="the metric of Codex: neither its total nor reasoning are added",
        ),
        pytest.param(
            "metrics",
            metric(
                "gemini_cli.token.usage",
                [
                    ({"type": kind, "model": "gemini-3.8-flash", "session.id": "s-1"}, tokens)
                    for kind, tokens in (
                        ("input", 21004),
                        ("output", 302),
                        ("thought", 52),
                        ("cache", 20002),
                        ("tool", 10),
                    )
                ],
                cumulative=True,
                service="gemini-cli",
            ),
            [("otlp/gemini/metrics", *GEMINI[1:])],
            id="the metric of Gemini CLI",
        ),
        pytest.param(
            "metrics",
            metric(
                "gen_ai.client.token.usage",
                [({"gen_ai.token.type": "input"}, 21004.0)],
                histogram=True,
                service="gemini-cli",
            ),
            [],
            id="the twin of the metric of Gemini CLI",
        ),
    ],
)
def test_what_agents_tell_is_what_was_used(edge, signal, document, expected, as_json):
    for _ in range(2):  # the same body twice counts once: its answer may have been lost
        reply = send(edge, signal, document, as_json=as_json, packed=not as_json)
        assert (reply.status, reply.body) == (200, {} if as_json else "")
    assert rows(edge, USED) == expected


def test_a_request_counts_once_with_the_transcript(edge):
    send(edge, "logs", logs(claude()))
    edge.post("/v1/usage", {"provider": "anthropic", "key": "req_1", "at": "2026-11-22T09:00:00Z", "output": 412})
    assert [row[1:] for row in rows(edge, USED)] == [CLAUDE[1:]]


def test_an_answer_that_was_charged_as_a_fast_one_was_one(edge):
    send(edge, "logs", logs(claude(input_tokens=10**6, cost_usd=10.63)))
    send(edge, "logs", logs(claude("req_2", input_tokens=10**6, cost_usd=5.3)))
    fast, usual = (cost for (cost,) in rows(edge, "cost"))
    assert fast == 2 * usual


def test_labels_come_from_attributes_and_accounts_from_who_called(edge):
    document = logs(
        claude(user__account_uuid="uuid-of-max"),
        **{"team.id": "growth", "project": "shop", "run.id": "nightly-42", "host.name": "build-7"},
    )
    send(edge, "logs", document)
    assert rows(edge, "l.account, l.team, l.project, e.run, e.origin") == [
        ("max-1", "growth", "shop", "nightly-42", "otlp/claude_code/logs@build-7")
    ]


def test_no_text_of_people_is_kept(edge, tmp_path, caplog):
    send(edge, "logs", logs(claude(prompt="a secret prompt", input_tokens="a")))
    send(edge, "metrics", metric("claude_code.token.usage", [({"type": "input", "model": "m"}, 5)]))
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("quota.db*"))
    assert (b"somebody" in kept, b"secret" in kept, "secret" in caplog.text) == (False, False, False)


def test_sums_go_on_where_they_stood_before_a_restart(tmp_path):
    def told(edge: Edge, tokens: int, *, start: int, at: int) -> None:
        point = [({"type": "input", "model": "claude-opus-5", "session.id": "s"}, tokens)]
        reply = send(edge, "metrics", metric("claude_code.token.usage", point, cumulative=True, start=start, at=at))
        assert reply.status == 200

    edge = start(tmp_path, CONFIG)
    begins = 1_795_338_000_000_000_000
    told(edge, 100, start=begins, at=begins + 1)
    edge.service.stop()
    edge = start(tmp_path, CONFIG)
    told(edge, 130, start=begins, at=begins + 2)
    told(edge, 130, start=begins, at=begins + 2)
    told(edge, 50, start=begins + 3, at=begins + 4)
    assert sum(tokens for (tokens,) in rows(edge, "input")) == 180
    edge.service.stop()


def test_what_is_odd_is_named_in_its_place_and_keeps_nothing_else_out(edge):
    document = logs(claude(), claude("req_2", input_tokens="many"), claude("req_3"))
    document["resourceLogs"][0]["scopeLogs"][0]["logRecords"][1:1] = [5, {"timeUnixNano": "soon", "attributes": []}]
    reply = send(edge, "logs", document)
    assert (reply.status, reply.body["partialSuccess"]["rejectedLogRecords"]) == (200, "3")
    assert (
        "resourceLogs[0].scopeLogs[0].logRecords[3]: input_tokens is 'many'"
        in reply.body["partialSuccess"]["errorMessage"]
    )
    assert rows(edge, USED) == [CLAUDE, CLAUDE]
    with edge.service.store.reading() as tx:
        assert tx.rows("SELECT value FROM counters WHERE name = 'quota_source_errors_total'") == [(3,)]


def test_what_is_refused_is_said_in_the_encoding_of_the_question(edge):
    reply = send(edge, "logs", logs(claude(), claude("req_2", input_tokens=-5)), as_json=False)
    answer = ExportLogsServiceResponse.FromString(reply.body.encode())
    assert answer.partial_success.rejected_log_records == 1
    assert rows(edge, USED) == [CLAUDE]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        pytest.param(b"{", {"Content-Type": "application/json"}, 400, id="half a document"),
        pytest.param(b"[]", {"Content-Type": "application/json"}, 400, id="another document"),
        pytest.param(b"\xff\xff", {"Content-Type": "application/x-protobuf"}, 400, id="no protobuf"),
        pytest.param(b"{}", {"Content-Type": "text/plain"}, 415, id="another kind"),
        pytest.param(b"{}", {"Content-Type": "application/json", "Content-Encoding": "br"}, 415, id="another packing"),
        pytest.param(b"{}", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 400, id="no gzip"),
        pytest.param(gzip.compress(b"{}")[:-9], {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 400,
                     id="half a gzip"),
        pytest.param(gzip.compress(b" " * 2**27), {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 413,
                     id="little that unpacks to much"),
        pytest.param(b"{}", {"Content-Type": "application/json"}, 200, id="nothing"),
        pytest.param(b"", {"Content-Type": "application/x-protobuf"}, 200, id="an empty message"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("signal", ["logs", "metrics", "traces"])
def test_no_body_is_an_error_of_ours(edge, signal, content, headers, status):
    assert edge.ask("POST", f"/v1/{signal}", raw=content, headers=headers).status == status


@pytest.mark.parametrize(
    ("signal", "name"), [("logs", "resourceLogs"), ("metrics", "resourceMetrics"), ("traces", "resource_spans")]
)
@pytest.mark.parametrize(
    ("value", "status"),
    [
        pytest.param({}, 400, id="an object"),
        pytest.param("a", 400, id="a word"),
        pytest.param([], 200, id="an empty array"),
        pytest.param(None, 200, id="null, which is as good as nothing in the JSON of protobuf"),
    ],
)
def test_an_export_is_an_array_of_resources(edge, signal, name, value, status):
    content = json.dumps({name: value}).encode()
    assert edge.ask("POST", f"/v1/{signal}", raw=content, headers={"Content-Type": "application/json"}).status == status


@pytest.mark.parametrize("path", ["/v1/logs/", "/v1/metrics/", "/v1/traces/", "/v1/litellm/"])
def test_a_slash_behind_the_path_is_no_redirect(edge, path):
    assert edge.ask("POST", path, raw=b"{}", headers={"Content-Type": "application/json"}).status == 200


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics", "/v1/traces", "/v1/litellm"])
def test_who_is_behind_tells_others_to_come_again_soon_and_drops_nothing(edge, path, monkeypatch):
    monkeypatch.setattr("quota_scheduler.service.intake.MOST_WAITING", 0)
    monkeypatch.setattr("quota_scheduler.api.litellm.WAIT_SECONDS", 0.0)
    reply = edge.ask(
        "POST", path, raw=json.dumps(logs(claude())).encode(), headers={"Content-Type": "application/json"}
    )
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")
    assert rows(edge, USED) == []


def test_small_words_of_a_cut_text_are_no_reason_to_lose_a_body(edge):
    text = json.dumps(logs(claude(prompt="x"))).replace('"x"', '"\\ud83d"')
    reply = edge.ask("POST", "/v1/logs", raw=text.encode(), headers={"Content-Type": "application/json"})
    assert (reply.status, rows(edge, USED)) == (200, [CLAUDE])


def test_keys_may_be_spelt_as_the_protocol_files_spell_them(edge):
    document = logs(claude())
    text = json.dumps(document)
    for name in ("resourceLogs", "scopeLogs", "logRecords", "timeUnixNano", "stringValue", "intValue"):
        snake = "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name)
        text = text.replace(f'"{name}"', f'"{snake}"')
    edge.ask("POST", "/v1/logs", raw=text.encode(), headers={"Content-Type": "application/json"})
    assert rows(edge, USED) == [CLAUDE]


def test_a_response_of_openai_counts_once_whichever_door_tells_of_it(edge):
    call = CALL | {
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-5.5",
        "gen_ai.usage.cache_creation.input_tokens": None,
    }
    send(edge, "traces", spans(call))
    item = {
        "id": "chatcmpl-1",
        "custom_llm_provider": "openai",
        "model": "openai/gpt-5.5",
        "prompt_tokens": 21606,
        "completion_tokens": 412,
        "endTime": 1795338000.0,
        "metadata": {"usage_object": {"prompt_tokens_details": {"cached_tokens": 20000}}},
    }
    edge.post("/v1/litellm", [item])
    assert [row[3:8] for row in rows(edge, USED)] == [(1606, 20000, 0, 0, 412)]


def test_a_message_counts_once_from_the_gateway_and_as_a_span(edge):
    send(edge, "traces", spans(CALL | {"anthropic.request.id": "req_1"}))
    usage_object = {"prompt_tokens_details": {"cached_tokens": 20000, "cache_write_tokens": 1600}}
    item = {"id": "msg_1", "custom_llm_provider": "anthropic", "model": "claude-opus-5", "prompt_tokens": 21606,
            "completion_tokens": 412, "endTime": 1795338000.0, "metadata": {"usage_object": usage_object}}  # fmt: skip
    edge.post("/v1/litellm", [item])
    assert [row[3:8] for row in rows(edge, USED)] == [(6, 20000, 1600, 0, 412)]


def test_an_event_that_cannot_be_written_keeps_no_other_out(edge):
    text = json.dumps(logs(claude(), claude("req_HALF"), claude("req_3"))).replace("HALF", "\\ud83d")
    reply = edge.ask("POST", "/v1/logs", raw=text.encode(), headers={"Content-Type": "application/json"})
    assert (reply.status, rows(edge, USED)) == (200, [CLAUDE, CLAUDE])
    with edge.service.store.reading() as tx:
        assert tx.rows("SELECT labels, value FROM counters WHERE name = 'quota_source_errors_total'") == [
            ('["otlp"]', 1)
        ]
