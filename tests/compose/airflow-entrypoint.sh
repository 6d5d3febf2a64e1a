#!/bin/bash
# The part of the Airflow image's entry point that a service of docker-compose.yaml meets.
set -euo pipefail
umask 0002
LD_PRELOAD=/usr/lib/$(uname -m)-linux-gnu/libstdc++.so.6
export LD_PRELOAD
for _ in $(seq 20); do
    airflow db check >/dev/null 2>&1 && break
    sleep 3
done
case ${1:-} in
    bash | python) exec "$@" ;;
    airflow) shift ;;
esac
exec airflow "$@"
