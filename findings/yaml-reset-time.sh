#!/usr/bin/env bash
# PyYAML with pydantic: a reset at 17:00 becomes 00:17 UTC, a reset at 08:30 stays 08:30.
#
# Guess:   reset_at: 17:00 in a YAML file and a field of type datetime.time give 17:00; if YAML mangles it, validation fails.
# Packages: PyPI PyYAML 6.0.3, pydantic 2.14.3.
# Seen:    YAML 1.1 reads 17:00 as a number to base 60 (1020), but not what begins with 0. pydantic takes an int for a time
#          as seconds since midnight and adds a zone. So 17:00 -> 00:17:00 UTC (aware), 9:30 -> 00:09:30 UTC, 08:30 ->
#          08:30:00 (naive), 17:00:00 -> 17:00:00 UTC. As timedelta ("session: 5:00:00") the same numbers happen to be right.
# Why it matters: two libraries that each do what they document make a valid time of day that is wrong by hours, only for
#          times from 10 o'clock on (or written without the leading zero). Half of the entries of a table of reset times look fine in review.
# Source:  YAML 1.1 type repository (sexagesimal integers), pydantic's conversion table; the meeting of both observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check PyYAML==6.0.3 pydantic==2.14.3

cat >"$work/probe.py" <<'PROBE'
import datetime
import yaml
from pydantic import BaseModel, ValidationError

class Limit(BaseModel):
    reset_at: datetime.time

for text in ("08:30", "9:30", "10:00", "17:00", "17:00:00", "'17:00'"):
    raw = yaml.safe_load(f"reset_at: {text}")
    try:
        got = Limit(**raw).reset_at.isoformat()
    except ValidationError as error:
        got = error.errors()[0]["type"]
    print("%-9s YAML %-10r time %s" % (text, raw["reset_at"], got))
PROBE

cat >"$work/recorded" <<'RECORDED'
08:30     YAML '08:30'    time 08:30:00
9:30      YAML 570        time 00:09:30+00:00
10:00     YAML 600        time 00:10:00+00:00
17:00     YAML 1020       time 00:17:00+00:00
17:00:00  YAML 61200      time 17:00:00+00:00
'17:00'   YAML '17:00'    time 17:00:00
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
