#!/bin/bash
# Proves docker-compose.yaml: build, start in order, run the example's five tasks, count what they left, take all down.
#   COMPOSE="docker compose"   the command to use (default: docker-compose if there is one)
#   PYTHON=/path/to/python     a Python 3.12 to put into the stand-in image (default: the first on PATH)
#   WORK=/path                 where images and data of its own daemon go (default: a new folder below /tmp)
#   KEEP=1                     leave images and the daemon's data in WORK, so that the next proof starts there
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
airflow_image=$(sed -n 's/^FROM \([^ ]*\)$/\1/p' "$root/Dockerfile" | tail -1)
postgres_image=$(sed -n 's/^ *image: \(postgres:.*\)$/\1/p' "$root/docker-compose.yaml")
daemon=

say() { printf '%s  %s\n' "$(date -u +%T)" "$*"; }
fail() { echo "prove.sh: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$1 is missing: ${2:-apt-get install $1}"; }

need docker "apt-get install docker.io"
need curl
need python3
if [ -z "${COMPOSE:-}" ]; then
    COMPOSE=docker-compose
    command -v docker-compose >/dev/null || COMPOSE="docker compose"
fi
$COMPOSE version >/dev/null 2>&1 || fail "$COMPOSE does not work: apt-get install docker-compose, or set COMPOSE"
work=${WORK:-$(mktemp -d -t doeks-compose-XXXXXX)}
mkdir -p "$work"

compose() { (cd "$root" && $COMPOSE -p doeks-proof "$@"); }

clean() {
    code=$?
    trap - EXIT
    [ "$code" = 0 ] || compose logs --tail 40 || true
    compose down -v >/dev/null 2>&1 || true
    if [ -n "$daemon" ]; then
        kill "$daemon" && tail --pid "$daemon" -f /dev/null
        [ -n "${KEEP:-}" ] || rm -rf "$work"
    fi
    exit "$code"
}

start_daemon() {
    [ "$(id -u)" = 0 ] || fail "no Docker daemon answers, and only root can start one"
    need dockerd "apt-get install docker.io"
    need iptables
    export DOCKER_HOST=unix://$work/docker.sock
    dockerd --data-root "$work/docker" --exec-root "$work/exec" --pidfile "$work/docker.pid" --host "$DOCKER_HOST" \
        >"$work/dockerd.log" 2>&1 &
    daemon=$!
    for _ in $(seq 30); do
        docker info >/dev/null 2>&1 && return
        sleep 1
    done
    fail "dockerd does not start: $(tail -3 "$work/dockerd.log")"
}

# Debian of this machine, with its registries and certificates.
make_debian() {
    need debootstrap
    # shellcheck source=/dev/null
    mirror=$(apt-get indextargets --format '$(SITE)' "Codename: $(. /etc/os-release && echo "$VERSION_CODENAME")" | head -1)
    # shellcheck source=/dev/null
    (. /etc/os-release && debootstrap --variant=minbase --include=ca-certificates "$VERSION_CODENAME" "$work/debian" "$mirror") \
        >"$work/debootstrap.log" || fail "debootstrap: $(tail -3 "$work/debootstrap.log")"
    cp /etc/ssl/certs/ca-certificates.crt "$work/debian/etc/ssl/certs/"
    index=${UV_INDEX_URL:-${PIP_INDEX_URL:-$(python3 -m pip config get global.index-url 2>/dev/null || true)}}
    if [ -n "$index" ]; then
        mkdir -p "$work/debian/etc/uv"
        printf '[global]\nindex-url = %s\n' "$index" >"$work/debian/etc/pip.conf"
        printf 'index-url = "%s"\n' "$index" >"$work/debian/etc/uv/uv.toml"
    fi
    tar -C "$work/debian" -c . | docker import - doeks-proof/debian >/dev/null
    rm -rf "$work/debian"
}

# stand_in IMAGE NAME: a local image under a pinned name.
stand_in() {
    [ -n "$daemon" ] || fail "$1 cannot be pulled; stop this machine's Docker, so that a daemon of the proof's own takes stand-ins"
    say "no registry gives us $1: making a stand-in"
    mkdir -p "$work/context"
    if [ "$2" = airflow ]; then
        python=$(sh "$root/requirements/find-python.sh" "${PYTHON:-python3.12}") || fail "the stand-in needs a Python 3.12: set PYTHON"
        prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
        [ "$prefix" != /usr ] || fail "the stand-in needs a Python 3.12 in a folder of its own, as pyenv makes it: set PYTHON"
        mkdir -p "$work/context/python"
        tar -C "$prefix" --exclude=site-packages --exclude=test --exclude=share -c . | tar -C "$work/context/python" -x
    fi
    docker image inspect doeks-proof/debian >/dev/null 2>&1 || make_debian
    cp "$here"/*-entrypoint.sh "$root/requirements/uv.txt" "$work/context/"
    nice docker build --quiet --tag "$1" --build-arg "AIRFLOW_VERSION=$(expr "$1" : '.*:\([0-9.]*\)')" \
        --file "$here/$2.Dockerfile" "$work/context" >"$work/$2.log" 2>&1 || fail "stand-in for $1: $(tail -5 "$work/$2.log")"
    rm -rf "$work/context"
}

trap clean EXIT
docker info >/dev/null 2>&1 || start_daemon
say "$(docker version --format 'Docker {{.Server.Version}}'), $($COMPOSE version --short 2>/dev/null | sed 's/^/Compose /')"
for pinned in "$airflow_image airflow" "$postgres_image postgres"; do
    # shellcheck disable=SC2086
    set -- $pinned
    docker image inspect "$1" >/dev/null 2>&1 || docker pull --quiet "$1" >/dev/null 2>&1 || stand_in "$1" "$2"
    say "image $1: $(docker image inspect --format '{{.Id}}' "$1" | cut -c 8-19)"
done

compose down -v >/dev/null 2>&1 || true
say "building airflow-doeks from Dockerfile"
compose build >"$work/build.log" 2>&1 || fail "build: $(tail -15 "$work/build.log")"
say "$COMPOSE up"
compose up -d >"$work/up.log" 2>&1 || fail "up: $(tail -15 "$work/up.log")"
python3 "$here/look.py" $COMPOSE -p doeks-proof --project-directory "$root" -f "$root/docker-compose.yaml"
kept() { compose exec -T airflow-apiserver bash -c 'cd /opt/airflow; cat secrets/* | sha256sum; find doeks/ledger -name "*.json" | sort'; }
before=$(kept)
compose down >"$work/down.log" 2>&1
compose up -d >"$work/up.log" 2>&1 || fail "up again: $(tail -15 "$work/up.log")"
[ "$(kept)" = "$before" ] || fail "down and up again changed secrets or records"
say "down and up again: the same secrets, the same $(grep -c json <<<"$before") records"
compose down -v >"$work/down.log" 2>&1
left=$(docker volume ls --quiet --filter name=doeks-proof; docker ps --all --quiet --filter name=doeks-proof)
[ -z "$left" ] || fail "down -v left: $left"
say "down -v left no container and no volume"
say "proven"
