"""A server that answers as Anthropic's and OpenAI's do, with the usage it was given: for the real SDKs to talk to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SAYS_INPUT_FIRST = "claude-3-haiku-20240307"
"""A model whose stream says the input at its start only, as gateways do; Anthropic's own says all at the end."""
WORDS = ("All ", "is ", "well.")


@dataclass
class ModelServer:
    """What was asked of it; every answer used 100 fresh tokens, 40 from the cache, 10 written to it, and 7 out."""

    port: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    mutex: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, path: str, body: dict[str, Any]) -> int:
        """Note a request; returns its number."""
        with self.mutex:
            self.asked.append({"path": path, **body})
            return len(self.asked)

    @property
    def models(self) -> list[str]:
        return [one["model"] for one in self.asked]


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """A server on a port of its own for the block."""
    server = ModelServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            number = server.take(self.path, body)
            kind = next(name for name in ANSWERS if self.path.endswith(name))
            events = list(ANSWERS[kind](number, body, server.port))
            self.send_response(200)
            self.send_header("request-id", f"req_{server.port}_{number}")
            self.send_header("Content-Type", "text/event-stream" if body.get("stream") else "application/json")
            raw = _sse(events, kind) if body.get("stream") else json.dumps(events[-1]).encode()
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_args: Any) -> None:
            return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


def _sse(events: list[dict[str, Any]], kind: str) -> bytes:
    stream = events[:-1]  # the last is the answer in one piece
    lines = [
        (f"event: {event['type']}\n" if "type" in event else "") + f"data: {json.dumps(event)}\n\n" for event in stream
    ]
    return "".join([*lines, "data: [DONE]\n\n" if kind == "/chat/completions" else ""]).encode()


def _messages(number: int, body: dict[str, Any], port: int) -> Iterator[dict[str, Any]]:
    says_all = body["model"] != SAYS_INPUT_FIRST
    told = {"input_tokens": 100, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 10}
    whole = {"id": f"msg_{port}_{number}", "type": "message", "role": "assistant", "model": body["model"],
             "content": [], "stop_reason": None, "stop_sequence": None}  # fmt: skip
    yield {"type": "message_start", "message": {**whole, "usage": {**told, "output_tokens": 1}}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for word in WORDS:
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
    yield {"type": "content_block_stop", "index": 0}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 7} | (told if says_all else {})}
    yield {"type": "message_stop"}
    yield {**whole, **ended, "content": [{"type": "text", "text": "".join(WORDS)}],
           "usage": {**told, "output_tokens": 7}}  # fmt: skip


def _chat(number: int, body: dict[str, Any], port: int) -> Iterator[dict[str, Any]]:
    usage = {"prompt_tokens": 150, "completion_tokens": 7, "total_tokens": 157,
             "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10}}  # fmt: skip
    whole = {"id": f"chatcmpl-{port}{number}", "created": 1_700_000_000, "model": body["model"]}
    chunk = {**whole, "object": "chat.completion.chunk"}
    for word in WORDS:
        choice = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
        yield {**chunk, "choices": [choice]}
    yield {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**chunk, "choices": [], "usage": usage}
    message = {"role": "assistant", "content": "".join(WORDS)}
    yield {**whole, "object": "chat.completion", "usage": usage,
           "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}  # fmt: skip


def _responses(number: int, body: dict[str, Any], port: int) -> Iterator[dict[str, Any]]:
    usage = {"input_tokens": 150, "output_tokens": 7, "total_tokens": 157,
             "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
             "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
    item = {"id": f"msg_out{number}", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "".join(WORDS), "annotations": []}]}  # fmt: skip
    whole = {"id": f"resp_{port}_{number}", "object": "response", "created_at": 1_700_000_000, "model": body["model"],
             "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
             "status": "in_progress"}  # fmt: skip
    yield {"type": "response.created", "sequence_number": 0, "response": whole}
    for at, word in enumerate(WORDS):
        yield {"type": "response.output_text.delta", "sequence_number": at + 1, "item_id": item["id"],
               "output_index": 0, "content_index": 0, "delta": word, "logprobs": []}  # fmt: skip
    done = {**whole, "status": "completed", "output": [item], "usage": usage}
    yield {"type": "response.completed", "sequence_number": 9, "response": done}
    yield done


ANSWERS = {"/messages": _messages, "/chat/completions": _chat, "/responses": _responses}
