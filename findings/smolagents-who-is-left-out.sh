#!/usr/bin/env bash
# smolagents: a run's token_usage lacks every agent below it, and the total that its monitor prints lacks the plans as well.
#
# Guess:   token_usage of a run is what the run used; monitor.get_total_token_counts() says the same.
# Package: PyPI smolagents 1.26.0 (with openai 3.3.0).
# Seen:    every call is answered with 3500 + 40 tokens.
#          An agent that makes a plan before each of two steps makes four calls: token_usage has four, the monitor two.
#          An agent that hands a task to a managed agent (one call) makes three: token_usage and the monitor have two, and the
#          managed agent's own monitor the third.
#          run(…, reset=False) goes on in the same memory: token_usage of the second run is that of both.
# Why it matters: no figure of the three is a run's use. Plans: take token_usage; managed agents: add each one's own; runs that
#          go on: take the difference to what the memory had.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check smolagents==1.26.0 openai==3.3.0

cat >"$work/probe.py" <<'PROBE'
import http.server, json, threading

script, made = [], []

class Handler(http.server.BaseHTTPRequestHandler):
    """Answers what stands in the script, each time with the same usage."""
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        name, arguments = script.pop(0)
        made.append(name)
        message = {"role": "assistant", "content": "1. look 2. answer"}
        if name != "plan":
            function = {"name": name, "arguments": json.dumps(arguments)}
            message = {"role": "assistant", "content": None, "tool_calls": [{"id": f"c{len(made)}", "type": "function", "function": function}]}
        choice = {"index": 0, "message": message, "finish_reason": "stop" if name == "plan" else "tool_calls"}
        usage = {"prompt_tokens": 3500, "completion_tokens": 40, "total_tokens": 3540}
        body = json.dumps({"id": f"r{len(made)}", "object": "chat.completion", "created": 1790000000, "model": "m", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()

from smolagents import OpenAIServerModel, ToolCallingAgent, tool

model = OpenAIServerModel("m", api_base=f"http://127.0.0.1:{server.server_port}/v1", api_key="x")

@tool
def weather(city: str) -> str:
    """The weather.

    Args:
        city: where
    """
    return "sunny"

LOOK, ANSWER, PLAN = ("weather", {"city": "a"}), ("final_answer", {"answer": "x"}), ("plan", None)

def agent(**more):
    return ToolCallingAgent(**({"tools": [weather], "model": model, "verbosity_level": 0, "return_full_result": True} | more))

def run(name, runner, answers, **more):
    made.clear()
    script[:] = answers
    result = runner.run("hi", **more)
    print("%-14s" % name, len(made), "calls; token_usage", result.token_usage.total_tokens, "; monitor", runner.monitor.get_total_token_counts().total_tokens)

plain = agent()
run("plain", plain, [LOOK, ANSWER])
run("going on", plain, [LOOK, ANSWER], reset=False)
run("with plans", agent(planning_interval=1), [PLAN, LOOK, PLAN, ANSWER])
below = agent(name="helper", description="knows the weather")
run("with a helper", agent(tools=[], managed_agents=[below]), [("helper", {"task": "t"}), ANSWER, ANSWER])
print("the helper's own monitor:", below.monitor.get_total_token_counts().total_tokens)
PROBE

cat >"$work/recorded" <<'RECORDED'
plain          2 calls; token_usage 7080 ; monitor 7080
going on       2 calls; token_usage 14160 ; monitor 14160
with plans     4 calls; token_usage 14160 ; monitor 7080
with a helper  3 calls; token_usage 7080 ; monitor 7080
the helper's own monitor: 3540
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
