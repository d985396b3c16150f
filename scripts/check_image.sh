#!/bin/bash
# Build the container image and prove it: not root, read-only root, healthy, refuses to run open, keeps its volume, stops
# cleanly; then scheduler, Prometheus and Alertmanager of examples/compose.yaml together.
# Where no container engine runs, it starts one of its own under .image-check and leaves nothing but a cached base there:
# that needs root and dockerd. Needs docker-compose and curl; where no registry can be reached also mmdebstrap, prometheus
# and prometheus-alertmanager, from which it makes stand-ins.
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

say() { echo "image check: $*"; }
skip() { say "skipped: $*"; exit 77; }
fail() { say "FAILED: $*"; exit 1; }

need() {
    type -P "$1" >/dev/null || skip "$1 is not installed (on Debian: apt-get install $2)"
}

docker() { command "$DOCKER" "$@"; }

compose() {
    docker-compose --project-name quota-check --file examples/compose.yaml "$@"
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
    compose down --volumes
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
    find "$W" -mindepth 1 -maxdepth 1 ! -name base.tar -exec rm -rf {} + 2>/dev/null
    exit $status
}

# The official base where a registry can be reached, else Debian's Python under the same name.
get_base() {
    if timeout 60 "$DOCKER" pull --quiet "$BASE" >/dev/null 2>&1; then
        say "base: the official $BASE"
        return
    fi
    [ -n "$own_engine" ] || skip "$BASE cannot be pulled, and a stand-in is for an engine of our own alone"
    need mmdebstrap mmdebstrap
    [ -f "$W/base.tar" ] || make_base
    docker import --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8' \
        --change 'CMD ["python3"]' "$W/base.tar" "$BASE" >/dev/null
    say "base: a stand-in for $BASE made from Debian packages, as no registry can be reached"
}

make_base() {
    TMPDIR=$W mmdebstrap --quiet --variant=minbase --mode=root \
        --include=python3,python3-venv,python3-pip,ca-certificates,tzdata,netbase \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='ln -sf /usr/bin/python3 "$1/usr/local/bin/python"; ln -sf /usr/bin/python3 "$1/usr/local/bin/python3"' \
        --customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED "$1/etc/resolv.conf" "$1/etc/hostname" "$1/etc/apt/apt.conf.d/99mmdebstrap"' \
        bookworm "$W/part.tar"
    mv "$W/part.tar" "$W/base.tar"
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

# The other programs of the compose file: official, else the ones installed here, under the same names.
get_companion() { # IMAGE PROGRAM VOLUME-FOLDER ARGUMENT…
    local image=$1 program=$2 folder=$3
    shift 3
    if timeout 60 "$DOCKER" pull --quiet "$image" >/dev/null 2>&1; then
        say "$image: official"
        return
    fi
    [ -n "$own_engine" ] || skip "$image cannot be pulled, and a stand-in is for an engine of our own alone"
    need "$program" "$program"
    mkdir -p "$W/$program"
    cp "$(type -P "$program")" "$W/$program/program"
    printf 'FROM %s\nCOPY program /bin/program\nRUN mkdir %s\nENTRYPOINT %s\n' "$BASE" "$folder" \
        "$(printf '%s\n' /bin/program "$@" | sed 's/.*/"&"/' | paste -sd, | sed 's/.*/[&]/')" >"$W/$program/Dockerfile"
    docker build --quiet --tag "$image" "$W/$program" >/dev/null
    say "$image: a stand-in with the $program installed here"
}

target_is_up() {
    curl --silent --max-time 5 --noproxy '*' "http://127.0.0.1:9090/api/v1/query?query=up" | grep '"1"\]' | grep quota-scheduler
}

knows_alertmanager() {
    curl --silent --max-time 5 --noproxy '*' http://127.0.0.1:9090/api/v1/alertmanagers | grep 'alertmanager:9093'
}

compose_stack_comes_up() {
    get_companion "$(image_of prometheus)" prometheus /prometheus \
        --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/prometheus
    get_companion "$(image_of alertmanager)" prometheus-alertmanager /alertmanager \
        --config.file=/etc/alertmanager/alertmanager.yml --storage.path=/alertmanager --cluster.listen-address=
    compose up --detach scheduler prometheus alertmanager >"$W/compose.log" 2>&1 ||
        { tail -20 "$W/compose.log"; compose logs --tail 20; fail "compose up; the logs stand above"; }
    until_true 60 target_is_up || { compose logs --tail 20; fail "Prometheus does not see the scheduler up"; }
    until_true 60 knows_alertmanager || { compose logs --tail 20; fail "Prometheus does not know Alertmanager"; }
    say "compose: the token is made, Prometheus scrapes the scheduler and knows Alertmanager (Grafana is not started)"
    compose down --volumes >/dev/null 2>&1
}

image_of() {
    sed -n "s|^ *image: \(.*/$1:.*\)|\1|p" examples/compose.yaml
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
say "passed"
