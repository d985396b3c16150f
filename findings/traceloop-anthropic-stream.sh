#!/usr/bin/env bash
# Traceloop's instrumentation of Anthropic: a streamed answer that searched the web is 2820 of 23,812 tokens; its neighbours say all.
#
# Guess:   spans of one answer carry the same usage whoever makes them, streamed or not.
# Packages: PyPI opentelemetry-instrumentation-anthropic and -openai 0.62.4, openinference-instrumentation-anthropic 3.1.0, logfire 5.4.0,
#          anthropic 2.14.0 (makes a span itself), openai 3.57.0.
# Seen:    a stream begins with 2400 tokens of input and ends, after two searches inside the answer, with 23,400 (message_delta is
#          cumulative) and 412 output.
#          * Traceloop takes the input of message_start, and ADDS the output of message_start (a placeholder, 8) to that of
#            message_delta: 2400 and 420. Every streamed answer is off by the placeholder, one with a server tool by what the tool read;
#          * the SDK's own span, OpenInference and Logfire say 23,400 and 412;
#          * not streamed, all four agree.
#          With OpenAI's chat completions its reasoning tokens are on the span, unless the answer was streamed.
# Why it matters: two spans of one response id with different figures are normal where both are switched on. Neither "the first" nor
#          "the larger output" is the true one: take the larger input, and the output of the span that agrees with the SDK.
# Source:  public API documentation on streaming (counts of message_delta are cumulative); observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check anthropic==2.14.0 openai==3.57.0 opentelemetry-sdk==1.45.2 \
  opentelemetry-instrumentation-anthropic==0.62.4 opentelemetry-instrumentation-openai==0.62.4 \
  openinference-instrumentation-anthropic==3.1.0 logfire==5.4.0

cat >"$work/probe.py" <<'PROBE'
import http.server, json, sys, threading

def serve(answer):
    """A stand-in on loopback; answer(request, path) gives the text of the answer."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def log_message(self, *_): pass
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
            text = answer(request, self.path)
            body = text.encode()
            self.send_response(200)
            self.send_header("content-type", "text/event-stream" if text.startswith(("event", "data")) else "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"

BEGIN = {"input_tokens": 100, "output_tokens": 8, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 300}
END = {"input_tokens": 10100, "output_tokens": 412, "cache_read_input_tokens": 12000, "cache_creation_input_tokens": 1300,
       "server_tool_use": {"web_search_requests": 2}}
CHAT = {"prompt_tokens": 3100, "completion_tokens": 412, "total_tokens": 3512, "prompt_tokens_details": {"cached_tokens": 2000},
        "completion_tokens_details": {"reasoning_tokens": 300}}

def message(usage, content, stop):
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-5", "content": content,
            "stop_reason": stop, "stop_sequence": None, "usage": usage}

def anthropic_answer(request):
    if not request.get("stream"):
        return json.dumps(message(END, [{"type": "text", "text": "ok"}], "end_turn"))
    parts = [{"type": "message_start", "message": message(BEGIN, [], None)},
             {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
             {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
             {"type": "content_block_stop", "index": 0},
             {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": END},
             {"type": "message_stop"}]
    return "".join(f"event: {part['type']}\ndata: {json.dumps(part)}\n\n" for part in parts)

def chat_answer(request):
    base = {"id": "chatcmpl-1", "created": 1, "model": "gpt-5"}
    if not request.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
        return json.dumps({**base, "object": "chat.completion", "choices": [choice], "usage": CHAT})
    chunks = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": "ok"}, "finish_reason": None}]},
              {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": CHAT}]
    return "".join(f"data: {json.dumps({**base, 'object': 'chat.completion.chunk', **chunk})}\n\n" for chunk in chunks) + "data: [DONE]\n\n"

url = serve(lambda request, path: chat_answer(request) if "chat" in path else anthropic_answer(request))

import anthropic, openai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

kept, who = InMemorySpanExporter(), sys.argv[1]
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
if who == "anthropic":
    trace.set_tracer_provider(provider)
elif who == "traceloop":
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor
    AnthropicInstrumentor().instrument(tracer_provider=provider)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
elif who == "openinference":
    from openinference.instrumentation.anthropic import AnthropicInstrumentor
    AnthropicInstrumentor().instrument(tracer_provider=provider)
else:
    import logfire
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(kept)])
    logfire.instrument_anthropic()

def tokens(*ends):
    return [value for span in kept.get_finished_spans() for name, value in (span.attributes or {}).items() if name.endswith(ends)]

messages = [{"role": "user", "content": "hi"}]
client = anthropic.Anthropic(base_url=url, api_key="x")
for streamed in (False, True):
    kept.clear()
    if streamed:
        with client.messages.stream(model="claude-opus-4-5", max_tokens=10, messages=messages) as stream:
            stream.get_final_message()
    else:
        client.messages.create(model="claude-opus-4-5", max_tokens=10, messages=messages)
    print(f"{who:14} {'streamed' if streamed else 'whole':9} input {tokens('usage.input_tokens', 'token_count.prompt')}",
          f"output {tokens('usage.output_tokens', 'token_count.completion')}")
if who == "traceloop":
    chat = openai.OpenAI(base_url=url + "/v1", api_key="x").chat.completions
    for streamed in (False, True):
        kept.clear()
        answer = chat.create(model="gpt-5", messages=messages, stream=streamed, **({"stream_options": {"include_usage": True}} if streamed else {}))
        list(answer) if streamed else None
        print(f"{who:14} {'streamed' if streamed else 'whole':9} chat completions, reasoning {tokens('reasoning_tokens')} of output {tokens('usage.output_tokens')}")
PROBE

cat >"$work/recorded" <<'RECORDED'
anthropic      whole     input [23400] output [412]
anthropic      streamed  input [23400] output [412]
openinference  whole     input [23400] output [412]
openinference  streamed  input [23400] output [412]
logfire        whole     input [23400] output [412]
logfire        streamed  input [23400] output [412]
traceloop      whole     input [23400] output [412]
traceloop      streamed  input [2400] output [420]
traceloop      whole     chat completions, reasoning [300] of output [412]
traceloop      streamed  chat completions, reasoning [] of output [412]
RECORDED

for who in anthropic openinference logfire traceloop; do
  "$work/venv/bin/python" -W ignore "$work/probe.py" "$who" 2>"$work/errors" || { cat "$work/errors"; exit 1; }
done | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
