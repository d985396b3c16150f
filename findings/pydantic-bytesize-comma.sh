#!/usr/bin/env bash
# pydantic ByteSize: the amount "1,000,000" is read as 1.
#
# Guess:   ByteSize is the ready type for "200k", "1.5M" in a configuration; what it cannot read is a validation error.
# Package: PyPI pydantic 2.14.3.
# Seen:    "200k" and "1.5M" work. Text after the first number is not checked to belong to it: "1,000,000" -> 1,
#          "2,5M" -> 2, "2.9" -> 2; while "1e6" and "1Mi" are errors and int("1_000_000") style is accepted.
# Why it matters: a token limit written with thousands separators becomes a limit of 1 token without a word, and everything
#          of that team waits. An int field rejects the same text.
# Source:  observed; documented as a conversion of byte strings.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check pydantic==2.14.3

cat >"$work/probe.py" <<'PROBE'
from pydantic import ByteSize, TypeAdapter, ValidationError

def read(kind, text):
    try:
        return int(TypeAdapter(kind).validate_python(text))
    except ValidationError as error:
        return error.errors()[0]["type"]
for text in ("200k", "1.5M", "1_000_000", "1,000,000", "2,5M", "2.9", "1e6", "1Mi"):
    print("%-10s ByteSize %-16s int %s" % (text, read(ByteSize, text), read(int, text)))
PROBE

cat >"$work/recorded" <<'RECORDED'
200k       ByteSize 200000           int int_parsing
1.5M       ByteSize 1500000          int int_parsing
1_000_000  ByteSize 1000000          int 1000000
1,000,000  ByteSize 1                int int_parsing
2,5M       ByteSize 2                int int_parsing
2.9        ByteSize 2                int int_parsing
1e6        ByteSize byte_size_unit   int int_parsing
1Mi        ByteSize byte_size_unit   int int_parsing
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
