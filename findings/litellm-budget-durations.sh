#!/usr/bin/env bash
# LiteLLM budgets: "30d" ends on the 1st of the month, "31d" in 31 days; "7d" ends on Monday, "14d" in 14 days.
#
# Guess:   budget_duration "30d" gives a budget 30 days of life from now (the same function family turns it into
#          2,592,000 seconds); "5h" gives five hours.
# Package: PyPI litellm 1.110.2, litellm_core_utils.duration_parser (what sets budget_reset_at of keys and teams).
# Seen, at Wednesday 25 November 2026, 13:37 UTC: 7d -> Monday 30th (4.4 days), 14d -> 9 December, 30d -> 1 December
#          (5.4 days), 31d -> 26 December. 5h -> 15:00, on the multiples of five hours from midnight, but after 20:00 the
#          next two are 01:00 and 05:00, so one window a day is 4 h long.
# Why it matters: budget_reset_at is not created + duration, the first window is nearly always shorter and gets the whole
#          amount, and two durations a day apart mean calendar month and rolling month. A forecast that
#          extrapolates "period = duration_in_seconds" is wrong for the two most used values.
# Source:  observed; litellm documents "standardized" resets for keys, the table of exceptions is not documented.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check litellm==1.110.2

cat >"$work/probe.py" <<'PROBE'
import os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
from datetime import datetime, timezone
from litellm.litellm_core_utils.duration_parser import duration_in_seconds, get_next_standardized_reset_time

now = datetime(2026, 11, 25, 13, 37, tzinfo=timezone.utc)
for text in ("1h", "5h", "1d", "2d", "7d", "14d", "28d", "30d", "31d", "1mo"):
    reset = get_next_standardized_reset_time(text, now, "UTC")
    print("%-4s resets %s, after %5.1f d; duration_in_seconds %5.1f d" % (
        text, reset.strftime("%a %d %b %H:%M"), (reset - now).total_seconds() / 86400, duration_in_seconds(text) / 86400))
at, marks = now, []
for _ in range(5):
    at = get_next_standardized_reset_time("5h", at, "UTC")
    marks.append(at.strftime("%H:%M"))
print("5h, one after the other:", *marks)
PROBE

cat >"$work/recorded" <<'RECORDED'
1h   resets Wed 25 Nov 14:00, after   0.0 d; duration_in_seconds   0.0 d
5h   resets Wed 25 Nov 15:00, after   0.1 d; duration_in_seconds   0.2 d
1d   resets Thu 26 Nov 00:00, after   0.4 d; duration_in_seconds   1.0 d
2d   resets Fri 27 Nov 00:00, after   1.4 d; duration_in_seconds   2.0 d
7d   resets Mon 30 Nov 00:00, after   4.4 d; duration_in_seconds   7.0 d
14d  resets Wed 09 Dec 00:00, after  13.4 d; duration_in_seconds  14.0 d
28d  resets Wed 23 Dec 00:00, after  27.4 d; duration_in_seconds  28.0 d
30d  resets Tue 01 Dec 00:00, after   5.4 d; duration_in_seconds  30.0 d
31d  resets Sat 26 Dec 00:00, after  30.4 d; duration_in_seconds  31.0 d
1mo  resets Tue 01 Dec 00:00, after   5.4 d; duration_in_seconds  30.0 d
5h, one after the other: 15:00 20:00 01:00 05:00 10:00
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" 2>/dev/null | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
