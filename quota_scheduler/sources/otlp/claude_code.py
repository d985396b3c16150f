"""Claude Code's own telemetry: one ``api_request`` event an answer, and sums of tokens as a metric.

The event is the one record that has compaction, web search and titles as well as the request's id. Its four kinds do
not overlap. ``speed`` stays ``normal`` on events of answers that were served fast; what the client charges itself
tells. Measured with 2.1.332; numbers were texts before 2.1.122, and writes had no TTL.
"""

from datetime import datetime

from quota_scheduler.core.units import MICRO, PICO
from quota_scheduler.core.usage import Usage, price_terms
from quota_scheduler.sources.calls import response_key
from quota_scheduler.sources.otlp.calls import CLAUDE_CODE, OtlpCall, content_key
from quota_scheduler.sources.otlp.records import LogRecord, count, text

PROVIDER = "anthropic"
EVENTS = frozenset({"api_request", "claude_code.api_request"})
METRIC = "claude_code.token.usage"
KINDS = {
    "input": (1, 0, 0, 0, 0),
    "cacheRead": (0, 1, 0, 0, 0),
    "cacheCreation": (0, 0, 1, 0, 0),
    "output": (0, 0, 0, 0, 1),
}
"""What each type of the metric adds to the five kinds."""
LONGEST_COST = 10_000.0
"""Dollars that one call may say it cost; more is garbled."""


def call_of(record: LogRecord, at: datetime) -> OtlpCall | None:
    """The call that an event reports; None for one without tokens. Raises BadLine."""
    facts = record.attributes
    flat = count(facts, "cache_creation_tokens") or 0
    hour = count(facts, "cache_creation_1h_tokens") or 0
    minutes = count(facts, "cache_creation_5m_tokens")
    usage = Usage(
        input=count(facts, "input_tokens") or 0,
        cache_read=count(facts, "cache_read_tokens") or 0,
        cache_write_5m=max(0, flat - hour) if minutes is None else max(minutes, flat - hour),
        cache_write_1h=hour,
        output=count(facts, "output_tokens") or 0,
        requests=1,
    )
    if not usage.tokens:
        return None
    session, request = text(facts, "session.id"), text(facts, "request_id")
    written = text(facts, "event.timestamp") or record.time or record.observed
    same = (session, facts.get("event.sequence"), written, text(facts, "model"), *usage.kinds)
    return OtlpCall(
        CLAUDE_CODE,
        response_key(request) if request else content_key(CLAUDE_CODE, same),
        at,
        PROVIDER,
        text(facts, "model"),
        usage,
        session,
        facts,
        terms=price_terms(speed=text(facts, "speed")[:20]),
        cost_pico=_cost(facts.get("cost_usd")),
    )


def _cost(dollars: object) -> int:
    if isinstance(dollars, str):
        try:
            dollars = float(dollars)
        except ValueError:
            return 0
    is_cost = isinstance(dollars, float | int) and not isinstance(dollars, bool) and 0 < dollars < LONGEST_COST
    return round(dollars * MICRO * PICO) if is_cost else 0  # type: ignore[operator]
