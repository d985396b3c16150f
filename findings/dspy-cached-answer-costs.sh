#!/usr/bin/env bash
# DSPy: an answer from DSPy's own cache uses no tokens, but costs as much as the first time.
#
# Guess:   history entries of a cached answer have usage {} and cost 0 (or None).
# Package: PyPI dspy 3.4.1.
# Seen:    one request reaches the server, three entries stand in lm.history: usage of the second and third is {}, their cost is the
#          first one's. The tokens of the history are 3512, its costs three times what was paid. get_lm_usage() is {} on a hit.
# Why it matters: spending shown as sum(entry["cost"]) grows with every repeated evaluation that costs nothing; the cache is on by default.
#          Add costs of entries with a usage only.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check dspy==3.4.1

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

import dspy

asked = []
def answer(request):
    asked.append(request)
    return json.dumps(message([{"type": "text", "text": "[[ ## answer ## ]]\nok\n\n[[ ## completed ## ]]"}]))

lm = dspy.LM("anthropic/claude-opus-4-5", api_key="x", api_base=serve(answer))
dspy.configure(lm=lm, track_usage=True)
predict = dspy.Predict("question -> answer")
for _ in range(3):
    prediction = predict(question="hi")
    entry = lm.history[-1]
    print("requests", len(asked), "tokens", entry["usage"].get("total_tokens"), "cost %.6f" % entry["cost"], "get_lm_usage", bool(prediction.get_lm_usage()))
print("sum of the history: %.6f" % sum(entry["cost"] for entry in lm.history))
PROBE

cat >"$work/recorded" <<'RECORDED'
requests 1 tokens 3512 cost 0.018050 get_lm_usage True
requests 1 tokens None cost 0.018050 get_lm_usage False
requests 1 tokens None cost 0.018050 get_lm_usage False
sum of the history: 0.054150
RECORDED

DSPY_CACHEDIR="$work/cache" LITELLM_LOCAL_MODEL_COST_MAP=True "$work/venv/bin/python" -W ignore "$work/probe.py" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
