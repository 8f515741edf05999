#!/bin/sh
# Measures the Python client's workers beside those of other queues, in a virtual environment of its own.
#
#   bench-peers.sh [ARGUMENTS OF bench/peers/run.py]
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
venv=target/python/bench-peers
stamp=$venv/.installed
if ! cmp -s bench/peers/requirements.txt "$stamp"; then
    echo "bench-peers: setting up $venv" >&2
    "$python" -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r bench/peers/requirements.txt -e clients/python >&2
    cp bench/peers/requirements.txt "$stamp"
fi
exec "$venv/bin/python" bench/peers/run.py "$@"
