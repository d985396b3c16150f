#!/usr/bin/env bash
# Two cost readers of the registry and one folder of Claude Code: sub-agents missing, a fork doubled, nothing said.
#
# Guess:   tools that exist to put Claude Code's tokens into Prometheus or into a cost report read the whole folder
#          (sub-agents lie below the session) and count a response once, although a forked session repeats it.
# Packages: PyPI claude-usage-exporter 0.1.2 (`--format json`), coding-agent-cost 0.5.2 (`agent-cost report`).
# Seen, with: session A (2 responses, the first in two lines 8 -> 412 output), its fork B (both copied + 1 own), one
#          sub-agent of another model (1000 input, 70 output):
#          * claude-usage-exporter: the sub-agent's model does not exist, output is 158 of 562 (first line wins); the fork
#            is counted once;
#          * agent-cost: the sub-agent's model does not exist, the fork's copies count again (cache reads 104,000 of
#            63,000), every line counts (output 1074 of 562); "Data quality: malformed_events=0 skipped_files=0".
# Why it matters: sub-agents are often most of the usage and forks are normal. Figures of such an exporter cannot serve as
#          a second opinion on a quota; a clean data-quality line proves nothing about files that were not looked for.
# Source:  observed; for comparison ccusage 20.0.24, aiburn 0.4.5, cctrack 0.11.0 and cctrail 0.2.1 gave the right sums.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check claude-usage-exporter==0.1.2
python3 -m venv "$work/other"
"$work/other/bin/pip" install -qq --disable-pip-version-check coding-agent-cost==0.5.2

cat >"$work/probe.py" <<'PROBE'
import subprocess
import json, os, sys

def line(session, msg, request, at, model, i, o, read=0, w5=0, w1=0, **more):
    usage = {"input_tokens": i, "output_tokens": o, "cache_read_input_tokens": read, "cache_creation_input_tokens": w5 + w1,
             "cache_creation": {"ephemeral_5m_input_tokens": w5, "ephemeral_1h_input_tokens": w1}, "service_tier": "standard"}
    record = {"parentUuid": None, "isSidechain": False, "cwd": "/srv/app", "sessionId": session, "version": "2.1.332",
              "type": "assistant", "uuid": f"{msg}-{o}", "timestamp": at,
              "message": {"id": msg, "type": "message", "role": "assistant", "model": model,
                          "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn", "usage": usage}, **more}
    if request:
        record["requestId"] = request
    return json.dumps(record, separators=(",", ":"))

def write(root, name, lines):
    path = os.path.join(root, "projects", "-srv-app", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as out:
        out.write("\n".join(lines) + "\n")

root, exporter, agent_cost = sys.argv[1:]
A, B, model = "5e0f0000-0000-4000-8000-000000000001", "5e0f0000-0000-4000-8000-000000000002", "claude-opus-4-6"
first = [line(A, "msg_1", "req_1", "2026-11-20T09:00:00.000Z", model, 10, 8, read=20000, w1=1000),
         line(A, "msg_1", "req_1", "2026-11-20T09:00:02.000Z", model, 10, 412, read=20000, w1=1000),
         line(A, "msg_2", "req_2", "2026-11-20T09:05:00.000Z", model, 20, 100, read=21000, w5=500)]
write(root, f"{A}.jsonl", first)
write(root, f"{B}.jsonl", [one.replace(A, B) for one in first]
      + [line(B, "msg_3", "req_3", "2026-11-20T10:00:00.000Z", model, 30, 50, read=22000)])
write(root, f"{A}/subagents/agent-a1.jsonl",
      [line(A, "msg_4", "req_4", "2026-11-20T09:02:00.000Z", "claude-haiku-4-5-20251001", 1000, 70, isSidechain=True, agentId="a1")])
print("truth: opus input 60, output 562, read 63000, write 1500; haiku input 1000, output 70")
print("claude-usage-exporter:")
done = subprocess.run([exporter, "--sink", "stdout", "--format", "text"], capture_output=True, text=True, check=True)
print("\n".join(one for one in done.stdout.splitlines() if one.startswith("claude_tokens_total")))
print("agent-cost report:")
done = subprocess.run([agent_cost, "report"], capture_output=True, text=True, check=True)
for row in done.stdout.splitlines():
    if row.startswith("2026-11"):
        print(" ", *row.split()[2:5])
    if row.startswith("Data quality"):
        print(" ", row)
PROBE

cat >"$work/recorded" <<'RECORDED'
truth: opus input 60, output 562, read 63000, write 1500; haiku input 1000, output 70
claude-usage-exporter:
claude_tokens_total{model="claude-opus-4-6",token_type="cache_creation"} 1500
claude_tokens_total{model="claude-opus-4-6",token_type="cache_read"} 63000
claude_tokens_total{model="claude-opus-4-6",token_type="input"} 60
claude_tokens_total{model="claude-opus-4-6",token_type="output"} 158
agent-cost report:
  claude-opus-4-6 cache_read 104000
  claude-opus-4-6 cache_write_1h 2000
  claude-opus-4-6 cache_write_5m 1000
  claude-opus-4-6 input_nocache 90
  claude-opus-4-6 output 1074
  Data quality: malformed_events=0  skipped_files=0  negative_deltas=0  unpriced_tokens=0
RECORDED

HOME="$work/home" python3 "$work/probe.py" "$work/home/.claude" "$work/venv/bin/claude-usage-exporter" "$work/other/bin/agent-cost" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
