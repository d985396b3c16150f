#!/usr/bin/env bash
# AutoGen, LlamaIndex and Semantic Kernel: 3000 of 3512 tokens of an Anthropic answer are gone, without a field that says so.
#
# Guess:   "prompt tokens" of a framework that serves several providers is the whole prompt, as it is for OpenAI.
# Package: PyPI autogen-ext 0.7.5, llama-index-core 0.14.25 with llama-index-llms-anthropic 0.12.3, semantic-kernel 1.45.0, anthropic 0.125.0.
# Seen:    AutoGen's RequestUsage and LlamaIndex's TokenCountingHandler take input_tokens alone (100) for an answer with 2000 tokens
#          read from and 1000 written to the cache, and have no other field. Semantic Kernel hands over the whole usage, but streamed
#          only input and output. For an OpenAI answer the same AutoGen field holds the cached tokens.
# Why it matters: with prompt caching on, which these frameworks let one switch on, most of what is paid for cannot be seen in them.
#          Read the SDK's answer, or report from a proxy.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check autogen-ext==0.7.5 autogen-core==0.7.5 llama-index-core==0.14.25 llama-index-llms-anthropic==0.12.3 semantic-kernel==1.45.0 anthropic==0.125.0 openai==2.54.0 tiktoken

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

def stream():
    parts = [{"type": "message_start", "message": message([], None, {**USAGE, "output_tokens": 1})},
             {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
             {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
             {"type": "content_block_stop", "index": 0},
             {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE},
             {"type": "message_stop"}]
    return "".join(f"event: {part['type']}\ndata: {json.dumps(part)}\n\n" for part in parts)

def answer(request):
    return stream() if request.get("stream") else json.dumps(message([{"type": "text", "text": "ok"}]))

import asyncio
import anthropic

url = serve(answer)
openai_answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-5", "usage": {
    "prompt_tokens": 3100, "completion_tokens": 412, "total_tokens": 3512, "prompt_tokens_details": {"cached_tokens": 2000}},
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}
print("one answer: 100 new, 2000 read, 1000 written, 412 out")

async def autogen():
    from autogen_core.models import UserMessage
    from autogen_ext.models.anthropic import AnthropicChatCompletionClient
    from autogen_ext.models.openai import OpenAIChatCompletionClient
    about = {"vision": False, "function_calling": True, "json_output": False, "family": "unknown", "structured_output": False}
    hi = [UserMessage(content="hi", source="user")]
    client = AnthropicChatCompletionClient(model="claude-opus-4-5", api_key="x", base_url=url, model_info=about)
    print("autogen, whole:          ", (await client.create(hi)).usage)
    async for part in client.create_stream(hi):
        last = part
    print("autogen, streamed:       ", last.usage)
    client = OpenAIChatCompletionClient(model="gpt-5", api_key="x", base_url=serve(lambda _: json.dumps(openai_answer)), model_info=about)
    print("autogen, openai's answer:", (await client.create(hi)).usage)

async def semantic_kernel():
    from semantic_kernel.connectors.ai.anthropic import AnthropicChatCompletion, AnthropicChatPromptExecutionSettings
    from semantic_kernel.contents import ChatHistory
    service = AnthropicChatCompletion(ai_model_id="claude-opus-4-5", api_key="x", async_client=anthropic.AsyncAnthropic(api_key="x", base_url=url))
    history = ChatHistory()
    history.add_user_message("hi")
    settings = AnthropicChatPromptExecutionSettings(max_tokens=100)
    usage = (await service.get_chat_message_content(history, settings)).metadata["usage"]
    print("semantic kernel, whole:   ", {name: getattr(usage, name) for name in USAGE})
    async for part in service.get_streaming_chat_message_content(history, settings):
        last = part
    print("semantic kernel, streamed:", last.metadata["usage"])

def llama_index():
    from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.anthropic import Anthropic
    counter = TokenCountingHandler()
    model = Anthropic(model="claude-opus-4-5", api_key="x", base_url=url, callback_manager=CallbackManager([counter]))
    model.chat([ChatMessage(role="user", content="hi")])
    print("llama-index, whole:       prompt", counter.prompt_llm_token_count, "total", counter.total_llm_token_count)
    counter.reset_counts()
    for _ in model.stream_chat([ChatMessage(role="user", content="hi")]):
        pass
    print("llama-index, streamed:    prompt", counter.prompt_llm_token_count, "total", counter.total_llm_token_count)

asyncio.run(autogen())
asyncio.run(semantic_kernel())
llama_index()
PROBE

cat >"$work/recorded" <<'RECORDED'
one answer: 100 new, 2000 read, 1000 written, 412 out
autogen, whole:           RequestUsage(prompt_tokens=100, completion_tokens=412)
autogen, streamed:        RequestUsage(prompt_tokens=100, completion_tokens=412)
autogen, openai's answer: RequestUsage(prompt_tokens=3100, completion_tokens=412)
semantic kernel, whole:    {'input_tokens': 100, 'output_tokens': 412, 'cache_read_input_tokens': 2000, 'cache_creation_input_tokens': 1000}
semantic kernel, streamed: {'input_tokens': 100, 'output_tokens': 412}
llama-index, whole:       prompt 100 total 512
llama-index, streamed:    prompt 100 total 512
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
