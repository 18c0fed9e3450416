# `make` alone shows the targets. Works with GNU make 3.81 (macOS) and later.
SHELL := /bin/bash
VENV := .venv/bin
STAMP := .venv/.ready
LOCK := uv pip compile --quiet --python-version 3.11 --universal --generate-hashes \
        --no-header --no-emit-index-url --no-annotate
WORKERS ?= logical

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench fmt test-long lock clean

help: ## show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv from the lock file (runs by itself before the others)

$(STAMP): requirements-dev.lock pyproject.toml scripts/setup
	@PYTHON="$(PYTHON)" scripts/setup
	@touch $@

demo: $(STAMP) ## the main job on real purchase history, in under three minutes (ARGS="--speed 600")
	@$(VENV)/lifecycle demo $(ARGS)

test: check ## everything that must hold: check, then all tests
	@$(VENV)/pytest -q -n $(WORKERS) --maxprocesses 4 --dist loadgroup -m "not long" $(ARGS)

check: $(STAMP) ## ruff, mypy --strict, and the project's own journeys, templates and policy
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@$(VENV)/lifecycle check

test-long: $(STAMP) ## the tests that take minutes
	@$(VENV)/pytest -m long $(ARGS)

bench: $(STAMP) ## speed, as ratios measured in one run (ARGS="--only deliver" for one of them)
	@$(VENV)/python -m benchmarks $(ARGS)

fmt: $(STAMP) ## format and mend what ruff can mend
	@$(VENV)/ruff format .
	@$(VENV)/ruff check --fix .

lock: ## lock the newest allowed versions again (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/" >&2; exit 1; }
	@$(LOCK) --upgrade --output-file requirements.lock pyproject.toml
	@$(LOCK) --upgrade --group dev --output-file requirements-dev.lock pyproject.toml

clean: ## remove .venv, caches and the local data of `lifecycle up`
	@rm -rf .venv .lifecycle .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
