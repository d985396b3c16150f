#!/usr/bin/env bash
# A 429 with a Retry-After of two hours: one SDK fails at once, the other sleeps two hours inside the call.
#
# Guess:   both SDKs come from the same generator and treat Retry-After alike: honoured up to a minute, else their own
#          back-off of 0.5 to 8 s, then an error.
# Packages: PyPI anthropic 2.14.0, openai 3.57.0. (The sleep itself is replaced here, so nothing really waits.)
# Seen:    * openai: waits exactly what is asked up to 120 s; above that it raises RateLimitError after ONE request;
#          * anthropic: waits whatever is asked, twice with the default of two retries: 2 x 7000 s in create().
#          A date two hours ahead is treated like the seconds until then, by both.
# Why it matters: quota 429s carry hours. A worker that calls the Anthropic SDK with defaults holds its lease, slot and
#          reservation for hours without a heartbeat or an error, then asks again at the very moment of the reset with
#          everybody else. A scheduler has to set max_retries=0 (or send x-should-retry: false from its proxy) and defer
#          itself. One failed call is 1 request with one SDK and 3 with the other.
# Source:  observed; openai's limit is a constant of 2 minutes in the package.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check anthropic==2.14.0 openai==3.57.0

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

import email.utils, time
import anthropic, openai

hits, sleeps, headers = [], [], {}
def limited(request, path):
    hits.append(path)
    return 429, headers, '{"type":"error","error":{"type":"rate_limit_error","message":"limit"}}'
url = serve(limited)
time.sleep = lambda seconds: sleeps.append(seconds)
clients = {
    "anthropic": lambda: anthropic.Anthropic(base_url=url, api_key="x").messages.create(
        model="claude-opus-5", max_tokens=1, messages=[{"role": "user", "content": "hi"}]),
    "openai": lambda: openai.OpenAI(base_url=url + "/v1", api_key="x").chat.completions.create(
        model="gpt-5.5", messages=[{"role": "user", "content": "hi"}]),
}
for value in ("60", "120", "121", "7000", "a date in 2 h"):
    for name, call in clients.items():
        headers = {"retry-after": email.utils.formatdate(time.time() + 7200, usegmt=True) if "date" in value else value}
        hits.clear(), sleeps.clear()
        try:
            call()
        except (anthropic.RateLimitError, openai.RateLimitError):
            print("retry-after %-13s %-9s requests %d, sleeps %s" % (value, name, len(hits), [round(one, -1) for one in sleeps]))
PROBE

cat >"$work/recorded" <<'RECORDED'
retry-after 60            anthropic requests 3, sleeps [60.0, 60.0]
retry-after 60            openai    requests 3, sleeps [60.0, 60.0]
retry-after 120           anthropic requests 3, sleeps [120.0, 120.0]
retry-after 120           openai    requests 3, sleeps [120.0, 120.0]
retry-after 121           anthropic requests 3, sleeps [120.0, 120.0]
retry-after 121           openai    requests 1, sleeps []
retry-after 7000          anthropic requests 3, sleeps [7000.0, 7000.0]
retry-after 7000          openai    requests 1, sleeps []
retry-after a date in 2 h anthropic requests 3, sleeps [7200.0, 7200.0]
retry-after a date in 2 h openai    requests 1, sleeps []
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
