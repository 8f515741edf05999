#!/bin/sh
# Checks and tests the Python client in a virtual environment of its own.
#
#   python.sh setup   the environment, anew where pyproject.toml has changed
#   python.sh check   ruff and mypy
#   python.sh test    that, then pytest, with arguments for it
#   python.sh stubs   writes src/postq/v1 anew, after a change of proto/
#
# PYTHON names the interpreter (python3); each has its own environment below target/python.
set -eu

cd "$(dirname "$0")/../clients/python"
python=${PYTHON:-python3}
name=$("$python" -c 'import platform; print(platform.python_version())')
venv=$(cd ../.. && pwd)/target/python/$name
stamp=$venv/.installed

setup() {
    if [ -f "$stamp" ] && cmp -s pyproject.toml "$stamp"; then
        return 0
    fi
    echo "python: setting up $venv"
    "$python" -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -e '.[sql,django,yaml,otel,dev]'
    cp pyproject.toml "$stamp"
}

check() {
    "$venv/bin/ruff" format --check --config pyproject.toml . ../../bench/peers
    "$venv/bin/ruff" check --config pyproject.toml . ../../bench/peers
    "$venv/bin/mypy"
}

what=${1:-test}
[ $# -eq 0 ] || shift
case "$what" in
setup) setup ;;
check) setup && check ;;
test) setup && check && "$venv/bin/pytest" "$@" ;;
stubs) setup && "$venv/bin/python" tools/generate.py ;;
*)
    echo "usage: $0 setup|check|test|stubs" >&2
    exit 1
    ;;
esac
