#!/bin/sh
# Every request that the OpenAPI document allows, and those that it does not, against a service that is started for it.
# schemathesis lives in a venv of its own (.cache/schemathesis): it is no part of what the tests need. ARGS go to it.
set -eu
cd "$(dirname "$0")/.."
root=$PWD

VERSION=4.32.5
python=${PYTHON:-$root/.venv/bin/python}
tool=$root/.cache/schemathesis/$VERSION
folder=$(mktemp -d)
service=
end() {
    [ -z "$service" ] || kill "$service" 2>/dev/null || true
    cd "$root"
    rm -rf "$folder"
}
trap end EXIT INT TERM

if [ ! -x "$tool/bin/schemathesis" ]; then
    python3 -m venv "$tool"
    "$tool/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$VERSION"
fi

port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
token=$("$python" -c 'import secrets; print(secrets.token_urlsafe(32))')
cat >"$folder/quota.yaml" <<YAML
listen: 127.0.0.1:$port
database: sqlite:///$folder/quota.db
tokens:
  - {name: tester, role: operator, sha256: $(printf %s "$token" | sha256sum | cut -d' ' -f1)}
limits:
  - {id: team-week, match: {provider: anthropic}, unit: tokens, amount: 100M, window: {every: week, starts: monday 09:00}}
YAML
cd "$folder"
HOME=$folder PYTHONPATH=$root QUOTA_CONFIG=$folder/quota.yaml "$python" -m quota_scheduler serve >"$folder/serve.log" 2>&1 &
service=$!

status=0
"$tool/bin/schemathesis" --config-file "$root/scripts/schemathesis.toml" run "http://127.0.0.1:$port/openapi.json" --wait-for-schema 60 --seed 13 \
    --header "Authorization: Bearer $token" --checks all --phases examples,coverage,fuzzing,stateful \
    --max-examples "${EXAMPLES:-20}" --continue-on-failure --request-timeout 60 "$@" || status=$?
if grep -q Traceback "$folder/serve.log"; then
    grep -A30 Traceback "$folder/serve.log" | head -60
    status=1
fi
exit $status
