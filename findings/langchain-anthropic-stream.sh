#!/usr/bin/env bash
# langchain-anthropic, streamed: the whole input disappears, or the time-to-live of the cache writes does.
#
# Guess:   usage_metadata of an answer is the same whether it was streamed or not.
# Package: PyPI langchain-anthropic 1.7.10.
# Seen:    input and cache figures of message_start are not used; only message_delta's are.
#          * message_delta with output_tokens alone (the form in the API's basic streaming example, and of many compatible
#            servers): input_tokens 0, no cache figures: 412 of 3512 tokens remain;
#          * message_delta with cumulative flat figures: totals are right, the 5m/1h split is gone;
#          * not streamed: the split is there and, so that nobody adds twice, cache_creation is 0. So the same field is
#            "all writes" in a stream and "writes of unknown time-to-live" (0) otherwise.
# Why it matters: streamed is how agents run. Adding cache_creation over both kinds of answers counts only the streamed
#          ones; adding it to the ephemeral fields is right in both. An input of 0 with an output is a sign of this.
# Source:  observed; public API documentation on streaming.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check langchain-anthropic==1.7.10

cat >"$work/probe.py" <<'PROBE'
import http.server, json, threading

def serve(answer):
    """A stand-in on loopback; answer(request, path) gives (status, headers, text)."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def log_message(self, *_): pass
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
            status, headers, text = answer(request, self.path)
            body = text.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-type", "text/event-stream" if text.startswith(("event", "data")) else "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"

def events(*all_of):
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in all_of)

def message(usage, **more):
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5", "content": [], "stop_reason": None,
            "stop_sequence": None, "usage": usage, **more}

def stream(start_usage, delta_usage):
    return events({"type": "message_start", "message": message(start_usage)},
                  {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                  {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
                  {"type": "content_block_stop", "index": 0},
                  {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": delta_usage},
                  {"type": "message_stop"})

from langchain_anthropic import ChatAnthropic

full = {"input_tokens": 100, "output_tokens": 412, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 1000,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1000}}
flat = {name: count for name, count in full.items() if name != "cache_creation"}
delta = [{}]
def answer(request, path):
    if request.get("stream"):
        return 200, {}, stream({**full, "output_tokens": 1}, delta[0])
    return 200, {}, json.dumps(message(full, content=[{"type": "text", "text": "ok"}], stop_reason="end_turn"))
model = ChatAnthropic(model="claude-opus-5", api_key="x", base_url=serve(answer), max_retries=0)

def show(name, usage):
    print("%-24s input %4d output %d total %d" % (name, usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]),
          dict(sorted(usage["input_token_details"].items())))
show("not streamed", model.invoke("hi").usage_metadata)
for name, usage in (("delta: output only", {"output_tokens": 412}), ("delta: cumulative", flat)):
    delta[0], whole = usage, None
    for chunk in model.stream("hi"):
        whole = chunk if whole is None else whole + chunk
    show("streamed, " + name, whole.usage_metadata)
PROBE

cat >"$work/recorded" <<'RECORDED'
not streamed             input 3100 output 412 total 3512 {'cache_creation': 0, 'cache_read': 2000, 'ephemeral_1h_input_tokens': 1000, 'ephemeral_5m_input_tokens': 0}
streamed, delta: output only input    0 output 412 total 412 {}
streamed, delta: cumulative input 3100 output 412 total 3512 {'cache_creation': 1000, 'cache_read': 2000}
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
