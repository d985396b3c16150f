#!/bin/bash
# Build the container image and prove it: not root, read-only root, healthy, refuses to run open, keeps its volume, stops
# cleanly; then scheduler, Prometheus and Alertmanager of examples/compose.yaml together; then two replicas, PostgreSQL,
# balancer, Prometheus and Alertmanager of examples/replicas/compose.yaml, one replica exchanged under way.
# Where no container engine runs, it starts one of its own under .image-check and leaves nothing but cached bases there:
# that needs root and dockerd. Needs docker-compose and curl; where no registry can be reached also mmdebstrap, prometheus
# and prometheus-alertmanager, from which scripts/stand_ins.sh makes what is missing.
# Exit code 77: this machine cannot do it, and the reason is printed.
set -euo pipefail
cd "$(dirname "$0")/.."

BASE=python:3.11-slim-bookworm
IMAGE=quota-scheduler # as examples/compose.yaml names it
PORT=${PORT:-18484}
DATA=/var/lib/quota-scheduler
own_engine=yes
W=$PWD/.image-check
DOCKER=/usr/bin/docker # the client that came with the engine: a newer one may lack the plug-in that builds
[ -x "$DOCKER" ] || DOCKER=docker
export DOCKER_HOST=unix://$W/s DOCKER_BUILDKIT=1
file=examples/compose.yaml # which one `compose` speaks of
. scripts/stand_ins.sh

say() { echo "image check: $*"; }
skip() { say "skipped: $*"; exit 77; }
fail() { say "FAILED: $*"; exit 1; }

need() {
    type -P "$1" >/dev/null || skip "$1 is not installed (on Debian: apt-get install $2)"
}

docker() { command "$DOCKER" "$@"; }

compose() {
    docker-compose --project-name quota-check --file "$file" "$@"
}

# until_true SECONDS COMMAND…: wait for a condition, not for a time.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.5
    done
}

# An engine that already runs here is used as it is, with official images alone; else one of our own.
start_engine() {
    mkdir -p "$W"
    if DOCKER_HOST="" docker info >/dev/null 2>&1; then
        own_engine=
        unset DOCKER_HOST
        say "engine: the one that runs here"
        return
    fi
    [ "$(id -u)" = 0 ] || skip "needs root to run a container engine of its own, as none runs here"
    need dockerd docker.io
    iptables-save >"$W/iptables" 2>/dev/null || true
    forwarding=$(cat /proc/sys/net/ipv4/ip_forward)
    dockerd --host "$DOCKER_HOST" --data-root "$W/data" --exec-root "$W/exec" --pidfile "$W/pid" --ip 127.0.0.1 >"$W/log" 2>&1 &
    until_true 30 docker info || { tail -5 "$W/log"; skip "dockerd cannot run here; its last words stand above"; }
    say "engine: one of our own"
}

remove_ours() {
    for file in examples/compose.yaml examples/replicas/compose.yaml; do compose down --volumes; done
    docker rm --force --volumes quota-check
    docker volume rm quota-check-data
}

