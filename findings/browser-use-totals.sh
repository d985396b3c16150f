#!/usr/bin/env bash
# browser-use: the tokens of one Anthropic answer are 512, 2100 + 412 or 3512, by the field; what was written to the cache is in no total.
#
# Guess:   total_tokens is prompt_tokens + completion_tokens, the summary adds up the answers' totals, and prompt_tokens is the whole prompt.
# Package: PyPI browser-use 0.13.14 (with anthropic 1.17.0, openai 3.57.0).
# Seen, for 100 fresh, 2000 read from and 1000 written to the cache, 412 output:
#          * the answer: prompt_tokens 2100 (with what was read, without what was written), total_tokens 512, which is less than its prompt;
#          * the summary of the run: total_tokens 2512;
#          * an OpenAI answer of the same size: 3100, 3512 and 3512.
# Why it matters: the agent sends one long prompt again and again, so cache writes are dear and large. A limit held against total_tokens of
#          answers sees a seventh, one held against the summary loses every write. Add prompt_tokens, prompt_cache_creation_tokens and
#          completion_tokens for Anthropic, and do not add the second for OpenAI.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check browser-use==0.13.14 anthropic==1.17.0 openai==3.57.0

cat >"$work/probe.py" <<'PROBE'
import asyncio, http.server, json, threading

def serve(answer):
    """A stand-in on loopback; answer(path) gives the text of the answer."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def log_message(self, *_): pass
        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            body = answer(self.path).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"

MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [{"type": "text", "text": "ok"}],
           "stop_reason": "end_turn", "stop_sequence": None,
           "usage": {"input_tokens": 100, "output_tokens": 412, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 1000}}
CHAT = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3100, "completion_tokens": 412, "total_tokens": 3512, "prompt_tokens_details": {"cached_tokens": 2000}}}
url = serve(lambda path: json.dumps(CHAT if "chat" in path else MESSAGE))

from browser_use.llm.anthropic.chat import ChatAnthropic
from browser_use.llm.messages import UserMessage
from browser_use.llm.openai.chat import ChatOpenAI
from browser_use.tokens.service import TokenCost

async def main():
    for name, llm in (("anthropic", ChatAnthropic(model="claude-sonnet-4-5", api_key="x", base_url=url)),
                      ("openai", ChatOpenAI(model="gpt-5", api_key="x", base_url=url + "/v1"))):
        books = TokenCost(include_cost=False)
        usage = (await books.register_llm(llm).ainvoke([UserMessage(content="hi")])).usage
        summary = await books.get_usage_summary()
        print(f"{name:10} answer: prompt {usage.prompt_tokens}, read {usage.prompt_cached_tokens}, written {usage.prompt_cache_creation_tokens},",
              f"output {usage.completion_tokens}, total {usage.total_tokens} | summary: total {summary.total_tokens}")

asyncio.run(main())
PROBE

cat >"$work/recorded" <<'RECORDED'
anthropic  answer: prompt 2100, read 2000, written 1000, output 412, total 512 | summary: total 2512
openai     answer: prompt 3100, read 2000, written None, output 412, total 3512 | summary: total 3512
RECORDED

export ANONYMIZED_TELEMETRY=false BROWSER_USE_LOGGING_LEVEL=result
HOME="$work" "$work/venv/bin/python" -W ignore "$work/probe.py" 2>"$work/errors" | grep '|' | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
