#!/usr/bin/env bash
# tokscale: of a qwen-code session the cached input counts twice and the reasoning too; of a Gemini CLI session neither does.
#
# Guess:   both programs' files name the whole prompt and how much of it was cached, so both are read alike.
# Package: npm @tokscale/cli-linux-x64-gnu 4.17.0 (`models --json`).
# Seen:    two sessions of the same two answers (prompts of 21,000, of which 20,000 cached, 300 written, of which 50 thought):
#          gemini  input 2000, cacheRead 40000, output 500, reasoning 100: 42,600, which is right;
#          qwen    input 42000, cacheRead 40000, output 600, reasoning 100: 82,700, almost twice.
#          A sub-agent's lines of qwen-code name no model and stand under "unknown".
# Why it matters: qwen-code writes what an OpenAI-shaped provider says: prompt includes cached, candidates include thoughts (its
#          totalTokenCount is prompt + candidates); Gemini CLI writes thoughts beside the output. The sum of the parts has to be
#          held against the total that stands in the file. Whoever compares us with such a report finds half with us.
# Source:  observed; the files have the shape that qwen-code 0.24.4 and Gemini CLI write.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm install --silent --no-audit --no-fund --prefix "$work" @tokscale/cli-linux-x64-gnu@4.17.0
mkdir -p "$work/home/.qwen/projects/-srv-app/chats" "$work/home/.gemini/tmp/app/chats"

cat >"$work/files.py" <<'FILES'
import json, pathlib, sys

home = pathlib.Path(sys.argv[1])
qwen, session = [], "5e0f0000-0000-4000-8000-000000000001"
gemini = [{"sessionId": session, "projectHash": "0" * 64, "startTime": "2026-11-27T09:00:00.000Z", "lastUpdated": "2026-11-27T09:00:00.000Z", "kind": "main"}]
for number in (1, 2):
    at = f"2026-11-27T09:0{number}:00.000Z"
    counts = {"promptTokenCount": 21000, "candidatesTokenCount": 300, "thoughtsTokenCount": 50, "totalTokenCount": 21300, "cachedContentTokenCount": 20000}
    qwen.append({"uuid": f"u{number}", "parentUuid": None, "sessionId": session, "timestamp": at, "type": "assistant", "cwd": "/srv/app", "version": "0.24.4",
                 "model": "qwen3-coder-plus", "message": {"role": "model", "parts": [{"text": "ok"}]}, "usageMetadata": counts})
    tokens = {"input": 21000, "output": 250, "cached": 20000, "thoughts": 50, "tool": 0, "total": 21300}
    gemini.append({"id": f"g{number}", "timestamp": at, "type": "gemini", "content": "ok", "thoughts": [], "tokens": tokens, "model": "gemini-2.5-flash"})
below = dict(qwen[0], uuid="u3", isSidechain=True, agentId="helper", agentName="helper")
del below["model"]

def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

chats = home / ".qwen/projects/-srv-app"
write(chats / "chats" / f"{session}.jsonl", qwen)
write(chats / "subagents" / session / "agent-helper.jsonl", [below])
write(home / ".gemini/tmp/app/chats/session-2026-11-27T09-00-5e0f0000.jsonl", gemini)
FILES
python3 "$work/files.py" "$work/home"

cat >"$work/show.py" <<'SHOW'
import json, sys

fields = ("input", "cacheRead", "output", "reasoning")
for entry in sorted(json.load(sys.stdin)["entries"], key=lambda one: (one["client"], one["model"])):
    counts = {name: entry[name] for name in fields}
    print(entry["client"], entry["model"], counts, "together", sum(counts.values()))
SHOW

cat >"$work/recorded" <<'RECORDED'
gemini gemini-2.5-flash {'input': 2000, 'cacheRead': 40000, 'output': 500, 'reasoning': 100} together 42600
qwen qwen3-coder-plus {'input': 42000, 'cacheRead': 40000, 'output': 600, 'reasoning': 100} together 82700
qwen unknown {'input': 21000, 'cacheRead': 20000, 'output': 300, 'reasoning': 50} together 41350
RECORDED

tokscale="$work/node_modules/@tokscale/cli-linux-x64-gnu/bin/tokscale"
HOME="$work/home" XDG_CONFIG_HOME= XDG_DATA_HOME= XDG_CACHE_HOME= "$tokscale" models --json 2>"$work/errors" | python3 "$work/show.py" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
