#!/usr/bin/env bash
# LiteLLM: a million tokens written to the cache for an hour cost 3.13 or 10.00 in a batch, never the 5.00 that they cost.
#
# Guess:   a batch halves every price; an answer that says service_tier "batch" is priced as one, as "flex" and "priority" are.
# Package: PyPI litellm 1.110.2, with its own table.
# Seen, for claude-opus-4-5 (5-minute writes 6.25, 1-hour writes 10.00 a million; in a batch half of each):
#          * the same usage with call_type "aretrieve_batch", which is how LiteLLM prices a batch that it fetches: 5-minute writes 3.125,
#            1-hour writes 3.125 as well: the table has one row for writes in a batch, and the time to live is not asked for;
#          * without that call type an answer whose usage says "batch" costs the list price, also where the caller names the tier:
#            rows "…_batches" are read by call type alone, rows "…_flex" and "…_priority" by tier alone.
# Why it matters: a result file of a batch, read by one's own code and priced by completion_cost, costs double; fetched through LiteLLM, long
#          cached prompts cost a third too little. Neither says so. Halve the interactive price of each kind instead.
# Source:  the provider's documentation of batches says that their discount and the factors of prompt caching are multiplied; observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check litellm==1.110.2

cat >"$work/probe.py" <<'PROBE'
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
from litellm.llms.anthropic.chat.transformation import AnthropicConfig

def cost(model, usage, **how):
    answer = litellm.ModelResponse(model=model)
    answer.usage = usage
    return round(litellm.completion_cost(answer, model=model, **how), 4)

def written(minutes_5, hour_1):
    """The usage of an answer as the API sends it, read by LiteLLM."""
    return AnthropicConfig().calculate_usage(reasoning_content=None, usage_object={
        "input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0, "cache_creation_input_tokens": minutes_5 + hour_1,
        "cache_creation": {"ephemeral_5m_input_tokens": minutes_5, "ephemeral_1h_input_tokens": hour_1}, "service_tier": "batch"})

for name, usage in (("5-minute writes", written(1_000_000, 0)), ("1-hour writes", written(0, 1_000_000))):
    print("claude-opus-4-5", name, "| usage says batch:", usage.service_tier == "batch", "| cost", cost("claude-opus-4-5", usage),
          "| tier named", cost("claude-opus-4-5", usage, service_tier="batch"),
          "| fetched as a batch", cost("claude-opus-4-5", usage, call_type="aretrieve_batch"))
million = litellm.Usage(prompt_tokens=1_000_000, completion_tokens=0)
print("gpt-5 input", {tier: cost("gpt-5", million, service_tier=tier) for tier in (None, "flex", "priority", "batch")},
      "| fetched as a batch", cost("gpt-5", million, call_type="aretrieve_batch"))
PROBE

cat >"$work/recorded" <<'RECORDED'
claude-opus-4-5 5-minute writes | usage says batch: True | cost 6.25 | tier named 6.25 | fetched as a batch 3.125
claude-opus-4-5 1-hour writes | usage says batch: True | cost 10.0 | tier named 10.0 | fetched as a batch 3.125
gpt-5 input {None: 1.25, 'flex': 0.625, 'priority': 2.5, 'batch': 1.25} | fetched as a batch 0.625
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
