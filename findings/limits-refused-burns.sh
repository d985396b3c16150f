#!/usr/bin/env bash
# limits: a request that is refused uses up a fixed window all the same, and a year has 360 days.
#
# Guess:   hit(limit, key, cost=11) with a limit of 10 answers False and changes nothing; smaller requests go on. A yearly
#          limit lasts 365 days.
# Package: PyPI limits 5.8.0, memory storage.
# Seen:    * FixedWindowRateLimiter counts first and compares afterwards: one refused request of 11 leaves remaining=0, and
#            a request of 1 is refused until the window ends; with 8 of 10 used, a refused 5 takes the last 2 as well;
#          * MovingWindow and SlidingWindowCounter leave the window as it was;
#          * parse("100/year").get_expiry() is 360 days, a month 30 days.
# Why it matters: with token amounts as cost (1 of many gateways' ways to cap tokens) a single oversized prompt locks its
#          team out for the rest of the window, with nothing used. Reserve after the comparison, or test() before.
# Source:  observed; the documentation describes the strategies for cost 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check limits==5.8.0

cat >"$work/probe.py" <<'PROBE'
from limits import parse, storage, strategies

ten = parse("10/hour")
for strategy in (strategies.FixedWindowRateLimiter, strategies.MovingWindowRateLimiter, strategies.SlidingWindowCounterRateLimiter):
    limiter = strategy(storage.MemoryStorage())
    print(strategy.__name__)
    print("  cost 11:", limiter.hit(ten, "a", cost=11), "| then remaining", limiter.get_window_stats(ten, "a").remaining,
          "| then cost 1:", limiter.hit(ten, "a", cost=1))
    print("  cost 8, 5, 2:", limiter.hit(ten, "b", cost=8), limiter.hit(ten, "b", cost=5), limiter.hit(ten, "b", cost=2))
for text in ("1/day", "1/month", "1/year"):
    print(text, parse(text).get_expiry() // 86400, "days")
PROBE

cat >"$work/recorded" <<'RECORDED'
FixedWindowRateLimiter
  cost 11: False | then remaining 0 | then cost 1: False
  cost 8, 5, 2: True False False
MovingWindowRateLimiter
  cost 11: False | then remaining 10 | then cost 1: True
  cost 8, 5, 2: True False True
SlidingWindowCounterRateLimiter
  cost 11: False | then remaining 10 | then cost 1: True
  cost 8, 5, 2: True False True
1/day 1 days
1/month 30 days
1/year 360 days
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
