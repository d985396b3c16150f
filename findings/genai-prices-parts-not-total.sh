#!/usr/bin/env bash
# genai-prices: input_price + output_price is not total_price.
#
# Guess:   the three prices of one calculation add up; the two parts are what a cost table per kind is filled from.
# Package: PyPI genai-prices 0.2.3.
# Seen:    what is charged per call of a tool (web searches) is in total_price only. For a real shape of an Anthropic usage
#          object with 3 searches the parts give 1.4875 and the total 1.5175; for a small request that searched ten
#          times nearly the whole price is in neither part.
# Why it matters: a report "cost of input / cost of output" that adds its columns loses money that a budget counts, and a
#          price that is rebuilt from per-token rates alone never contains it.
# Source:  observed; the fields are described only as input, output and total price.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check genai-prices==0.2.3

cat >"$work/probe.py" <<'PROBE'
from genai_prices import Usage, calc_price, extract_usage

answer = {"model": "claude-opus-5", "usage": {"input_tokens": 100_000, "output_tokens": 1_000, "cache_read_input_tokens": 1_000_000,
          "cache_creation_input_tokens": 50_000, "cache_creation": {"ephemeral_5m_input_tokens": 10_000, "ephemeral_1h_input_tokens": 40_000},
          "server_tool_use": {"web_search_requests": 3}}}
price = extract_usage(answer, provider_id="anthropic").calc_price()
print("input", price.input_price, "output", price.output_price, "sum", price.input_price + price.output_price, "total", price.total_price)
small = calc_price(Usage(input_tokens=500, output_tokens=100, web_searches=10), "claude-opus-5", provider_id="anthropic")
print("sum of parts", small.input_price + small.output_price, "total", small.total_price)
PROBE

cat >"$work/recorded" <<'RECORDED'
input 1.4625 output 0.025 sum 1.4875 total 1.5175
sum of parts 0.0050 total 0.1050
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
