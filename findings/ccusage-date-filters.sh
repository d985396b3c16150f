#!/usr/bin/env bash
# ccusage: --since/--until mean four different things in four reports.
#
# Guess:   --since D --until D (help: "inclusive") shows what was used on day D, in every report.
# Package: npm ccusage 20.0.24, offline.
# Seen, with one session of 1 response (2 tokens) on each of 13 and 14 November and, around midnight, at 23:30 on the
#          18th and at 01:00 on the 19th:
#          * daily and `claude session` take the responses of that day;
#          * `session` (all agents) takes WHOLE sessions by the moment of their last activity: a range that ends after it
#            shows all 8 tokens of the four days, a range that covers earlier days shows nothing;
#          * there --until is not inclusive: the last activity on the 19th at 01:00 is not within --until 20261119;
#          * `blocks` takes whole blocks by the day on which the block STARTED: the 19th is empty, the 18th holds both.
# Why it matters: "usage of a day" scraped from the wrong report is zero or a multiple of the truth, without any hint.
# Source:  `ccusage --help` ("Filter until date (inclusive)"), observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm install --silent --no-audit --no-fund --prefix "$work" ccusage@20.0.24 @ccusage/ccusage-linux-x64@20.0.24 >/dev/null
chmod +x "$work"/node_modules/@ccusage/ccusage-linux-x64/bin/*

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

root, ccusage = sys.argv[1:]
S = "5e0f0000-0000-4000-8000-000000000001"
stamps = ["2026-11-13T12:00:00.000Z", "2026-11-14T12:00:00.000Z", "2026-11-18T23:30:00.000Z", "2026-11-19T01:00:00.000Z"]
write(root, f"{S}.jsonl", [line(S, f"msg_{n}", f"req_{n}", at, "claude-opus-4-6", 1, 1) for n, at in enumerate(stamps)])

def tokens(since, until, *report):
    done = subprocess.run([ccusage, *report, "--json", "--offline", "--timezone", "UTC", "--since", since, "--until", until],
                          capture_output=True, text=True, check=True)
    rows = next(value for key, value in json.loads(done.stdout).items() if isinstance(value, list))
    return sum(row["totalTokens"] for row in rows)

print("since    until     daily  claude-session  session  blocks   (tokens)")
for since, until in (("20261113", "20261114"), ("20261118", "20261118"), ("20261119", "20261119"), ("20261119", "20261120")):
    seen = [tokens(since, until, *report) for report in (("daily",), ("claude", "session"), ("session",), ("claude", "blocks"))]
    print(since, until, "%6d %15d %8d %7d" % tuple(seen))
PROBE

cat >"$work/recorded" <<'RECORDED'
since    until     daily  claude-session  session  blocks   (tokens)
20261113 20261114      4               4        0       4
20261118 20261118      2               2        0       4
20261119 20261119      2               2        0       0
20261119 20261120      2               2        8       0
RECORDED

HOME="$work/home" CLAUDE_CONFIG_DIR="$work/claude" python3 "$work/probe.py" "$work/claude" "$work/node_modules/.bin/ccusage" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
