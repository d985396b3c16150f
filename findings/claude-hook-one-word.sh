#!/usr/bin/env bash
# A spent plan and a server that has too much to do reach a StopFailure hook as the same word.
#
# Guess:   the hook's `error` tells them apart, as the headers of the 429 do: `rate_limit` for a plan's window, `overloaded`
#          or `server_error` for a moment; and it names the reset, which the program knows (the headers carry it).
# Package: npm @anthropic-ai/claude-code 2.1.197.
# Seen:    * 429 with unified headers (five hours used up, reset in two hours): error "rate_limit",
#            last_assistant_message "You've hit your session limit · resets 2:39am (UTC)", no other field about the limit;
#          * 429 without any: error "rate_limit" as well,
#            last_assistant_message "API Error: Server is temporarily limiting requests (not your usage limit) · …";
#          * both print a rate_limit_event with status "rejected"; only the first names a window.
# Why it matters: whoever pauses a team for hours on `error: rate_limit` does so for a throttle of seconds too. The sentence
#          decides, a `rejected` without a window is a moment's refusal, and the reset of a hook is a clock in words.
# Source:  observed, against a stand-in on loopback with an invented token.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-$$}" 2>/dev/null || true; rm -rf "$work"' EXIT

npm install --silent --no-fund --no-audit --prefix "$work" @anthropic-ai/claude-code@2.1.197 >/dev/null
cat >"$work/stand_in.py" <<'STANDIN'
import http.server, json, sys, time
plan = sys.argv[1] == "plan"
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        reset = int(time.time()) + 7000
        headers = {"status": "rejected", "reset": reset, "representative-claim": "five_hour", "5h-status": "rejected",
                   "5h-reset": reset, "5h-utilization": "1.0"} if plan else {}
        body = json.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": "Too many requests"}}).encode()
        self.send_response(429)
        for name, value in headers.items():
            self.send_header(f"anthropic-ratelimit-unified-{name}", str(value))
        for name, value in {"content-type": "application/json", "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
STANDIN

heard() { # heard plan|moment: what the hook was handed, and the run printed
    python3 "$work/stand_in.py" "$1" >"$work/port" &
    server=$!
    until [ -s "$work/port" ]; do sleep 0.1; done
    mkdir -p "$work/$1/config" "$work/$1/home"
    printf '{"hooks":{"StopFailure":[{"hooks":[{"type":"command","command":"cat > %s/hook.json"}]}]}}' "$work/$1" \
        >"$work/$1/config/settings.json"
    for _ in 1 2 3 4; do # some short runs lose the hook
        (cd "$work/$1/home" && env -i PATH="$PATH" TZ=UTC HOME="$work/$1/home" CLAUDE_CONFIG_DIR="$work/$1/config" \
            CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-invented ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$work/port")" \
            CLAUDE_CODE_MAX_RETRIES=1 DISABLE_AUTOUPDATER=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 \
            timeout 60 "$work/node_modules/.bin/claude" -p hi --output-format stream-json --verbose </dev/null \
            >"$work/$1/run.jsonl" 2>/dev/null) || true
        [ -s "$work/$1/hook.json" ] && break
    done
    kill "$server"
    : >"$work/port"
}
heard plan
heard moment

python3 - "$work" <<'CHECK'
import json, re, sys
from pathlib import Path
seen = {}
for name in ("plan", "moment"):
    folder = Path(sys.argv[1]) / name
    hook = json.loads((folder / "hook.json").read_text())
    lines = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines() if line.startswith("{")]
    events = [line["rate_limit_info"] for line in lines if line.get("type") == "rate_limit_event"]
    about = sorted(key for key in hook if re.search("reset|limit|window|retry", key))
    seen[name] = {
        "error": hook["error"],
        "says": re.sub(r"\d+:\d+[ap]m", "TIME", hook["last_assistant_message"]),
        "other fields about the limit": about,
        "event": [(event.get("status"), event.get("rateLimitType")) for event in events],
    }
    print(name, json.dumps(seen[name], ensure_ascii=False, indent=1))
recorded = {
    "plan": {"error": "rate_limit", "says": "You've hit your session limit · resets TIME (UTC)", "other fields about the limit": [],
             "event": [("rejected", "five_hour")]},
    "moment": {"error": "rate_limit", "other fields about the limit": [], "event": [("rejected", None)],
               "says": "API Error: Server is temporarily limiting requests (not your usage limit) · Too many requests"},
}
if seen != recorded:
    sys.exit("CHANGED: the hook now says something else than was recorded")
print("as recorded: one word for both")
CHECK