# The engine's own bridge, firewall chains and forwarding would outlive it.
stop_engine() {
    local status=$?
    set +e
    remove_ours >/dev/null 2>&1
    if [ -n "$own_engine" ] && [ -s "$W/pid" ]; then
        kill "$(cat "$W/pid")" && wait
        umount "$W"/exec/netns/* 2>/dev/null
        ip link delete docker0 2>/dev/null
        iptables-restore "$W/iptables" 2>/dev/null
        echo "$forwarding" >/proc/sys/net/ipv4/ip_forward
    fi
    find "$W" -mindepth 1 -maxdepth 1 ! -name '*.tar' -exec rm -rf {} + 2>/dev/null
    exit $status
}

build() {
    { echo "[global]"; echo "cert = /run/ca.pem"; [ -z "${PIP_INDEX_URL:-}" ] || echo "index-url = $PIP_INDEX_URL"; } >"$W/pip.conf"
    docker build --progress plain --network host --secret "id=pip_conf,src=$W/pip.conf" \
        --secret "id=ca,src=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" --tag "$IMAGE" . >"$W/build.log" 2>&1 ||
        { tail -30 "$W/build.log"; fail "docker build; its last lines stand above"; }
    say "built, $(docker image inspect --format '{{.Size}}' "$IMAGE" | awk '{printf "%d MB with its base", $1 / 1e6}')"
}

no_traces_of_the_build() {
    docker run --rm --network none --entrypoint sh "$IMAGE" -c \
        'test ! -s /etc/pip.conf && test ! -e /run/ca.pem && test ! -e /src && test ! -e /opt/venv/bin/pip' ||
        fail "the image holds pip, its settings or the sources"
    say "no secret, pip or source file is left in it"
}

refuses_to_run_open() {
    local words
    if words=$(timeout 30 "$DOCKER" run --rm "$IMAGE" 2>&1); then
        fail "it served on all interfaces without a token"
    fi
    [[ $words == *token* && $words != *Traceback* ]] || fail "without a token it said: $words"
    say "without a token it refuses: $words"
}

hardened() {
    docker run --detach --name quota-check --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --memory 256m \
        --pids-limit 128 --ulimit "nofile=$(ulimit -n):$(ulimit -n)" --publish "127.0.0.1:$PORT:8484" \
        --env QUOTA_TOKENS_FILE=$DATA/tokens --volume quota-check-data:$DATA "$IMAGE" >/dev/null
}

has_health() {
    [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]
}

becomes_healthy() {
    until_true 60 has_health quota-check || { docker logs quota-check 2>&1 | tail -20; fail "not healthy after 60 s; its log stands above"; }
}

# Record the same usage event; prints how it was counted.
record() {
    curl --fail --silent --show-error --max-time 5 --noproxy '*' --header "Authorization: Bearer $token" --json "{\"provider\":
        \"anthropic\", \"key\": \"image-check\", \"at\": \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\", \"model\": \"claude-sonnet-5\",
        \"input\": 7}" "http://127.0.0.1:$PORT/v1/usage"
}

stops_cleanly() {
    docker stop --time 10 quota-check >/dev/null
    local code
    code=$(docker inspect --format '{{.State.ExitCode}}' quota-check)
    [ "$code" = 0 ] || { docker logs quota-check 2>&1 | tail -20; fail "SIGTERM ended it with exit code $code; its log stands above"; }
    docker rm quota-check >/dev/null
}

serves_and_keeps_its_volume() {
    docker run --rm --volume quota-check-data:$DATA --volume "$PWD/examples/compose/make_token.py:/make_token.py:ro" \
        --entrypoint python3 "$IMAGE" /make_token.py $DATA >/dev/null
    token=$(docker run --rm --volume quota-check-data:$DATA --entrypoint cat "$IMAGE" $DATA/token)

    hardened
    becomes_healthy
    [ "$(docker exec quota-check id -u)" = 10001 ] || fail "it runs as $(docker exec quota-check id -un)"
    curl --fail --silent --max-time 5 --noproxy '*' "http://127.0.0.1:$PORT/metrics" | grep '^quota_scheduler_build_info' >/dev/null ||
        fail "/metrics has no quota_scheduler_build_info"
    [[ $(record) == *'"accepted":1'* ]] || fail "a usage event was not accepted: $(record)"
    stops_cleanly
    say "healthy as uid 10001 on a read-only root; SIGTERM ends it with exit code 0"

    hardened
    becomes_healthy
    [[ $(record) == *'"duplicate":1'* ]] || fail "a second start on its volume forgot the first one's usage: $(record)"
    stops_cleanly
    say "a second start on the same volume knows the first one's usage"
}

# From Prometheus: how many replicas are up.
targets_up() { # COUNT
    [ "$(curl --silent --max-time 5 --noproxy '*' "http://127.0.0.1:9090/api/v1/query?query=sum(up)" | sed 's/.*,"\(.*\)"\].*/\1/')" = "$1" ]
}

