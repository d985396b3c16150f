#!/usr/bin/env bash
# Behind a gateway address two SDKs report no tokens for streamed answers, one of them as zeros.
#
# Guess:   pointing a client at a gateway or a meter (base_url) changes where it sends, not whether it counts.
# Packages: PyPI langchain-openai 1.7.4, openai-agents 0.24.0 (openai 3.57.0).
# Seen:    both ask for usage in a stream (stream_options.include_usage) only when base_url is OpenAI's own. With any other
#          address the option is not sent, and an upstream that follows the API then sends no usage chunk:
#          langchain-openai gives usage_metadata None, openai-agents gives requests=1 with 0 input, 0 output, 0 total.
#          The same calls without streaming are right.
# Why it matters: the very set-up that is meant to meter (a proxy in between) switches the client's own count off. Zeros
#          look like a free request. A proxy that wants to count must add include_usage itself; a client must say
#          stream_usage=True / include_usage=True.
# Source:  langchain-openai explains its default (langchain-ai/langchain pull requests 33205 and 33298); for openai-agents
#          nothing was found; observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check langchain-openai==1.7.4 openai-agents==0.24.0 openai==3.57.0

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

def chunks(*all_of):
    rows = [{"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5.5", **one} for one in all_of]
    return "".join(f"data: {json.dumps(one)}\n\n" for one in rows) + "data: [DONE]\n\n"

import asyncio
from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI

set_tracing_disabled(True)
counts = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
asked = []
def answer(request, path):
    asked.append(request.get("stream_options"))
    if not request.get("stream"):
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ok"}}
        return 200, {}, json.dumps({"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-5.5", "choices": [choice], "usage": counts})
    last = [{"choices": [], "usage": counts}] if (asked[-1] or {}).get("include_usage") else []
    return 200, {}, chunks({"choices": [{"index": 0, "delta": {"role": "assistant", "content": "ok"}, "finish_reason": None}]},
                           {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, *last)
url = serve(answer) + "/v1"

def langchain(**more):
    model, whole = ChatOpenAI(model="gpt-5.5", api_key="x", base_url=url, **more), None
    for chunk in model.stream("hi"):
        whole = chunk if whole is None else whole + chunk
    return whole.usage_metadata and whole.usage_metadata["total_tokens"], "asked", asked[-1]

def agents(stream, **more):
    async def run():
        agent = Agent(name="a", model=OpenAIChatCompletionsModel("gpt-5.5", AsyncOpenAI(base_url=url, api_key="x")), model_settings=ModelSettings(**more))
        if not stream:
            return (await Runner.run(agent, "hi")).context_wrapper.usage
        running = Runner.run_streamed(agent, "hi")
        async for _ in running.stream_events():
            pass
        return running.context_wrapper.usage
    usage = asyncio.run(run())
    return "requests", usage.requests, "total", usage.total_tokens, "asked", asked[-1]

print("langchain invoke        ", ChatOpenAI(model="gpt-5.5", api_key="x", base_url=url).invoke("hi").usage_metadata["total_tokens"])
print("langchain stream        ", *langchain())
print("langchain stream_usage  ", *langchain(stream_usage=True))
print("agents run              ", *agents(False))
print("agents streamed         ", *agents(True))
print("agents include_usage    ", *agents(True, include_usage=True))
PROBE

cat >"$work/recorded" <<'RECORDED'
langchain invoke         110
langchain stream         None asked None
langchain stream_usage   110 asked {'include_usage': True}
agents run               requests 1 total 110 asked None
agents streamed          requests 1 total 0 asked None
agents include_usage     requests 1 total 110 asked {'include_usage': True}
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
