"""Prints what agents print, true to format: the figures are made up, the shapes are those of Claude Code 2.1.332.

    printing_agent.py claude SESSION INPUT OUTPUT [--before INPUT OUTPUT] [--sleep S] [--end HOW]

``--before`` is what the session had used: a resumed one prints it again in its totals. ``HOW`` is ``once`` (one
result), ``twice`` (two results, the agent behind it used as much again), ``json`` (only the total), ``interrupt`` (an
error, status 0), ``limit`` (the plan's limit in the middle, status 1), ``half`` (killed in the middle of a line),
``garbled`` and ``silent``.
"""

import argparse
import json
import sys
import time
from typing import Any

MODEL = "claude-sonnet-5"


def figures(given: int, out: int) -> dict[str, Any]:
    one = {"inputTokens": given, "outputTokens": out, "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0}
    return {MODEL: {**one, "cacheCreationEphemeral1hInputTokens": 0, "costUSD": 0.1}}


def say(**record: Any) -> None:
    print(json.dumps(record), flush=True)


def result(session: str, number: int, total: tuple[int, int], since: tuple[int, int], **more: Any) -> None:
    say(
        type="result", session_id=session, uuid=f"{session}-{number}", modelUsage=figures(*total),
        model_usage_since_last_result=figures(*since), usage={"input_tokens": since[0], "output_tokens": since[1]},
        **({"subtype": "success", "is_error": False, "result": "done"} | more),
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("session")
    parser.add_argument("given", type=int)
    parser.add_argument("out", type=int)
    parser.add_argument("--before", type=int, nargs=2, default=(0, 0))
    parser.add_argument("--sleep", type=float, default=0.0)
    parser.add_argument("--end", default="once")
    said = parser.parse_args()
    now, before = (said.given, said.out), said.before
    total = (before[0] + now[0], before[1] + now[1])
    if said.end == "silent":
        return 0
    if said.end == "json":
        usage = {"input_tokens": now[0], "output_tokens": now[1]}
        say(type="result", subtype="success", is_error=False, session_id=said.session, uuid="1", result="done",
            usage=usage, modelUsage=figures(*total))  # fmt: skip
        return 0
    say(type="system", subtype="init", session_id=said.session, cwd="/srv/app", model=MODEL)
    time.sleep(said.sleep)
    match said.end:
        case "once":
            result(said.session, 0, total, now)
        case "twice":
            result(said.session, 0, total, now)
            result(said.session, 1, (total[0] + now[0], total[1] + now[1]), now)
        case "interrupt":
            result(said.session, 0, total, now, is_error=True, subtype="error_during_execution",
                   terminal_reason="aborted_streaming")  # fmt: skip
        case "limit":
            result(said.session, 0, total, now, is_error=True, api_error_status=429, api_error="usage_limit_reached",
                   terminal_reason="api_error",
                   result="You've hit your 5-hour limit · resets 8:20pm (UTC)")  # fmt: skip
            return 1
        case "half":
            result(said.session, 0, total, now)
            print('{"type":"result","modelUsage":{"clau', end="", flush=True)
            return 1
        case "garbled":
            print('{"type":"result","modelUsage":[[[[,}\n\x00\x1b[31mno json\n{"type":"result","modelUsage":"many"}')
            result(said.session, 0, total, now)
    return 0


if __name__ == "__main__":
    sys.exit(main())
