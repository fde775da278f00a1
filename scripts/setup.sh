#!/bin/sh
# Makes .venv from the pinned, hashed requirements: `setup.sh run` for running, `setup.sh dev` for tests and linters.
# Idempotent: a stamp in .venv holds the hash of what it was made from.
set -eu
cd "$(dirname "$0")/.."

kind=$1
python=${PYTHON:-python3}
bin=.venv/bin

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "bezant-grpc needs Python 3.11 or newer; '$python' is not. Name one: make setup PYTHON=python3.12" >&2
    exit 1
fi

made_from() {
    cat "requirements/$1.txt" pyproject.toml clients/python/pyproject.toml scripts/setup.sh | cksum
}
is_fresh() {
    [ -x "$bin/python" ] && [ -f ".venv/stamp-$1" ] && [ "$(cat ".venv/stamp-$1")" = "$(made_from "$1")" ]
}
# The development set contains the set for running, so it serves both.
if is_fresh "$kind" || is_fresh dev; then
    exit 0
fi

echo "setting up .venv ($kind)…" >&2
# One that an interrupted set-up left without pip is made anew.
if ! "$bin/python" -m pip --version >/dev/null 2>&1 && ! "$python" -m venv --clear .venv; then
    echo "cannot make .venv: '$python' needs its venv module (on Debian: python3-venv)" >&2
    exit 1
fi
"$bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "requirements/$kind.txt"
"$bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps \
    --editable clients/python --editable .
made_from "$kind" > ".venv/stamp-$kind"
