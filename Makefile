# Every task of the project. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test lint format generate lock bench clean

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# A set-up is done when its stamp carries the hash of what it was made from: running it again costs nothing.
setup: ## make .venv with what running needs
	@PYTHON=$(PYTHON) scripts/setup.sh run

setup-dev: ## make .venv with what tests and linters need too
	@PYTHON=$(PYTHON) scripts/setup.sh dev

run: setup ## start the paper gateway, the server and Envoy
	@$(BIN)/bezant up --paper

test: setup-dev ## run every test
	@$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

lint: setup-dev ## ruff, mypy, buf, shellcheck, freshness of generated code
	@scripts/lint.sh

format: setup-dev ## format everything
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix-only --quiet . && $(BIN)/buf format -w proto

generate: setup-dev ## make what is made from proto/ (stubs, Envoy's descriptor set, docs) and from the settings
	@$(BIN)/python scripts/generate.py
	@$(BIN)/python -m scripts.openapi
	@$(BIN)/python -m scripts.reference
	@$(BIN)/python -m scripts.document_configuration

lock: setup-dev ## pin the requirements anew, with hashes
	@scripts/lock.sh

bench: setup-dev ## measure against a do-nothing handler and the bare gateway
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.typed
	@$(BIN)/python -m bench.streams
	@$(BIN)/python -m bench.under_limits

clean: ## remove what set-up and runs made
	rm -rf $(VENV) .run third_party clients/java/target
	cd clients/typescript && rm -rf node_modules dist build src/gen examples/browser/dist
