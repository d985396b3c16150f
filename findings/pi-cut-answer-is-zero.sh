#!/usr/bin/env bash
# pi: an answer that was cut at its token limit counts as no tokens at all, if it came by the Responses API.
#
# Guess:   an answer that ends at the output limit is written with its usage and stop reason "length", by whatever API.
# Package: npm @mariozechner/pi-coding-agent 0.73.1, against a stand-in of two APIs on loopback.
# Seen:    both answers carry 1000 input and 200 output tokens and say that they were cut:
#          * openai-completions (finish_reason "length"): 1000 / 200, stopReason "length";
#          * openai-responses (response.incomplete): 0 / 0, stopReason "stop", the text and the response id are there.
# Why it matters: cut answers are the long ones. Its session files, and every reader of them, say 0 for the dearest calls
#          of that API; "stop" says that all was well.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd "$work" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund @mariozechner/pi-coding-agent@0.73.1)

cat >"$work/probe.py" <<'PROBE'
import http.server, json, os, pathlib, subprocess, sys, threading

work = pathlib.Path(sys.argv[1])
ITEM = {"type": "message", "id": "msg_1", "role": "assistant", "status": "incomplete",
        "content": [{"type": "output_text", "text": "cut", "annotations": []}]}
RESPONSE = {"id": "resp_1", "object": "response", "status": "incomplete", "model": "m", "output": [ITEM],
            "incomplete_details": {"reason": "max_output_tokens"},
            "usage": {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 200,
                      "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1200}}
RESPONSES = [{"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}},
             {"type": "response.output_item.added", "output_index": 0, "item": {**ITEM, "content": []}},
             {"type": "response.content_part.added", "item_id": "msg_1", "output_index": 0, "content_index": 0,
              "part": {"type": "output_text", "text": "", "annotations": []}},
             {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "cut"},
             {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
             {"type": "response.incomplete", "response": RESPONSE}]
CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
COMPLETIONS = [{**CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "cut"}, "finish_reason": None}]},
               {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]},
               {**CHUNK, "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}}]

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        events = RESPONSES if self.path.endswith("/responses") else COMPLETIONS
        body = ("".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n").encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for api in ("openai-completions", "openai-responses"):
    home, project = work / api, work / f"{api}-project"
    home.mkdir(), project.mkdir()
    model = {"id": "m", "name": "m", "input": ["text"], "contextWindow": 100000, "maxTokens": 4000,
             "cost": {"input": 1, "output": 1, "cacheRead": 1, "cacheWrite": 1}}
    provider = {"baseUrl": f"http://127.0.0.1:{server.server_port}/v1", "apiKey": "made-up", "api": api, "models": [model]}
    (home / "models.json").write_text(json.dumps({"providers": {"local": provider}}))
    subprocess.run([work / "node_modules/.bin/pi", "-p", "--provider", "local", "--model", "m", "say something"],
        cwd=project, env=os.environ | {"PI_CODING_AGENT_DIR": str(home), "HOME": str(work)}, stdin=subprocess.DEVNULL,
        capture_output=True, check=True, timeout=120)
    (file,) = home.glob("sessions/**/*.jsonl")
    for message in (json.loads(line).get("message", {}) for line in file.read_text().splitlines()):
        if message.get("role") == "assistant":
            print(api, message["usage"]["input"], message["usage"]["output"], message["stopReason"], message["responseId"])
PROBE

cat >"$work/recorded" <<'RECORDED'
openai-completions 1000 200 length chatcmpl-1
openai-responses 0 0 stop resp_1
RECORDED

python3 "$work/probe.py" "$work" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
