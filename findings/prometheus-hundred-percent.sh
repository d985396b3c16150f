#!/usr/bin/env bash
# Prometheus templates: 99.996 % is printed as 100 %, one as "1000m", and a token count as 1.234567e+06.
#
# Guess:   humanizePercentage keeps what matters near a limit; humanize writes 0.99996 as a number near 1; {{ $value }} of
#          1234567 tokens prints 1234567.
# Package: Debian prometheus 2.42.0 (promtool test rules prints the rendered annotations).
# Seen:    four significant digits: 0.99996 -> "100%", 0.99994 -> "99.99%"; humanize turns 0.99996 into "1000m" and 999950 into
#          "1000k"; $value changes to exponents from a million on (88000 is plain); printf "%.0f" does what is wanted.
# Why it matters: "has used 100 % of its amount" in the text of a warning for "nearly exhausted", while the state says open;
#          and the token figures of an alert change their look between two limits of different size.
# Source:  Prometheus documentation, template reference; observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if promtool --version 2>/dev/null | grep -q "version 2.42.0"; then
    promtool=promtool
else
    (cd "$work" && apt-get download -qq prometheus=2.42.0+ds-5+deb12u1 && dpkg-deb -x prometheus_*.deb .) >/dev/null 2>&1
    promtool="$work/usr/bin/promtool"
fi

cat >"$work/probe.sh" <<'PROBE'
cd "$1"
cat >rules.yml <<'RULES'
groups:
- name: probe
  rules:
  - alert: Probe
    expr: probe > 0
    annotations: {plain: '{{ $value }}', human: '{{ $value | humanize }}', percent: '{{ $value | humanizePercentage }}', f: '{{ printf "%.0f" $value }}'}
RULES
cat >test.yml <<'TEST'
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - {series: 'probe{of="a"}', values: '0.99994 0.99994'}
  - {series: 'probe{of="b"}', values: '0.99996 0.99996'}
  - {series: 'probe{of="c"}', values: '88000 88000'}
  - {series: 'probe{of="d"}', values: '999950 999950'}
  - {series: 'probe{of="e"}', values: '1234567 1234567'}
  alert_rule_test:
  - {eval_time: 1m, alertname: Probe, exp_alerts: []}
TEST
# The test expects no alert, so that promtool prints what it rendered and exits 1.
{ "$2" test rules test.yml 2>&1 || true; } | grep -o 'of="."\|Annotations:.*}' 
PROBE

cat >"$work/recorded" <<'RECORDED'
of="a"
Annotations:{f="1", human="999.9m", percent="99.99%", plain="0.99994"}
of="b"
Annotations:{f="1", human="1000m", percent="100%", plain="0.99996"}
of="c"
Annotations:{f="88000", human="88k", percent="8.8e+06%", plain="88000"}
of="d"
Annotations:{f="999950", human="1000k", percent="1e+08%", plain="999950"}
of="e"
Annotations:{f="1234567", human="1.235M", percent="1.235e+08%", plain="1.234567e+06"}
RECORDED

bash "$work/probe.sh" "$work" "$promtool" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
