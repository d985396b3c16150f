#!/usr/bin/env bash
# msgspec rounds a nanosecond timestamp up, pydantic and the standard library cut it: the same line falls on two days.
#
# Guess:   decoders of RFC 3339 agree on which microsecond 23:59:59.9999999Z is.
# Packages: PyPI msgspec 0.22.0, pydantic 2.14.3, Python's datetime.fromisoformat.
# Seen:    msgspec rounds half up to the microsecond and carries: the value becomes 00:00:00 of the next day (month, year);
#          the other two truncate. Any stamp with more than six digits differs by 1 microsecond in about half of all cases.
# Why it matters: Go programs, collectors and OTLP to JSON converters write nine digits. A usage event can be booked into
#          another day, window or month than the program that reports it says, and (time, model, counts) stops being a key
#          that is equal in two readers.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check msgspec==0.22.0 pydantic==2.14.3

cat >"$work/probe.py" <<'PROBE'
import datetime, json
import msgspec
from pydantic import TypeAdapter

other = TypeAdapter(datetime.datetime)
for text in ("2026-10-31T23:59:59.9999999Z", "2026-10-02T09:15:07.412000499Z", "2026-10-02T09:15:07.412000500Z", "2026-10-02T09:15:07.4129999Z"):
    raw = json.dumps(text).encode()
    print(text)
    print("  msgspec      ", msgspec.json.decode(raw, type=datetime.datetime).isoformat())
    print("  pydantic     ", other.validate_json(raw).isoformat())
    print("  fromisoformat", datetime.datetime.fromisoformat(text).isoformat())
PROBE

cat >"$work/recorded" <<'RECORDED'
2026-10-31T23:59:59.9999999Z
  msgspec       2026-11-01T00:00:00+00:00
  pydantic      2026-10-31T23:59:59.999999+00:00
  fromisoformat 2026-10-31T23:59:59.999999+00:00
2026-10-02T09:15:07.412000499Z
  msgspec       2026-10-02T09:15:07.412000+00:00
  pydantic      2026-10-02T09:15:07.412000+00:00
  fromisoformat 2026-10-02T09:15:07.412000+00:00
2026-10-02T09:15:07.412000500Z
  msgspec       2026-10-02T09:15:07.412001+00:00
  pydantic      2026-10-02T09:15:07.412000+00:00
  fromisoformat 2026-10-02T09:15:07.412000+00:00
2026-10-02T09:15:07.4129999Z
  msgspec       2026-10-02T09:15:07.413000+00:00
  pydantic      2026-10-02T09:15:07.412999+00:00
  fromisoformat 2026-10-02T09:15:07.412999+00:00
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