knows_alertmanager() {
    curl --silent --max-time 5 --noproxy '*' http://127.0.0.1:9090/api/v1/alertmanagers | grep 'alertmanager:9093'
}

come_up() { # SERVICE…
    compose up --detach "$@" >"$W/compose.log" 2>&1 ||
        { tail -20 "$W/compose.log"; compose logs --tail 20; fail "compose up of $file; the logs stand above"; }
}

compose_stack_comes_up() {
    get_companion prometheus
    get_companion alertmanager
    come_up scheduler prometheus alertmanager
    until_true 60 targets_up 1 || { compose logs --tail 20; fail "Prometheus does not see the scheduler up"; }
    until_true 60 knows_alertmanager || { compose logs --tail 20; fail "Prometheus does not know Alertmanager"; }
    say "compose: the token is made, Prometheus scrapes the scheduler and knows Alertmanager (Grafana is not started)"
    compose down --volumes >/dev/null 2>&1
}

# Ask the service behind the balancer for a ticket that one token fits in; prints the answer.
submit() { # KEY
    curl --silent --show-error --max-time 15 --noproxy '*' --header "Authorization: Bearer $token" --json "{\"key\": \"$1\",
        \"labels\": {\"provider\": \"anthropic\"}, \"estimate\": {\"output\": 1}}" http://127.0.0.1:8484/v1/tickets
}

balancer_answers() {
    curl --fail --silent --max-time 5 --noproxy '*' http://127.0.0.1:8484/readyz
}

is_ready() { # SERVICE
    compose exec -T "$1" python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8484/readyz', timeout=4)"
}

replicas_come_up() {
    local number failed=0
    file=examples/replicas/compose.yaml
    for companion in postgres haproxy prometheus alertmanager; do get_companion "$companion"; done
    come_up balancer prometheus alertmanager
    until_true 60 targets_up 2 || { compose logs --tail 20; fail "Prometheus does not see both replicas up"; }
    until_true 60 knows_alertmanager || { compose logs --tail 20; fail "Prometheus does not know Alertmanager"; }
    until_true 30 balancer_answers || { compose logs --tail 20 balancer; fail "the balancer has nobody to ask"; }
    token=$(compose exec -T scheduler-1 cat /run/made/token)
    [[ $(submit first) == *'"lease"'* ]] || { compose logs --tail 20; fail "no lease through the balancer: $(submit first)"; }
    say "replicas: secrets are made, both serve from PostgreSQL behind the balancer, Prometheus scrapes both (Grafana is not started)"

    for name in scheduler-1 scheduler-2; do
        compose up --detach --no-deps --force-recreate "$name" >"$W/compose.log" 2>&1 & # a new container, as for a new image
        for number in $(seq 40); do
            [[ $(submit "$name-$number") == *'"lease"'* ]] || { failed=$((failed + 1)); say "unanswered: $(submit "$name-$number")"; }
        done
        wait $! || { tail -20 "$W/compose.log"; fail "$name was not made anew"; }
        until_true 60 is_ready "$name" || { compose logs --tail 20; fail "$name is not ready again"; }
    done
    [ "$failed" = 0 ] || { compose logs --tail 20; fail "$failed of 80 tickets were not answered while replicas were exchanged"; }
    [[ $(submit first) == *'"lease"'* ]] || fail "the first ticket is not known any more"
    say "replicas: both exchanged one after the other, every ticket meanwhile was answered"
    compose down --volumes >/dev/null 2>&1
}

need docker docker.io
need docker-compose docker-compose
need curl curl
[ ${#W} -lt 100 ] || skip "the path of this check-out is too long for a socket"

trap stop_engine EXIT
start_engine
get_base
build
no_traces_of_the_build
refuses_to_run_open
serves_and_keeps_its_volume
compose_stack_comes_up
replicas_come_up
say "passed"
