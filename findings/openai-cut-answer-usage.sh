#!/usr/bin/env bash
# OpenAI SDK stream helpers: the usage of an answer that was cut at its token limit is lost.
#
# Guess:   with the helper that collects a stream, an answer that ends at max_output_tokens is returned with its usage;
#          it was produced, sent and billed.
# Package: PyPI openai 3.57.0.
# Seen:    * responses.stream(): a response.incomplete or response.failed event carries the usage, but
#            get_final_response() raises RuntimeError about a missing response.completed event;
#          * chat.completions.stream(response_format=Model): LengthFinishReasonError is raised at the chunk with the finish
#            reason, before the usage chunk is read, and the exception holds no usage;
#          * without response_format the same error is raised at the end, and its text and .completion have the usage.
#          The usage is there in all three, for who iterates the events by hand.
# Why it matters: truncated answers are the long ones. A meter built on the helpers misses the dearest requests exactly
#          when budgets cut them.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check openai==3.57.0

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

def chunks(*all_of):
    rows = [{"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5.5", **one} for one in all_of]
    return "".join(f"data: {json.dumps(one)}\n\n" for one in rows) + "data: [DONE]\n\n"

import openai
from pydantic import BaseModel

counts = {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 50}, "output_tokens": 10,
          "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 110}
response = {"id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress", "model": "gpt-5.5", "output": [],
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": None}
def responses(status, **more):
    return events({"type": "response.created", "sequence_number": 0, "response": response},
                  {"type": f"response.{status}", "sequence_number": 1, "response": {**response, "status": status, "usage": counts, **more}})
cut = chunks({"choices": [{"index": 0, "delta": {"role": "assistant", "content": '{"a":'}, "finish_reason": None}]},
             {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]},
             {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}})
now = [""]
client = openai.OpenAI(base_url=serve(lambda request, path: (200, {}, now[0])) + "/v1", api_key="x", max_retries=0)

for status, more in (("completed", {}), ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}),
                     ("failed", {"error": {"code": "server_error", "message": "x"}})):
    now[0] = responses(status, **more)
    with client.responses.stream(model="gpt-5.5", input="hi") as running:
        held = [event.response.usage.total_tokens for event in running if event.type == f"response.{status}"]
        try:
            got = running.get_final_response().usage.total_tokens
        except RuntimeError as error:
            got = f"RuntimeError: {error}"
    print(f"responses {status}: event has", held, "| helper:", got)

class Answer(BaseModel):
    a: int
now[0] = cut
for name, more in (("plain", {}), ("response_format", {"response_format": Answer})):
    try:
        with client.chat.completions.stream(model="gpt-5.5", messages=[{"role": "user", "content": "hi"}], **more) as running:
            for _ in running:
                pass
            running.get_final_completion()
    except openai.LengthFinishReasonError as error:
        usage = error.completion.usage
        print(f"chat {name}: LengthFinishReasonError, usage", usage.total_tokens if usage else None)
PROBE

cat >"$work/recorded" <<'RECORDED'
responses completed: event has [110] | helper: 110
responses incomplete: event has [110] | helper: RuntimeError: Didn't receive a `response.completed` event.
responses failed: event has [110] | helper: RuntimeError: Didn't receive a `response.completed` event.
chat plain: LengthFinishReasonError, usage 110
chat response_format: LengthFinishReasonError, usage None
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
