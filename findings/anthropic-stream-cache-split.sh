#!/usr/bin/env bash
# Anthropic SDK, streamed: the two figures of one cache write disagree in the finished message.
#
# Guess:   after a stream, message.usage is one consistent object: cache_creation_input_tokens equals the sum of
#          cache_creation.ephemeral_5m/1h_input_tokens, as in an answer that was not streamed.
# Packages: PyPI anthropic 2.14.0 (plain and beta helper), npm @anthropic-ai/sdk 1.14.0, PyPI genai-prices 0.2.3.
# Seen:    the usage of message_delta is cumulative and larger than that of message_start when a server tool (web search)
#          ran inside the answer. The helper takes the flat figures from it, but leaves the split as message_start had it,
#          also when message_delta carries a split: flat 1300, split 300. service_tier and speed of the delta are dropped
#          as well. genai-prices prices the difference at the 5-minute rate.
# Why it matters: the common rule "if the split exists, take its sum, else the flat number" loses the difference (1000
#          of 1300), "flat" alone loses the TTL. Take the larger of both, and treat the rest as of unknown TTL.
# Source:  public API documentation on streaming (cumulative counts in message_delta; see also cline/cline issue 4346);
#          observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check anthropic==2.14.0 genai-prices==0.2.3
npm install --silent --no-audit --no-fund --prefix "$work" @anthropic-ai/sdk@1.14.0 >/dev/null

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

import subprocess, sys
import anthropic
from genai_prices import extract_usage

start = {"input_tokens": 100, "output_tokens": 1, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 300,
         "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 300}, "service_tier": "standard"}
delta = {"input_tokens": 9100, "output_tokens": 412, "cache_read_input_tokens": 12000, "cache_creation_input_tokens": 1300,
         "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1300},
         "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}, "speed": "fast"}
url = serve(lambda request, path: (200, {}, stream(start, delta)))
client = anthropic.Anthropic(base_url=url, api_key="x", max_retries=0)
ask = {"model": "claude-opus-5", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
for name, api in (("plain", client.messages), ("beta", client.beta.messages)):
    with api.stream(**ask) as running:
        usage = running.get_final_message().usage
    split = usage.cache_creation
    print(name, "input", usage.input_tokens, "output", usage.output_tokens, "read", usage.cache_read_input_tokens,
          "| write flat", usage.cache_creation_input_tokens, "split", split.ephemeral_5m_input_tokens, "+", split.ephemeral_1h_input_tokens,
          "| speed", usage.speed)
got = extract_usage({"model": "claude-opus-5", "usage": usage.model_dump()}, provider_id="anthropic").usage
print("genai-prices:", got.cache_write_tokens, "written, of which 1h", got.cache_write_1h_tokens)
script = """import Anthropic from '@anthropic-ai/sdk'
const client = new Anthropic({apiKey: 'x', baseURL: process.argv[2], maxRetries: 0})
const {usage} = await client.messages.stream({model: 'claude-opus-5', max_tokens: 10, messages: [{role: 'user', content: 'hi'}]}).finalMessage()
const split = usage.cache_creation
console.log('javascript write flat', usage.cache_creation_input_tokens, 'split', split.ephemeral_5m_input_tokens, '+', split.ephemeral_1h_input_tokens)"""
with open(sys.argv[1] + "/stream.mjs", "w") as out:
    out.write(script)
print(subprocess.run(["node", sys.argv[1] + "/stream.mjs", url], capture_output=True, text=True, check=True).stdout.strip())
PROBE

cat >"$work/recorded" <<'RECORDED'
plain input 9100 output 412 read 12000 | write flat 1300 split 0 + 300 | speed None
beta input 9100 output 412 read 12000 | write flat 1300 split 0 + 300 | speed None
genai-prices: 1300 written, of which 1h 300
javascript write flat 1300 split 0 + 300
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" "$work" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
