#!/usr/bin/env bash
# OpenTelemetry SDK: a counter that starts again gives a negative delta, in a sum that says it is monotonic.
#
# Guess:   an observable counter whose callback returns a smaller total than before (the agent was restarted, the session file
#          was replaced) is a reset: the delta is the new total, with a new start time; a monotonic sum never falls.
# Package: PyPI opentelemetry-sdk 1.45.2, delta temporality.
# Seen:    1000, 1100, 50 observed -> deltas 1000, 100, -1050; is_monotonic stays True, the start time goes on. Cumulative
#          temporality passes 50 on as the value with the old start time, which looks like a correction, not like a reset.
# Why it matters: cumulative token totals are the natural thing to observe (status lines, session totals). A receiver that adds
#          deltas loses what was counted before the restart: -1050 takes away 1050 tokens that were used. Treat a
#          negative delta of a monotonic sum as a reset (add nothing, or the unknown rest), never add it.
# Source:  observed; the specification forbids falling monotonic sums, the SDK leaves it to the callback.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check opentelemetry-sdk==1.45.2

cat >"$work/probe.py" <<'PROBE'
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

for temporality in (AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE):
    total, starts = [0], set()
    reader = InMemoryMetricReader(preferred_temporality={ObservableCounter: temporality})
    meter = MeterProvider([reader]).get_meter("agent")
    meter.create_observable_counter("tokens", [lambda options: [Observation(total[0])]])
    for total[0] in (1000, 1100, 50, 80):
        metric = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0]
        point = metric.data.data_points[0]
        starts.add(point.start_time_unix_nano)
        print(f"{temporality.name:<10} observed {total[0]:>4} exported {point.value:>5} monotonic {metric.data.is_monotonic}")
    if temporality is AggregationTemporality.CUMULATIVE:
        print("start times:", len(starts))
PROBE

cat >"$work/recorded" <<'RECORDED'
DELTA      observed 1000 exported  1000 monotonic True
DELTA      observed 1100 exported   100 monotonic True
DELTA      observed   50 exported -1050 monotonic True
DELTA      observed   80 exported    30 monotonic True
CUMULATIVE observed 1000 exported  1000 monotonic True
CUMULATIVE observed 1100 exported  1100 monotonic True
CUMULATIVE observed   50 exported    50 monotonic True
CUMULATIVE observed   80 exported    80 monotonic True
start times: 1
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
