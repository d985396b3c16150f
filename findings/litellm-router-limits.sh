#!/usr/bin/env bash
# LiteLLM's router: a deployment with "rpm: 3" answers 3, 2 or all calls of a minute, by the routing strategy.
#
# Guess:   rpm and tpm of a deployment are limits. Whatever strategy picks deployments, the fourth call of a minute is refused; a call
#          that failed upstream counts in all of them or in none.
# Package: PyPI litellm 1.110.2 (litellm.Router with one deployment, num_retries 0), against a stand-in on loopback.
# Seen:    of six calls in one minute with rpm 3
#          * simple-shuffle (the default) and least-busy let all six through: the figure is a weight, or not looked at;
#          * cost-based and latency-based routing let three through;
#          * usage-based-routing, and its version 2, let TWO through (nine with rpm 10): the limit counts as reached one call early.
#          After three calls that the upstream failed, version 2 refuses everything (they used up the minute, the third never left);
#          for the other three they cost nothing.
#          tpm 5000 and answers of 3512 tokens: two calls, or all six, by the same line.
# Why it matters: the same configuration is a weight, a limit, or a limit less one, and a broken upstream uses up the minute or does not.
#          A forecast of how fast a queue drains behind such a router must ask for the strategy; a limit that has to hold stands elsewhere.
# Source:  observed; the documentation of the strategies speaks of staying within rpm and tpm for usage-based routing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check litellm==1.110.2

cat >"$work/probe.py" <<'PROBE'
import asyncio, http.server, json, os, threading, time

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

requests, upstream_fails = [], False
usage = {"prompt_tokens": 3100, "completion_tokens": 412, "total_tokens": 3512}

class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        requests.append(self.path)
        answer = {"id": f"chatcmpl-{len(requests)}", "object": "chat.completion", "created": 1, "model": "gpt-5", "usage": usage,
                  "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}
        body = json.dumps({"error": {"message": "out of order"}} if upstream_fails else answer).encode()
        self.send_response(500 if upstream_fails else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

async def call(router, times):
    answered = 0
    for _ in range(times):
        try:
            await router.acompletion(model="m", messages=[{"role": "user", "content": "hi"}])
            answered += 1
        except Exception:
            pass
        await asyncio.sleep(0.5)  # its books are written a moment after the answer
    return answered

async def main(strategy, limit, failures):
    global upstream_fails
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    await asyncio.sleep(60 - time.time() % 60 + 0.5 if time.time() % 60 > 48 else 0)  # all calls within one minute
    deployment = {"model": "openai/gpt-5", "api_base": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "x", **limit}
    router = litellm.Router(model_list=[{"model_name": "m", "litellm_params": deployment}], routing_strategy=strategy, num_retries=0)
    upstream_fails = True
    await call(router, failures)
    upstream_fails, failed_upstream = False, len(requests)
    calls = 3 if failures else 6
    answered = await call(router, calls)
    before = f"after 3 failures ({failed_upstream} left)" if failures else ""
    print(f"{strategy:24} {limit} answered {answered} of {calls} {before}".rstrip(), flush=True)

# A child each: routers of one process share the callbacks that count. Three at a time.
cases = [(strategy, limit, failures) for strategy in ("simple-shuffle", "least-busy", "usage-based-routing", "usage-based-routing-v2",
                                                      "cost-based-routing", "latency-based-routing")
         for limit, failures in (({"rpm": 3}, 0), ({"tpm": 5000}, 0), ({"rpm": 3}, 3))]
for at in range(0, len(cases), 3):
    lines = []
    for case in cases[at:at + 3]:
        reader, writer = os.pipe()
        if not os.fork():
            os.dup2(writer, 1)
            asyncio.run(main(*case))
            os._exit(0)
        os.close(writer)
        lines.append(os.fdopen(reader))
    for line in lines:
        print(line.read(), end="", flush=True)
PROBE

cat >"$work/recorded" <<'RECORDED'
simple-shuffle           {'rpm': 3} answered 6 of 6
simple-shuffle           {'tpm': 5000} answered 6 of 6
simple-shuffle           {'rpm': 3} answered 3 of 3 after 3 failures (3 left)
least-busy               {'rpm': 3} answered 6 of 6
least-busy               {'tpm': 5000} answered 6 of 6
least-busy               {'rpm': 3} answered 3 of 3 after 3 failures (3 left)
usage-based-routing      {'rpm': 3} answered 2 of 6
usage-based-routing      {'tpm': 5000} answered 2 of 6
usage-based-routing      {'rpm': 3} answered 2 of 3 after 3 failures (3 left)
usage-based-routing-v2   {'rpm': 3} answered 2 of 6
usage-based-routing-v2   {'tpm': 5000} answered 2 of 6
usage-based-routing-v2   {'rpm': 3} answered 0 of 3 after 3 failures (2 left)
cost-based-routing       {'rpm': 3} answered 3 of 6
cost-based-routing       {'tpm': 5000} answered 2 of 6
cost-based-routing       {'rpm': 3} answered 3 of 3 after 3 failures (3 left)
latency-based-routing    {'rpm': 3} answered 3 of 6
latency-based-routing    {'tpm': 5000} answered 2 of 6
latency-based-routing    {'rpm': 3} answered 3 of 3 after 3 failures (3 left)
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
