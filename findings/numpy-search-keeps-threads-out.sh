#!/usr/bin/env bash
# numpy: a thread that searches an array now and then keeps every other thread out for as long as it runs.
#
# Guess:   a call that lets go of the interpreter gives others a turn sooner than one that holds on to it.
# Package: PyPI numpy 2.4.6, on CPython 3.11 (two cores).
# Seen:    beside a thread that computes in plain Python for about 0.2 ms, then searches 1,440 numbers for one, a thread that sleeps 1 ms at a
#          time waits 50 ms and more, up to the whole run. The same with the standard library's bisect: about 5 ms, the switch interval.
#          With nothing between two searches it waits a fraction of a millisecond.
# Why:     searchsorted lets go for a microsecond. Who waits is woken, comes too late and starts its interval anew; only an interval
#          without such a wake-up makes the other thread give way.
# Why it matters: an event loop beside a thread that works with small arrays stalls longest where no call is long. A profiler that
#          looks for long calls finds none. Search small arrays with bisect, or compute elsewhere.
# Source:  observed; take_gil() in CPython's ceval_gil.h of 3.11. Prints ratios in words, since times are the machine's.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check numpy==2.4.6

cat >"$work/probe.py" <<'PROBE'
import bisect, threading, time

import numpy as np

numbers = np.arange(1440.0)

def plain(turns):
    total = 0
    for number in range(turns):
        total += number

def turns_for(seconds):
    """How many turns of plain Python take so long here."""
    turns = 1000
    while True:
        begun = time.perf_counter()
        plain(turns)
        if (took := time.perf_counter() - begun) > 0.02:
            return int(turns * seconds / took)
        turns *= 2

def longest(step, seconds=1.5):
    """By how much a thread that sleeps 1 ms at a time was late at most beside a thread that takes steps, in seconds."""
    until = time.perf_counter() + seconds
    def work():
        while time.perf_counter() < until:
            step()
    thread = threading.Thread(target=work)
    thread.start()
    late = 0.0
    while thread.is_alive():
        begun = time.perf_counter()
        time.sleep(0.001)
        late = max(late, time.perf_counter() - begun - 0.001)
    thread.join()
    return late

turns = turns_for(0.0002)

def with_numpy():
    numbers.searchsorted(700.5)
    plain(turns)

def with_bisect():
    bisect.bisect_left(numbers, 700.5)
    plain(turns)

kept_out = sorted(longest(with_numpy) for _ in range(3))[1]
as_usual = sorted(longest(with_bisect) for _ in range(3))[1]
print("a search of numpy every 0.2 ms keeps others out for over 50 ms:", kept_out > 0.05)
print("that is more than three times as long as with bisect:", kept_out > 3 * as_usual)
PROBE

cat >"$work/recorded" <<'RECORDED'
a search of numpy every 0.2 ms keeps others out for over 50 ms: True
that is more than three times as long as with bisect: True
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" 2>"$work/errors" | tee "$work/seen" || { cat "$work/errors"; exit 1; }
diff -u "$work/recorded" "$work/seen" || { cat "$work/errors"; echo "CHANGED: no longer as recorded"; exit 1; }
