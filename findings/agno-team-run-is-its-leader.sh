#!/usr/bin/env bash
# Agno: the metrics of a team's run are its leader's alone, and total_tokens leaves out what Anthropic counts as cache.
#
# Guess:   run.metrics of a team holds every call the run made; total_tokens is all tokens.
# Package: PyPI agno 3.1.10 (with anthropic 0.125.0).
# Seen:    a leader that asks a member once makes three calls of 3512 tokens: the run says two calls' input and output, the member's
#          stand in run.member_responses, and the session's metrics hold all three. So run + members = session, and run alone is short.
#          total_tokens is input + output: 512 of 3512 with Anthropic (with OpenAI, whose input holds the cache, all).
# Why it matters: a budget checked against run.metrics.total_tokens sees a seventh of what a cached team uses.
#          Add cache_read_tokens and cache_write_tokens for Anthropic, and the members' responses; or take the session's difference.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check agno==3.1.10 anthropic==0.125.0

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

from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.models.anthropic import Claude
from agno.team import Team

calls = []
def answer(request):
    """Whoever has the tool for it asks the member once; everybody else answers."""
    calls.append(request)
    tools = [tool["name"] for tool in request.get("tools") or []]
    has_result = any(part.get("type") == "tool_result" for turn in request["messages"] if isinstance(turn["content"], list)
                     for part in turn["content"])
    if "delegate_task_to_member" in tools and not has_result:
        asked = {"type": "tool_use", "id": "toolu_1", "name": "delegate_task_to_member", "input": {"member_id": "helper", "task": "x"}}
        return json.dumps(message([asked], "tool_use"))
    return json.dumps(message([{"type": "text", "text": "ok"}]))

def show(name, metrics):
    print("%-8s" % name, {key: count for key, count in metrics.to_dict().items() if key.endswith("tokens")})

url = serve(answer)
model = lambda: Claude(id="claude-opus-4-5", api_key="x", client_params={"base_url": url})
team = Team(name="team", members=[Agent(name="helper", id="helper", model=model(), telemetry=False)], model=model(), telemetry=False, db=InMemoryDb())
run = team.run("hi", session_id="s")
print("calls made:", len(calls))
show("run", run.metrics)
for response in run.member_responses:
    show("member", response.metrics)
show("session", team.get_session_metrics("s"))
PROBE

cat >"$work/recorded" <<'RECORDED'
calls made: 3
run      {'input_tokens': 200, 'output_tokens': 824, 'total_tokens': 1024, 'cache_read_tokens': 4000, 'cache_write_tokens': 2000}
member   {'input_tokens': 100, 'output_tokens': 412, 'total_tokens': 512, 'cache_read_tokens': 2000, 'cache_write_tokens': 1000}
session  {'input_tokens': 300, 'output_tokens': 1236, 'total_tokens': 1536, 'cache_read_tokens': 6000, 'cache_write_tokens': 3000}
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
