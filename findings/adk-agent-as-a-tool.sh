#!/usr/bin/env bash
# Google ADK: what an agent used that another agent asked as its tool is in no event and no session; streamed, events count twice.
#
# Guess:   the events of a run hold every call it made, those of an agent used as a tool (AgentTool) under its own name, each once.
# Package: PyPI google-adk 2.13.0 (with google-genai 2.34.0).
# Seen:    every call is answered with 3540 tokens. An agent that asks another one through AgentTool makes three calls; the run's
#          events and the stored session hold two. Given as a sub-agent that takes over, all calls stand there.
#          With StreamingMode.SSE the run's events of two calls carry five usages, as each chunk has one and the whole answer again;
#          the stored session has two.
# Why it matters: adding up the usage of events is wrong in both directions. Take events that are not partial, and give an
#          AgentTool's agent a callback of its own (after_model_callback saw all three).
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check google-adk==2.13.0 google-genai==2.34.0

cat >"$work/probe.py" <<'PROBE'
import asyncio, http.server, json, logging, os, threading

logging.disable(logging.CRITICAL)
script, made = [], []

class Handler(http.server.BaseHTTPRequestHandler):
    """Answers what stands in the script; a text comes in two chunks when streamed."""
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        part = script.pop(0)
        made.append(part)
        def chunk(one, written, **more):
            usage = {"promptTokenCount": 3500, "candidatesTokenCount": written, "totalTokenCount": 3500 + written}
            candidate = {"content": {"role": "model", "parts": [one]}, "index": 0} | more
            return json.dumps({"candidates": [candidate], "usageMetadata": usage, "responseId": f"r{len(made)}", "modelVersion": "gemini-2.5-flash"})
        streamed = "stream" in self.path
        chunks = [chunk({"text": "so "}, 30)] if streamed and "text" in part else []
        chunks.append(chunk(part, 40, finishReason="STOP"))
        body = ("".join(f"data: {each}\r\n\r\n" for each in chunks) if streamed else chunks[-1]).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streamed else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(GOOGLE_API_KEY="x", GOOGLE_GENAI_USE_VERTEXAI="0", GOOGLE_GEMINI_BASE_URL=f"http://127.0.0.1:{server.server_port}")

from google.adk.agents import LlmAgent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.runners import InMemoryRunner
from google.adk.tools.agent_tool import AgentTool
from google.genai import types

TEXT = {"text": "done"}
heard = []

def listen(callback_context, llm_response):
    if not llm_response.partial:
        heard.append(callback_context.agent_name)

def weather(city: str) -> str:
    """The weather of a city."""
    return "sunny"

def agent(name, **more):
    return LlmAgent(name=name, model="gemini-2.5-flash", description="d", instruction="i", after_model_callback=listen, **more)

def call(name, **arguments):
    return {"functionCall": {"name": name, "args": arguments}}

async def run(title, top, answers, mode=StreamingMode.NONE):
    script[:], made[:], heard[:] = answers, [], []
    runner = InMemoryRunner(agent=top, app_name="app")
    session = await runner.session_service.create_session(app_name="app", user_id="u")
    hello = types.Content(role="user", parts=[types.Part(text="hi")])
    def counts(events):
        return [(event.author, event.usage_metadata.total_token_count) for event in events if event.usage_metadata]
    events = [event async for event in runner.run_async(user_id="u", session_id=session.id, new_message=hello, run_config=RunConfig(streaming_mode=mode))]
    stored = await runner.session_service.get_session(app_name="app", user_id="u", session_id=session.id)
    print(f"{title}: {len(made)} calls")
    print("  events ", counts(events))
    print("  session", counts(stored.events))
    print("  callback", heard)

async def main():
    helper = agent("helper")
    await run("agent as a tool", agent("top", tools=[AgentTool(agent=helper)]), [call("helper", request="t"), TEXT, TEXT])
    await run("agent that takes over", agent("top", sub_agents=[agent("helper")]), [call("transfer_to_agent", agent_name="helper"), TEXT])
    await run("streamed", agent("top", tools=[weather]), [call("weather", city="a"), TEXT], StreamingMode.SSE)

asyncio.run(main())
PROBE

cat >"$work/recorded" <<'RECORDED'
agent as a tool: 3 calls
  events  [('top', 3540), ('top', 3540)]
  session [('top', 3540), ('top', 3540)]
  callback ['top', 'helper', 'top']
agent that takes over: 2 calls
  events  [('top', 3540), ('helper', 3540)]
  session [('top', 3540), ('helper', 3540)]
  callback ['top', 'helper']
streamed: 2 calls
  events  [('top', 3540), ('top', 3540), ('top', 3530), ('top', 3540), ('top', 3540)]
  session [('top', 3540), ('top', 3540)]
  callback ['top', 'top']
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
