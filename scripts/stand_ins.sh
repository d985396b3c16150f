#!/bin/bash
# Images that the check of ours needs and no registry gives: made from Debian's packages under the same names. Sourced by
# scripts/check_image.sh, whose variables and functions it uses.

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

# The other programs of the compose files: official, else the ones of Debian, under the same names.
get_companion() { # NAME
    local image
    image=$(sed -n "s|^ *image: \(.*$1:.*\)|\1|p" "$file")
    docker image inspect "$image" >/dev/null 2>&1 && return
    if timeout 60 "$DOCKER" pull --quiet "$image" >/dev/null 2>&1; then
        say "$image: official"
        return
    fi
    [ -n "$own_engine" ] || skip "$image cannot be pulled, and a stand-in is for an engine of our own alone"
    make_companions
    mkdir -p "$W/$1"
    "stand_in_for_$1" "$W/$1" >"$W/$1/Dockerfile"
    docker build --quiet --tag "$image" "$W/$1" >/dev/null
    say "$image: a stand-in with Debian's"
}

# What needs libraries comes from packages, once for all; the image of each differs by what it starts.
make_companions() {
    ! docker image inspect companions >/dev/null 2>&1 || return 0
    need mmdebstrap mmdebstrap
    if [ ! -f "$W/companions.tar" ]; then
        TMPDIR=$W mmdebstrap --quiet --variant=minbase --mode=root --include=postgresql,haproxy,wget \
            --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
            --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$W/part.tar"
        mv "$W/part.tar" "$W/companions.tar"
    fi
    docker import "$W/companions.tar" companions >/dev/null
}

stand_in_for_prometheus() { # FOLDER
    need prometheus prometheus
    cp "$(type -P prometheus)" "$1/program"
    echo 'FROM companions
COPY program /bin/prometheus
RUN mkdir /prometheus
ENTRYPOINT ["/bin/prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]'
}

stand_in_for_alertmanager() { # FOLDER
    need prometheus-alertmanager prometheus-alertmanager
    cp "$(type -P prometheus-alertmanager)" "$1/program"
    cp -r /usr/share/prometheus/alertmanager "$1/templates" # where Debian's looks for those that come with it
    echo 'FROM companions
COPY program /bin/alertmanager
COPY templates /usr/share/prometheus/alertmanager
RUN mkdir /alertmanager
ENTRYPOINT ["/bin/alertmanager", "--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager", "--cluster.listen-address="]'
}

stand_in_for_haproxy() { # FOLDER
    echo 'FROM companions
USER haproxy
ENTRYPOINT ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]'
}

# As the official image does: one role with the password of a file, one database, and nobody without a password by TCP.
stand_in_for_postgres() { # FOLDER
    cat >"$1/start" <<'SH'
#!/bin/bash
set -euo pipefail
export PATH=$(echo /usr/lib/postgresql/*/bin):$PATH PGDATA=/var/lib/postgresql/data
if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -m 0700 "$PGDATA"
    install -d -o postgres /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-host=scram-sha-256 --auth-local=trust --encoding=UTF8 --locale=C.UTF-8
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=" start
    [ "$POSTGRES_DB" = postgres ] || createdb --username="$POSTGRES_USER" --maintenance-db=postgres "$POSTGRES_DB"
    pg_ctl --wait stop
fi
exec postgres -c listen_addresses='*'
SH
    chmod 755 "$1/start"
    echo 'FROM companions
COPY start /bin/start
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["/bin/start"]'
}
