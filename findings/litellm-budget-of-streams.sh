#!/usr/bin/env bash
# LiteLLM's router: a budget of half a dollar lets streamed calls worth any sum through; the same calls whole end it after three.
#
# Guess:   budget_limit of a provider (or max_budget of a deployment) counts what calls cost, streamed or not; LiteLLM asks the upstream for the usage of a
#          stream, as its proxy does. A refusal is a rate-limit error.
# Package: PyPI litellm 1.110.2 (litellm.Router), against a stand-in of chat completions on loopback that sends usage when it is asked to.
# Seen:    calls of 0.225 dollars, budget 0.50 a day:
#          * whole: three calls, then refused, with a ValueError, which callers' retries for RateLimitError do not see;
#          * streamed: eight of eight (1.80 dollars). The router does not ask for usage, counts the tokens of the short texts itself
#            (what was cached, thought or sent along unseen is in no text), and books a fraction of a cent;
#          * streamed with stream_options.include_usage from the caller: three calls, then refused.
# Why it matters: agents stream. Whether a budget holds is decided by an option of each caller. Send include_usage in every stream, or
#          hold budgets where the provider's own figures arrive.
# Source:  observed; the documentation of budget routing says nothing of streams.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check litellm==1.110.2

cat >"$work/probe.py" <<'PROBE'
import asyncio, http.server, json, os, threading

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

USAGE = {"prompt_tokens": 100_000, "completion_tokens": 10_000, "total_tokens": 110_000}  # 0.125 + 0.10 dollars with gpt-5
BASE = {"id": "chatcmpl-1", "created": 1, "model": "gpt-5"}

class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
        if request.get("stream"):
            chunks = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": "ok"}, "finish_reason": None}]},
                      {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
            if (request.get("stream_options") or {}).get("include_usage"):
                chunks.append({"choices": [], "usage": USAGE})
            text = "".join(f"data: {json.dumps({**BASE, 'object': 'chat.completion.chunk', **chunk})}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
            text = json.dumps({**BASE, "object": "chat.completion", "choices": [choice], "usage": USAGE})
        body = text.encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if request.get("stream") else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

async def main(name, how):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    deployment = {"model": "openai/gpt-5", "api_base": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "x"}
    router = litellm.Router(model_list=[{"model_name": "m", "litellm_params": deployment}], num_retries=0,
                            provider_budget_config={"openai": {"budget_limit": 0.5, "time_period": "1d"}})
    answered, refused = 0, set()
    for _ in range(8):
        try:
            answer = await router.acompletion(model="m", messages=[{"role": "user", "content": "hi"}], **how)
            if how:
                async for _ in answer:
                    pass
            answered += 1
        except Exception as error:
            refused.add(type(error).__name__)
        await asyncio.sleep(1)  # the cost is booked a moment after the answer
    print(f"{name:37} {answered} of 8 calls of 0.225 dollars, then {', '.join(refused) or 'no refusal'}", flush=True)

for name, how in (("whole", {}), ("streamed", {"stream": True}), ("streamed with include_usage", {"stream": True, "stream_options": {"include_usage": True}})):
    if not os.fork():  # a process each: routers of one process share the callbacks that count
        asyncio.run(main(name, how))
        os._exit(0)
    os.wait()
PROBE

cat >"$work/recorded" <<'RECORDED'
whole                                 3 of 8 calls of 0.225 dollars, then ValueError
streamed                              8 of 8 calls of 0.225 dollars, then no refusal
streamed with include_usage           3 of 8 calls of 0.225 dollars, then ValueError
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
