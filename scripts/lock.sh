#!/bin/sh
# Pins what pyproject.toml and requirements/toolchains.in ask for: exact versions with hashes, and no index address. The
# client is installed from this repository, so its dependencies are pinned and itself is not.
set -eu
cd "$(dirname "$0")/.."

compile() {
    .venv/bin/uv pip compile "$@" --quiet --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-emit-package bezant-client --no-header
}
compile pyproject.toml --extra build --output-file requirements/run.txt
compile pyproject.toml --extra dev --constraint requirements/run.txt --output-file requirements/dev.txt
compile requirements/toolchains.in --output-file requirements/toolchains.txt
