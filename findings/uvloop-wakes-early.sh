#!/usr/bin/env bash
# uvloop: a timer fires before its time, so work is admitted a moment before the reset.
#
# Guess:   loop.call_later(d) and asyncio.sleep(d) never return before d has passed on the monotonic clock. The standard
#          loop keeps this here.
# Package: PyPI uvloop 0.23.0, Python's own asyncio for comparison.
# Seen:    uvloop counts whole milliseconds from a time that it took at the start of the loop turn: a part of the
#          timers is early, by up to half a millisecond or so; the standard loop's never were (its resolution is 1 ns).
# Why it matters: "sleep until the reset, then ask again" wakes, sees the old window still closed and either counts a refusal,
#          or, where it trusts its timer, admits into the old window. Compare the clock after waking and wait again.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check uvloop==0.23.0

cat >"$work/probe.py" <<'PROBE'
import asyncio, time
import uvloop

async def early():
    loop, count = asyncio.get_running_loop(), 0
    for step in range(300):
        delay = 0.001 + 0.0007 * (step % 10)
        begun = time.monotonic()
        woken = loop.create_future()
        loop.call_later(delay, woken.set_result, None)
        await woken
        count += time.monotonic() - begun < delay
    return count

standard, other = asyncio.run(early()), uvloop.run(early())
print("asyncio: early timers:", "none" if standard == 0 else "some")
print("uvloop:  early timers:", "more than 10 of 300" if other > 10 else "hardly any")
PROBE

cat >"$work/recorded" <<'RECORDED'
asyncio: early timers: none
uvloop:  early timers: more than 10 of 300
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
