#!/usr/bin/env bash
# ccusage blocks: "percentUsed" is not what is used, and the burn rate does not see idle time.
#
# Guess:   burnRate = tokens / minutes since the block's first response until now; tokenLimitStatus.percentUsed = used /
#          limit (44 % here).
# Package: npm ccusage 20.0.24, offline.
# Seen:    * the rate divides by the time between the first and the LAST response only. A burst of ten minutes, then
#            idle: the rate stays that of the burst for as long as the block is open, and the projection grows with it.
#          * percentUsed is the PROJECTED usage over the limit: above 100 % although less than half is used;
#            the table view prints both (44 % used, and the projection), the JSON field of that name has the second one.
# Why it matters: whoever defers or alarms on tokenLimitStatus.status/percentUsed stops an idle account early in each
#          window. Our own pace must include idle time, and must not be compared with this field.
# Source:  observed. The times are relative to now, so the figures below are rounded to what does not depend on it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm install --silent --no-audit --no-fund --prefix "$work" ccusage@20.0.24 @ccusage/ccusage-linux-x64@20.0.24 >/dev/null
chmod +x "$work"/node_modules/@ccusage/ccusage-linux-x64/bin/*

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

root, ccusage = sys.argv[1:]
now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
def ago(minutes):
    return (now - datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
S = "5e0f0000-0000-4000-8000-000000000001"
write(root, f"{S}.jsonl", [line(S, "msg_1", "req_1", ago(70), "claude-opus-4-6", 22000, 0),
                           line(S, "msg_2", "req_2", ago(60), "claude-opus-4-6", 22000, 0)])
done = subprocess.run([ccusage, "claude", "blocks", "--active", "--json", "--offline", "--timezone", "UTC", "--token-limit", "100000"],
                      capture_output=True, text=True, check=True)
block = json.loads(done.stdout)["blocks"][0]
status = block["tokenLimitStatus"]
print("used", block["totalTokens"], "of", status["limit"], "= 44 %")
print("tokens per minute:", block["burnRate"]["tokensPerMinute"], "(44000 in 10 minutes; over the 70 minutes it is 628)")
print("projection is used + rate x minutes left:",
      abs(block["projection"]["totalTokens"] - 44000 - 4400 * block["projection"]["remainingMinutes"]) < 4400)
print("percentUsed is the projection:", abs(status["percentUsed"] - status["projectedUsage"] / 1000) < 0.01,
      "| above 400 %:", status["percentUsed"] > 400, "| status:", status["status"])
PROBE

cat >"$work/recorded" <<'RECORDED'
used 44000 of 100000 = 44 %
tokens per minute: 4400.0 (44000 in 10 minutes; over the 70 minutes it is 628)
projection is used + rate x minutes left: True
percentUsed is the projection: True | above 400 %: True | status: exceeds
RECORDED

HOME="$work/home" CLAUDE_CONFIG_DIR="$work/claude" python3 "$work/probe.py" "$work/claude" "$work/node_modules/.bin/ccusage" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
