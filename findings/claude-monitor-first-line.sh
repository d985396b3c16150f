#!/usr/bin/env bash
# claude-monitor: the first line of a response wins, 1-hour cache writes cost as much as 5-minute ones, and the
# percentage and the rate beside it are in different units.
#
# Guess:   a reader of Claude Code's transcripts at version 4 counts each response once with its final figures.
# Package: PyPI claude-monitor 4.0.0, `--once --output json --plan max5`.
# Seen, with one response in two lines (output 8, then 412; the way older Claude Code versions streamed them) and one
#          response without requestId in two lines:
#          * output of the first: 8 of 412;
#          * the response without requestId is counted twice;
#          * 1,000,000 tokens of 1-hour cache write cost 6.25 (5-minute price); list price is 10;
#          * limits.five_hour.tokens_used holds input + output only, but burn_rate_tokens_per_minute also the cache tokens:
#            "used / rate" or "limit / rate" of the same JSON are off by the cache (here 1000 times);
#          * forecast.predicted_tokens_exhausted_at may lie after resets_at: an exhaustion that cannot happen is named.
# Why it matters: it is the most installed monitor; people hold its percentage against ours. It also is an example of a
#          correct-looking JSON whose fields must not be divided by each other.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check claude-monitor==4.0.0

cat >"$work/probe.py" <<'PROBE'
import datetime, subprocess
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

root, monitor = sys.argv[1:]
now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
def ago(minutes):
    return (now - datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
S, model = "5e0f0000-0000-4000-8000-000000000001", "claude-opus-4-6"
def seen(*lines):
    write(root, f"{S}.jsonl", lines)
    done = subprocess.run([monitor, "--once", "--output", "json", "--timezone", "UTC", "--plan", "max5", "--no-warehouse"],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
one = seen(line(S, "msg_1", "req_1", ago(12), model, 10, 8), line(S, "msg_1", "req_1", ago(11), model, 10, 412))
print("two lines, output 8 then 412:", one["local"]["tokens"]["output_tokens"])
two = seen(line(S, "msg_2", None, ago(12), model, 1000, 70), line(S, "msg_2", None, ago(11), model, 1000, 70))
print("no requestId, 1000 input in two lines:", two["local"]["tokens"]["input_tokens"])
three = seen(line(S, "msg_3", "req_3", ago(12), model, 1, 1, w1=1_000_000))
print("1-hour cache write of 1 M tokens: $%.2f" % three["local"]["cost_usd"])
four = seen(line(S, "msg_5", "req_5", ago(20), model, 500, 0, read=1_000_000), line(S, "msg_6", "req_6", ago(10), model, 500, 0))
print("used towards the limit:", four["limits"]["five_hour"]["tokens_used"],
      "| tokens per minute above 3000:", four["local"]["burn_rate_tokens_per_minute"] > 3_000)
print("predicted exhaustion is after the reset:",
      four["forecast"]["predicted_tokens_exhausted_epoch"] > four["limits"]["five_hour"]["resets_at_epoch"])
PROBE

cat >"$work/recorded" <<'RECORDED'
two lines, output 8 then 412: 8
no requestId, 1000 input in two lines: 2000
1-hour cache write of 1 M tokens: $6.25
used towards the limit: 1000 | tokens per minute above 3000: True
predicted exhaustion is after the reset: True
RECORDED

HOME="$work/home" TZ=UTC python3 "$work/probe.py" "$work/home/.claude" "$work/venv/bin/claude-monitor" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
