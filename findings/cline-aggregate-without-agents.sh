#!/usr/bin/env bash
# Cline: the "aggregate" usage of a run lacks every sub-agent; only the sub-agent's own file of messages has what it used.
#
# Guess:   `usage` of a run's result is the leading agent's, `aggregateUsage` that and its sub-agents'.
# Package: npm @cline/cli-linux-x64 3.0.65 (the program behind `cline`), with an OpenAI-compatible provider.
# Seen:    a run that spawns one sub-agent makes four calls of 3540 tokens, two by each. The result of `--json` and the session's
#          file say usage = aggregateUsage = 7080, `history` too. sessions/<id>/agent_<…>.messages.json has the other 7080,
#          message by message. `inputTokens` includes `cacheReadTokens`.
# Why it matters: a budget held against the result of a run sees half of it. Add up `metrics` of all *.messages.json of a session.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
clean_up() { # cline leaves a process in the background, which goes on writing until it has ended
    if [ -f "$work/daemon" ]; then
        kill "$(cat "$work/daemon")" 2>/dev/null || true
        for _ in $(seq 100); do kill -0 "$(cat "$work/daemon")" 2>/dev/null || break; sleep 0.1; done
    fi
    rm -rf "$work"
}
trap clean_up EXIT

npm install --silent --no-audit --no-fund --prefix "$work" @cline/cli-linux-x64@3.0.65
mkdir -p "$work/home" "$work/app"

cat >"$work/probe.py" <<'PROBE'
import http.server, json, os, pathlib, subprocess, sys, threading

program, work = sys.argv[1], pathlib.Path(sys.argv[2])
calls = []
script = [("spawn_agent", {"systemPrompt": "You look around.", "task": "Look."}), ("run_commands", {"commands": ["echo hi"]}), None, None]

class Handler(http.server.BaseHTTPRequestHandler):
    """Answers what stands in the script as a stream, each time with the same usage."""
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        step = script[len(calls)]
        calls.append(step)
        delta = {"role": "assistant", "content": "done"}
        if step:
            function = {"name": step[0], "arguments": json.dumps(step[1])}
            delta = {"role": "assistant", "content": None, "tool_calls": [{"index": 0, "id": f"c{len(calls)}", "type": "function", "function": function}]}
        usage = {"prompt_tokens": 3500, "completion_tokens": 40, "total_tokens": 3540, "prompt_tokens_details": {"cached_tokens": 3000}}
        base = {"id": f"r{len(calls)}", "object": "chat.completion.chunk", "created": 1790000000, "model": "m"}
        chunks = [{**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
                  {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if step else "stop"}]}, {**base, "choices": [], "usage": usage}]
        body = ("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n").encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
environment = {"HOME": str(work / "home"), "PATH": os.environ["PATH"]}

def cline(*arguments):
    return subprocess.run([program, *arguments], cwd=work / "app", env=environment, capture_output=True, text=True, timeout=120, check=True).stdout

cline("auth", "-p", "openai", "-k", "x", "-m", "m", "-b", f"http://127.0.0.1:{server.server_port}/v1")
lines = [json.loads(line) for line in cline("--json", "-t", "90", "-P", "openai", "-m", "m", "look around").splitlines() if line.startswith("{")]

def short(usage):
    return {name: usage[name] for name in ("inputTokens", "outputTokens", "cacheReadTokens")}

result = next(line for line in lines if line["type"] == "run_result")
print(len(calls), "calls were made")
print("result, usage         ", short(result["usage"]))
print("result, aggregateUsage", short(result["aggregateUsage"]))
(session,) = (work / "home/.cline/data/sessions").iterdir()
record = json.loads((session / f"{session.name}.json").read_text())
(work / "daemon").write_text(str(record["pid"]))
print("session, aggregateUsage", short(record["metadata"]["aggregateUsage"]))
for path in sorted(session.glob("*.messages.json"), key=lambda one: one.name.startswith("agent_")):
    document = json.loads(path.read_text())
    used = [message["metrics"] for message in document["messages"] if "metrics" in message]
    print("messages of the", document["agent"], {name: sum(one[name] for one in used) for name in ("inputTokens", "outputTokens", "cacheReadTokens")})
PROBE

cat >"$work/recorded" <<'RECORDED'
4 calls were made
result, usage          {'inputTokens': 7000, 'outputTokens': 80, 'cacheReadTokens': 6000}
result, aggregateUsage {'inputTokens': 7000, 'outputTokens': 80, 'cacheReadTokens': 6000}
session, aggregateUsage {'inputTokens': 7000, 'outputTokens': 80, 'cacheReadTokens': 6000}
messages of the lead {'inputTokens': 7000, 'outputTokens': 80, 'cacheReadTokens': 6000}
messages of the subagent {'inputTokens': 7000, 'outputTokens': 80, 'cacheReadTokens': 6000}
RECORDED

python3 "$work/probe.py" "$work/node_modules/@cline/cli-linux-x64/bin/cline" "$work" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
