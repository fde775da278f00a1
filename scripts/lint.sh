#!/bin/sh
# Every linter, each named before it runs; the first that fails ends it.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin

step() {
    printf '%s\n' "lint: $1" >&2
    shift
    "$@"
}
shell_scripts() {
    git ls-files -co --exclude-standard -- '*.sh' .ci/run
}

step "ruff check" "$bin/ruff" check --quiet .
step "ruff format" "$bin/ruff" format --check --quiet .
step "mypy" "$bin/mypy" --no-error-summary
step "generated code is fresh" "$bin/python" scripts/generate.py --check
step "the OpenAPI document is fresh" "$bin/python" -m scripts.openapi --check
step "the reference is fresh" "$bin/python" -m scripts.reference --check
step "docs/configuration.md is fresh" "$bin/python" -m scripts.document_configuration --check
step "buf lint" "$bin/buf" lint
step "buf format" "$bin/buf" format --diff --exit-code proto
# What was released. After a release: buf build proto --exclude-source-info --output proto/baseline.binpb
step "buf breaking" "$bin/buf" breaking proto --against proto/baseline.binpb --exclude-imports
# The file names hold no spaces.
# shellcheck disable=SC2046
step "shellcheck" "$bin/shellcheck" $(shell_scripts)
