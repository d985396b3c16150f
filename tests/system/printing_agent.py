"""Prints what agents print, true to format: the figures are made up, the shapes are those of Claude Code 2.1.332.

    printing_agent.py SESSION INPUT OUTPUT [--before INPUT OUTPUT] [--sleep S] [--end HOW]

``--before`` is what the session had used: a resumed one prints it again in its totals. ``HOW`` is ``once`` (one
result), ``twice`` (two results, the agent behind it used as much again), ``json`` (only the total), ``interrupt`` (an
error, status 0), ``limit`` (the plan's limit in the middle, status 1), ``half`` (killed in the middle of a line),
``garbled``, ``silent``, and ``hang`` (a result, then it hangs). Other agents: ``codex`` (0.171), ``gemini`` (0.61),
``opencode`` (1.18), ``qwen`` (0.24).
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


Figures = tuple[int, int]


def codex(session: str, total: Figures, now: Figures) -> None:
    """The thread's total; what this run used stands nowhere."""
    say(type="thread.started", thread_id=session)
    say(type="turn.started")
    say(type="item.completed", item={"id": "item_0", "type": "agent_message", "text": "done"})
    say(type="turn.completed", usage={
        "input_tokens": total[0], "cached_input_tokens": 0, "cache_write_input_tokens": 0,
        "output_tokens": total[1], "reasoning_output_tokens": now[1] // 2,
    })  # fmt: skip


def gemini(session: str, _total: Figures, now: Figures) -> None:
    """One document over many lines, of this run."""
    tokens = {"input": now[0], "prompt": now[0], "candidates": now[1], "total": sum(now), "cached": 0, "thoughts": 0}
    stats = {"models": {"gemini-3.8-flash": {"tokens": {**tokens, "tool": 0}}}}
    print(json.dumps({"session_id": session, "response": "done", "stats": stats}, indent=2), flush=True)


def opencode(session: str, _total: Figures, now: Figures) -> None:
    """Each step by itself."""
    say(type="step_start", sessionID=session, part={"id": "prt_1", "type": "step-start"})
    for number, part in enumerate(((now[0] // 2, 0), (now[0] - now[0] // 2, now[1]))):
        tokens = {"total": sum(part), "input": part[0], "output": part[1], "reasoning": 0}
        step = {"id": f"prt_{number}", "type": "step-finish", "tokens": {**tokens, "cache": {"write": 0, "read": 0}}}
        say(type="step_finish", sessionID=session, part=step)


def qwen(session: str, total: Figures, now: Figures) -> None:
    """One array: answers in the words of Claude Code, and a result with the total of the session."""
    usage = {"input_tokens": now[0], "output_tokens": now[1], "cache_read_input_tokens": 0, "total_tokens": sum(now)}
    tokens = {"prompt": total[0], "candidates": total[1], "total": sum(total), "cached": 0, "thoughts": 0}
    message = {"id": "a1", "role": "assistant", "model": "qwen3.8-coder", "content": [], "usage": usage}
    print(json.dumps([
        {"type": "system", "subtype": "init", "session_id": session},
        {"type": "assistant", "session_id": session, "message": message},
        {"type": "result", "subtype": "success", "uuid": f"{session}-r", "session_id": session, "is_error": False,
         "usage": usage, "stats": {"models": {"qwen3.8-coder": {"tokens": tokens}}}},
    ]), flush=True)  # fmt: skip


OTHERS = {"codex": codex, "gemini": gemini, "opencode": opencode, "qwen": qwen}


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
    if said.end in OTHERS:
        OTHERS[said.end](said.session, total, now)
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
        case "hang":
            result(said.session, 0, total, now)
            time.sleep(600)
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
