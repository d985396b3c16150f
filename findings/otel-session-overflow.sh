#!/usr/bin/env bash
# OpenTelemetry SDK: from the 2001st set of attributes on, tokens lose all their labels, model and type included.
#
# Guess:   the Python SDK keeps every series of a counter; a per-session label costs memory, nothing else.
# Package: PyPI opentelemetry-sdk 1.45.2.
# Seen:    with cumulative temporality the counter keeps 2000 attribute sets for the life of the process. What comes with a new
#          set afterwards (a new session of a known model) is added to one point whose only attribute is
#          otel.metric.overflow=true. Old sessions go on being counted in full, nothing is logged. With delta temporality
#          the limit applies to each export, so the same program loses nothing.
# Why it matters: instrumented agents put session.id on token counters. In a long-lived process the total stays right while
#          price (by model), kind and team become unknown for all newer sessions. A receiver should show the tokens of
#          such points as unattributed, not drop the series or book them on "no model".
# Source:  OpenTelemetry specification, metrics SDK, cardinality limits; that the Python SDK enforces it was the surprise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check opentelemetry-sdk==1.45.2

cat >"$work/probe.py" <<'PROBE'
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

def points(reader):
    data = reader.get_metrics_data()
    return [point for resource in data.resource_metrics for scope in resource.scope_metrics
            for metric in scope.metrics for point in metric.data.data_points]
def show(name, seen):
    lost = [point for point in seen if "otel.metric.overflow" in point.attributes]
    print("%-28s points %d, tokens %d, of which without model: %d, attributes %s" % (
        name, len(seen), sum(point.value for point in seen), sum(point.value for point in lost), [dict(point.attributes) for point in lost]))
for temporality in (AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA):
    reader = InMemoryMetricReader(preferred_temporality={Counter: temporality})
    counter = MeterProvider([reader]).get_meter("agent").create_counter("claude_code.token.usage")
    for block in range(3):
        for session in range(900):
            counter.add(100, {"model": "claude-opus-5", "type": "output", "session.id": f"s{block}-{session}"})
        show(f"{temporality.name} after {900 * (block + 1)}", points(reader))
PROBE

cat >"$work/recorded" <<'RECORDED'
CUMULATIVE after 900         points 900, tokens 90000, of which without model: 0, attributes []
CUMULATIVE after 1800        points 1800, tokens 180000, of which without model: 0, attributes []
CUMULATIVE after 2700        points 2001, tokens 270000, of which without model: 70000, attributes [{'otel.metric.overflow': True}]
DELTA after 900              points 900, tokens 90000, of which without model: 0, attributes []
DELTA after 1800             points 900, tokens 90000, of which without model: 0, attributes []
DELTA after 2700             points 900, tokens 90000, of which without model: 0, attributes []
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
