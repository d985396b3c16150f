#!/usr/bin/env bash
# genai-prices: one xAI answer, two readings without an error, a factor of ten in the output.
#
# Guess:   extract_usage(answer, provider_id="x-ai") understands the OpenAI-shaped answer that api.x.ai gives; where a
#          flavour is needed, leaving it out is an error (it is one for openai, deepseek, moonshotai).
# Package: PyPI genai-prices 0.2.3.
# Seen:    without api_flavor the "default" reading knows prompt_tokens and completion_tokens, but looks for reasoning and
#          cached tokens at the top level (the gRPC names) and silently drops the nested ones. xAI's completion_tokens do
#          not contain the reasoning (total = prompt + completion + reasoning), so 10 of 100 output tokens are priced,
#          and the cached half of the input at full price. api_flavor="chat" reads all of it.
# Why it matters: the number looks plausible. For reasoning models output is nearly all reasoning: a meter that leaves
#          the flavour out undercounts them by an order of magnitude and never hears of it.
# Source:  xAI's documentation counts reasoning separately from completion_tokens (cited in vercel/ai pull request 12425);
#          the rest observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check genai-prices==0.2.3

cat >"$work/probe.py" <<'PROBE'
from genai_prices import extract_usage

answer = {"model": "grok-4", "usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1100,
          "prompt_tokens_details": {"cached_tokens": 500}, "completion_tokens_details": {"reasoning_tokens": 90}}}
for more in ({}, {"api_flavor": "chat"}):
    got = extract_usage(answer, provider_id="x-ai", **more)
    print(more or "no flavour", got.usage, "price", got.calc_price().total_price)
for provider in ("openai", "deepseek", "moonshotai"):
    try:
        extract_usage(answer, provider_id=provider)
    except ValueError as error:
        print(provider, "ValueError:", str(error).split(",")[0])
PROBE

cat >"$work/recorded" <<'RECORDED'
no flavour Usage(input_tokens=1000, output_tokens=10) price 0.00315
{'api_flavor': 'chat'} Usage(input_tokens=1000, output_tokens=100, cache_read_tokens=500, output_reasoning_tokens=90) price 0.003375
openai ValueError: Unknown api_flavor 'default'
deepseek ValueError: Unknown api_flavor 'default'
moonshotai ValueError: Unknown api_flavor 'default'
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
