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

# The development set contains the set for running, so it serves both.
wanted=$(cat "requirements/$kind.txt" pyproject.toml scripts/setup.sh | cksum)
for stamp in ".venv/stamp-$kind" .venv/stamp-dev; do
    dev_wanted=$(cat requirements/dev.txt pyproject.toml scripts/setup.sh | cksum)
    case $stamp in *dev) expected=$dev_wanted ;; *) expected=$wanted ;; esac
    if [ -x "$bin/python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$expected" ]; then
        exit 0
    fi
done

echo "setting up .venv ($kind)…" >&2
[ -x "$bin/python" ] || "$python" -m venv .venv
"$bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "requirements/$kind.txt"
"$bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
printf '%s\n' "$wanted" > ".venv/stamp-$kind"
