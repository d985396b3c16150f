#!/usr/bin/env bash
# google-genai: when the SDK calls your function for you, only the last of its answers has a usage that you ever see.
#
# Guess:   usage_metadata of the answer adds up the calls that were made for it, or each stands in the history.
# Package: PyPI google-genai 3.6.1.
# Seen:    a question that needs a Python function twice makes three calls of 3540 tokens each. chat.send_message and
#          generate_content return the last one's usage (3540 of 10620); the history holds contents without a usage.
#          Streamed, the same question yields each call's usage, with one response_id a call and running totals within a call.
#          With automatic calling switched off, the caller makes the three calls and sees all three.
# Why it matters: whoever books usage_metadata of what send_message returns books a third. Stream, keep the last usage of each
#          response_id and add those up, or call the functions yourself.
# Source:  observed; the documentation of automatic function calling says nothing of usage.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check google-genai==3.6.1

cat >"$work/probe.py" <<'PROBE'
import http.server, json, logging, threading

logging.disable(logging.CRITICAL)
calls = []

def usage(written):
    return {"promptTokenCount": 3500, "candidatesTokenCount": written, "thoughtsTokenCount": 25, "totalTokenCount": 3525 + written}

def part(request):
    """Asks for the function until it has been called twice, then says so."""
    called = sum("functionResponse" in each for turn in request["contents"] for each in turn["parts"])
    return {"functionCall": {"name": "weather", "args": {"city": "abc"[called]}}} if called < 2 else {"text": "done"}

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        calls.append(request)
        def chunk(one, written, **more):
            candidate = {"content": {"role": "model", "parts": [one]}, "index": 0} | more
            return json.dumps({"candidates": [candidate], "usageMetadata": usage(written), "responseId": f"r{len(calls)}", "modelVersion": "gemini-2.5-flash"})
        last = part(request)
        if "stream" in self.path:
            chunks = [chunk({"text": "so"}, 5)] if "text" in last else []
            body = "".join(f"data: {one}\r\n\r\n" for one in [*chunks, chunk(last, 15, finishReason="STOP")]).encode()
        else:
            body = chunk(last, 15, finishReason="STOP").encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if "stream" in self.path else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()

from google import genai
from google.genai import types

client = genai.Client(api_key="x", http_options=types.HttpOptions(base_url=f"http://127.0.0.1:{server.server_port}"))

def weather(city: str) -> str:
    """The weather of a city."""
    return "sunny"

def config(**more):
    return types.GenerateContentConfig(tools=[weather], **more)

def chat(**more):
    calls.clear()
    return client.chats.create(model="gemini-2.5-flash", config=config(**more))

talk = chat()
answer = talk.send_message("hi")
print("send_message          ", len(calls), "calls, tokens:", answer.usage_metadata.total_token_count)
print("  its history         ", len(talk.get_history()), "contents with", sum("usage" in name for name in types.Content.model_fields), "fields of usage")
calls.clear()
answer = client.models.generate_content(model="gemini-2.5-flash", contents="hi", config=config())
print("generate_content      ", len(calls), "calls, tokens:", answer.usage_metadata.total_token_count)
seen = [(each.response_id, each.usage_metadata.total_token_count) for each in chat().send_message_stream("hi")]
print("send_message_stream   ", len(calls), "calls, tokens:", seen)
talk = chat(automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True))
answer, tokens = talk.send_message("hi"), []
tokens.append(answer.usage_metadata.total_token_count)
while answer.function_calls:
    answer = talk.send_message(types.Part.from_function_response(name="weather", response={"result": "sunny"}))
    tokens.append(answer.usage_metadata.total_token_count)
print("called by ourselves   ", len(calls), "calls, tokens:", tokens)
PROBE

cat >"$work/recorded" <<'RECORDED'
send_message           3 calls, tokens: 3540
  its history          6 contents with 0 fields of usage
generate_content       3 calls, tokens: 3540
send_message_stream    3 calls, tokens: [('r1', 3540), ('r2', 3540), ('r3', 3530), ('r3', 3540)]
called by ourselves    3 calls, tokens: [3540, 3540, 3540]
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
