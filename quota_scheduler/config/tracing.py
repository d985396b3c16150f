"""Where spans of OpenTelemetry go."""

from __future__ import annotations

from quota_scheduler.config.fields import Fields
from quota_scheduler.config.scalars import http_address, ratio
from quota_scheduler.config.tree import Tracing

EXAMPLE = "http://localhost:4318"


def read_traces(top: Fields) -> Tracing:
    """The collector, and the share of traces that is kept."""
    with top.section("traces") as traces:
        tracing = Tracing(traces.read("endpoint", _endpoint, ""), traces.read("share", ratio, 1.0))
        if traces.has("share") and not traces.has("endpoint"):
            traces.complain("share", f"needs a collector: add `endpoint: {EXAMPLE}`, or remove it")
        return tracing


def _endpoint(value: str) -> str:
    """The base URL of a collector that takes OTLP over HTTP."""
    none = f"{value!r} is no address of a collector: write one such as {EXAMPLE}"
    parts = http_address(value, none)
    if parts.username or parts.query:
        raise ValueError(none)
    if parts.path.rstrip("/").endswith("/v1/traces"):
        raise ValueError(f"{value!r} names the path too: leave /v1/traces out, as in {EXAMPLE}")
    return value.rstrip("/")
