"""Gemini CLI's own telemetry, and that of its child qwen-code: one ``api_response`` event an answer, and a metric.

Input includes what came from the cache but not what tools brought in. Gemini counts thinking apart, qwen within
output. Router and compressor, which stand in no file, are told here too. Each answer is told once more by an event of
the GenAI conventions that has neither cache nor thoughts: that one does not count. Measured with 0.61 and 0.24.4.
"""

from datetime import datetime

from quota_scheduler.sources import gemini as files_of_gemini
from quota_scheduler.sources import qwen as files_of_qwen
from quota_scheduler.sources.calls import usage_of
from quota_scheduler.sources.otlp.calls import GEMINI, QWEN, OtlpCall, content_key
from quota_scheduler.sources.otlp.records import LogRecord, count, text

PROVIDERS = {GEMINI: files_of_gemini.PROVIDER, QWEN: files_of_qwen.PROVIDER}
"""Whose models they call, as the readers of their files say: a call counts once, whichever tells of it."""
EVENTS = {"gemini_cli.api_response": GEMINI, "qwen-code.api_response": QWEN}
METRIC = "gemini_cli.token.usage"
KINDS = {
    "input": (1, 0, 0, 0, 0),
    "cache": (-1, 1, 0, 0, 0),
    "tool": (1, 0, 0, 0, 0),
    "output": (0, 0, 0, 0, 1),
    "thought": (0, 0, 0, 0, 1),
}
"""What each type of the metric adds to the five kinds."""


def call_of(record: LogRecord, at: datetime) -> OtlpCall | None:
    """The call that an event reports; None for one without tokens. Raises BadLine."""
    facts, program = record.attributes, EVENTS[record.name]
    thoughts = count(facts, "thoughts_token_count") or 0
    usage = usage_of(
        everything_in=(count(facts, "input_token_count") or 0) + (count(facts, "tool_token_count") or 0),
        cached=count(facts, "cached_content_token_count") or 0,
        cache_write=0,
        out=(count(facts, "output_token_count") or 0) + (thoughts if program == GEMINI else 0),
    )
    if not usage.tokens:
        return None
    session, model, response = text(facts, "session.id"), text(facts, "model"), text(facts, "response_id")
    written = text(facts, "event.timestamp") or record.time or record.observed
    same = (session, facts.get("prompt_id"), written, model, facts.get("role"), *usage.kinds)
    key = f"qwen:{response}" if program == QWEN and response else content_key(program, same)
    return OtlpCall(program, key, at, PROVIDERS[program], model, usage, session, facts)
