#!/usr/bin/env bash
# Strands Agents: the usage on a result is that of the agent's whole life, and the result of the first call changes with the second.
#
# Guess:   result.metrics.accumulated_usage is what this call used.
# Package: PyPI strands-agents 1.62.0 (with anthropic 0.125.0).
# Seen:    every result of one agent holds the same object. After two calls of 3512 tokens both results say 7024; three calls
#          added up from their results, each read at the end, are 9 calls' worth, and read one by one 1 + 2 + 3. The call's own
#          usage stands in metrics.agent_invocations[-1].usage. inputTokens is without cache for Anthropic, with it for OpenAI.
# Why it matters: an agent kept for a queue of jobs reports each job bigger than the last; a lease's use grows for nothing.
#          Report agent_invocations[-1].usage, or the difference to the call before.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check strands-agents==1.62.0 anthropic==0.125.0

cat >"$work/probe.py" <<'PROBE'
import http.server, json, threading

def serve(answer):
    """A stand-in on loopback; answer(request) gives the text of the answer."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def log_message(self, *_): pass
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
            text = answer(request)
            body = text.encode()
            self.send_response(200)
            self.send_header("content-type", "text/event-stream" if text.startswith(("event", "data")) else "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"

USAGE = {"input_tokens": 100, "output_tokens": 412, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 1000}

def message(content, stop_reason="end_turn", usage=USAGE):
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-5", "content": content,
            "stop_reason": stop_reason, "stop_sequence": None, "usage": usage}

def stream():
    parts = [{"type": "message_start", "message": message([], None, {**USAGE, "output_tokens": 1})},
             {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
             {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
             {"type": "content_block_stop", "index": 0},
             {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE},
             {"type": "message_stop"}]
    return "".join(f"event: {part['type']}\ndata: {json.dumps(part)}\n\n" for part in parts)

def answer(request):
    return stream() if request.get("stream") else json.dumps(message([{"type": "text", "text": "ok"}]))

from strands import Agent
from strands.models.anthropic import AnthropicModel

agent = Agent(model=AnthropicModel(client_args={"api_key": "x", "base_url": serve(answer)}, model_id="claude-opus-4-5", max_tokens=1000),
              callback_handler=None)
results, read_at_once = [], []
for _ in range(3):
    results.append(agent("hi"))
    read_at_once.append(results[-1].metrics.accumulated_usage["totalTokens"])
print("three calls of 3512 tokens, one agent")
print("accumulated_usage, read after each call:", read_at_once)
print("accumulated_usage, read at the end:     ", [result.metrics.accumulated_usage["totalTokens"] for result in results])
print("agent_invocations of the last:          ", [call.usage["totalTokens"] for call in results[-1].metrics.agent_invocations])
print("one object for all:                     ", results[0].metrics is results[2].metrics)
PROBE

cat >"$work/recorded" <<'RECORDED'
three calls of 3512 tokens, one agent
accumulated_usage, read after each call: [3512, 7024, 10536]
accumulated_usage, read at the end:      [10536, 10536, 10536]
agent_invocations of the last:           [3512, 3512, 3512]
one object for all:                      True
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
