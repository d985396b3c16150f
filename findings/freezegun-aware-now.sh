#!/usr/bin/env bash
# freezegun with tz_offset: datetime.now(timezone.utc) is wrong by the offset, time.time() is not.
#
# Guess:   freeze_time("2026-01-15T12:00:00Z", tz_offset=8) is a machine eight hours east: naive local time 20:00, every
#          aware time still 12:00 UTC.
# Package: PyPI freezegun 1.5.5.
# Seen:    naive now() is 20:00 and time.time() is 12:00 UTC as expected, but now(timezone.utc) is 20:00+00:00: an instant
#          eight hours later than time.time() at the same moment. datetime.fromtimestamp(time.time(), utc) is right.
# Why it matters: the parameter is what one reaches for to test quota resets in other zones. Code that uses aware UTC
#          throughout (the careful kind) is tested with two clocks eight hours apart: windows end "early", a test that
#          passes proves nothing about the zone. Freeze without an offset, convert with zoneinfo.
# Source:  observed; the offset is documented for local time.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check freezegun==1.5.5

cat >"$work/probe.py" <<'PROBE'
import datetime, time
from freezegun import freeze_time

utc = datetime.timezone.utc
for offset in (0, 8, -5):
    with freeze_time("2026-01-15T12:00:00Z", tz_offset=offset):
        aware = datetime.datetime.now(utc)
        print("offset %2d | naive now %s | aware now %s | aware now - time.time() = %.0f h | fromtimestamp(utc) %s" % (
            offset, datetime.datetime.now().strftime("%H:%M"), aware.strftime("%H:%M%z"),
            (aware.timestamp() - time.time()) / 3600, datetime.datetime.fromtimestamp(time.time(), utc).strftime("%H:%M%z")))
PROBE

cat >"$work/recorded" <<'RECORDED'
offset  0 | naive now 12:00 | aware now 12:00+0000 | aware now - time.time() = 0 h | fromtimestamp(utc) 12:00+0000
offset  8 | naive now 20:00 | aware now 20:00+0000 | aware now - time.time() = 8 h | fromtimestamp(utc) 12:00+0000
offset -5 | naive now 07:00 | aware now 07:00+0000 | aware now - time.time() = -5 h | fromtimestamp(utc) 12:00+0000
RECORDED

TZ=UTC "$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
