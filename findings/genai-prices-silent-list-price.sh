#!/usr/bin/env bash
# genai-prices: what it does not know in a usage or a context, it prices as if it were not there.
#
# Guess:   a misspelt kind of token, or a request context that the model has no price for, raises; an unknown model does.
# Package: PyPI genai-prices 0.2.3 and, for the same data, npm @pydantic/genai-prices 0.1.8.
# Seen:    * Usage(cache_read_input_tokens=...) (the API's own name) only warns; a million cache reads are priced as fresh input:
#            5.005 instead of 0.505;
#          * price_context {"speed": "FAST"} gives the standard price, "fast" doubles it: values are compared by case;
#          * {"service_tier": "batch"} gives the list price where the model has no batch row (no discount, no error), while
#            "flex" and "priority" of the same model change it;
#          * the JavaScript package takes no context at all: the same request costs half.
# Why it matters: there is no sign by which "standard price" and "the price you asked for is not in the table" differ.
#          Compare the price with and without context, and turn the warning into an error, before trusting either.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check genai-prices==0.2.3
npm install --silent --no-audit --no-fund --prefix "$work" @pydantic/genai-prices@0.1.8 >/dev/null

cat >"$work/probe.py" <<'PROBE'
import subprocess, sys, warnings
from genai_prices import Usage, calc_price

million = Usage(input_tokens=1_000_000)
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    wrong = calc_price(Usage(input_tokens=1_001_000, cache_read_input_tokens=1_000_000), "claude-opus-5").total_price
right = calc_price(Usage(input_tokens=1_001_000, cache_read_tokens=1_000_000), "claude-opus-5").total_price
print("cache reads under the API's name:", wrong, "under the package's:", right, "| warnings:", len(heard) > 0)
for context in (None, {"speed": "fast"}, {"speed": "FAST"}):
    print("claude-opus-5", context, calc_price(million, "claude-opus-5", price_context=context).total_price)
hundred = Usage(input_tokens=100_000)
for context in (None, {"service_tier": "flex"}, {"service_tier": "priority"}, {"service_tier": "batch"}):
    print("gpt-5.5, 100 k", context, calc_price(hundred, "gpt-5.5", price_context=context).total_price)
script = """import {calcPrice} from '@pydantic/genai-prices'
console.log('javascript, speed fast', calcPrice({input_tokens: 1000000}, 'claude-opus-5', {priceContext: {speed: 'fast'}}).total_price)"""
open(sys.argv[1] + "/one.mjs", "w").write(script)
print(subprocess.run(["node", sys.argv[1] + "/one.mjs"], capture_output=True, text=True, check=True).stdout.strip())
PROBE

cat >"$work/recorded" <<'RECORDED'
cache reads under the API's name: 5.005 under the package's: 0.505 | warnings: True
claude-opus-5 None 5.00
claude-opus-5 {'speed': 'fast'} 10.0
claude-opus-5 {'speed': 'FAST'} 5.00
gpt-5.5, 100 k None 0.5
gpt-5.5, 100 k {'service_tier': 'flex'} 0.25
gpt-5.5, 100 k {'service_tier': 'priority'} 1.25
gpt-5.5, 100 k {'service_tier': 'batch'} 0.5
javascript, speed fast 5
RECORDED

"$work/venv/bin/python" "$work/probe.py" "$work" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
