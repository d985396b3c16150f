#!/usr/bin/env bash
# Codex: an old version goes on with a new version's session, without records of its answers, and locks the new one out.
#
# Guess:   a version that does not know the format of a session file refuses to resume it, or begins a file of its own;
#          every answer in a file of a new version has its `token_usage_record`.
# Packages: npm @openai/codex 0.171.0 and 0.104.0, both against one stand-in of the Responses API on loopback.
# Seen:    0.171 writes one answer, 0.104 resumes that session and appends to the same file, 0.171 tries again:
#          * the answer of 0.104 has a `token_count` line and no `token_usage_record`: of 2 answers 1 record;
#          * 0.104 writes each sum twice, the second time as the first line of its next turn;
#          * 0.171 can no longer resume the session (exit 1, "failed to resume local thread recorder").
# Why it matters: an editor's extension brings its own, often older Codex. A reader that takes records alone in files that
#          have any loses what the older one used; one that takes every sum counts the newer one twice.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for version in 0.171.0 0.104.0; do
  mkdir "$work/$version"
  (cd "$work/$version" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund "@openai/codex@$version")
done

cat >"$work/probe.py" <<'PROBE'
import http.server, json, os, pathlib, re, subprocess, sys, threading

work = pathlib.Path(sys.argv[1])
FIGURES = iter([(1001, 21), (2002, 32), (4004, 43)])

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def answer(self, kind, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer("application/json", "{}", 404)
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        given, out = next(FIGURES)
        item = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "ok", "annotations": []}]}
        usage = {"input_tokens": given, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": out,
                 "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": given + out}
        events = [{"type": "response.created", "response": {"id": f"resp_{given}"}},
                  {"type": "response.output_item.done", "output_index": 0, "item": item},
                  {"type": "response.completed", "response": {"id": f"resp_{given}", "output": [item], "usage": usage}}]
        self.answer("text/event-stream", "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events))

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
home, project = work / "home", work / "project"
home.mkdir(), project.mkdir()
(home / "config.toml").write_text(f'''model = "gpt-5.3-codex"
model_provider = "local"
check_for_update_on_startup = false
[model_providers.local]
name = "local"
base_url = "http://127.0.0.1:{server.server_port}/v1"
wire_api = "responses"
env_key = "LOCAL_KEY"
''')

def codex(version, *more):
    done = subprocess.run([work / version / "node_modules/.bin/codex", "exec", "--json", "--skip-git-repo-check", *more],
        cwd=project, env=os.environ | {"CODEX_HOME": str(home), "LOCAL_KEY": "made-up"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr

def usage_lines():
    (file,) = home.glob("sessions/**/*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    records = [line["payload"]["usage"]["input_tokens"] for line in lines if line["type"] == "token_usage_record"]
    sums = [line["payload"]["info"]["total_token_usage"]["input_tokens"] for line in lines
            if line["payload"].get("type") == "token_count" and line["payload"].get("info")]
    return records, sums

status, said = codex("0.171.0", "say ok")
thread = re.search(r'"thread_id":"([^"]+)"', said)[1]
print("0.171 begins:   exit", status, "records, sums", usage_lines())
status, said = codex("0.104.0", "resume", thread, "again")
print("0.104 resumes:  exit", status, "records, sums", usage_lines())
status, said = codex("0.171.0", "resume", thread, "again")
print("0.171 resumes:  exit", status, "recorder" if "failed to resume local thread recorder" in said else said[-300:])
PROBE

cat >"$work/recorded" <<'RECORDED'
0.171 begins:   exit 0 records, sums ([1001], [1001])
0.104 resumes:  exit 0 records, sums ([1001], [1001, 1001, 3003])
0.171 resumes:  exit 1 recorder
RECORDED

python3 "$work/probe.py" "$work" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
