#!/usr/bin/env bash
# qwen-code: the usage of a headless run is that of its whole session, and one of two formats does not say by which model.
#
# Guess:   `qwen -o json` and `-o stream-json` print Claude Code's shapes and mean the same: a result's `usage` is that of
#          the run, and both formats carry the same fields.
# Package: npm @qwen-code/qwen-code 0.24.4, against a stand-in of the chat completions API on loopback.
# Seen:    each run asks the model twice (2 x 1000 input, 2 x 20 output); a run that resumes it
#          * says 4000 input and 80 output in its result: its own and those of the run before;
#          * has `stats` with the sums by model in `json`, and no `stats` at all in `stream-json`.
# Why it matters: who adds up the results of a session counts its beginning again with each run. A reader has to take the
#          difference to what the session had before, and in `stream-json` has no model to price it by but the answers'.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd "$work" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund @qwen-code/qwen-code@0.24.4)

cat >"$work/probe.py" <<'PROBE'
import http.server, json, os, pathlib, subprocess, sys, threading

work = pathlib.Path(sys.argv[1])
CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
CHUNKS = [{**CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "done"}, "finish_reason": None}]},
          {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
          {**CHUNK, "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020}}]
WHOLE = {**CHUNK, "object": "chat.completion", "usage": CHUNKS[2]["usage"],
         "choices": [{"index": 0, "message": {"role": "assistant", "content": "done"}, "finish_reason": "stop"}]}
asked = []

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
        asked.append(self.path)
        if body.get("stream"):
            kind, text = "text/event-stream", "".join(f"data: {json.dumps(c)}\n\n" for c in CHUNKS) + "data: [DONE]\n\n"
        else:
            kind, text = "application/json", json.dumps(WHOLE)
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for form in ("json", "stream-json"):
    home = work / form
    home.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "OPENAI_API_KEY": "made-up", "OPENAI_MODEL": "m",
           "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1"}
    session = []
    for what in ("first", "resumed"):
        before = len(asked)
        ended = subprocess.run([work / "node_modules/.bin/qwen", "--auth-type", "openai", "-o", form, *session, "-p", "say something"],
            cwd=home, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        text = ended.stdout.strip()
        items = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
        (result,) = [item for item in items if item["type"] == "result"]
        session = ["--resume", result["session_id"]]
        usage = result["usage"]
        print(form, what, "calls", len(asked) - before, "input", usage["input_tokens"], "output", usage["output_tokens"],
              "stats" if "stats" in result else "no-stats")
PROBE

cat >"$work/recorded" <<'RECORDED'
json first calls 2 input 2000 output 40 stats
json resumed calls 2 input 4000 output 80 stats
stream-json first calls 2 input 2000 output 40 no-stats
stream-json resumed calls 2 input 4000 output 80 no-stats
RECORDED

python3 "$work/probe.py" "$work" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
