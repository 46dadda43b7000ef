# Everything here works in a fresh clone with nothing installed but Python 3.11 and pip.
# `make demo` installs only what the demo needs; `make test` and the rest add the tools and PyTorch.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --progress-bar off -c constraints.txt
WORKERS ?= 2

SET_UP := pyproject.toml clients/python/pyproject.toml constraints.txt
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
BENCH_STAMP := $(VENV)/.installed-bench

.PHONY: help setup demo test recipes-quick laws lint format chaos attack bench warmup soak clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "expected Python 3.11 or newer, got: $$($(PYTHON) --version 2>&1 || true) ($(PYTHON)); say PYTHON=/path/to/python3.11"; exit 1; }
	@echo "== making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "expected the venv module: on Debian, apt-get install python3-venv"; exit 1; }

$(RUN_STAMP): $(SET_UP) | $(BIN)/python
	@echo "== installing the server, the client and the command line"
	$(PIP) -e clients/python -e '.[server,cli]'
	@touch $@

$(DEV_STAMP): $(SET_UP) $(RUN_STAMP)
	@echo "== installing PyTorch and the test tools"
	$(PIP) -e '.[server,cli,valkey,fast,import,train,dev]'
	@touch $@

$(BENCH_STAMP): $(DEV_STAMP)
	@echo "== installing the benchmark peers"
	$(PIP) -e '.[bench]'
	@touch $@

setup: $(DEV_STAMP)  ## install everything that the other targets need, but for the benchmarks' peers

demo: $(RUN_STAMP)  ## serve three trained models, stream sensors, speech and text, show outputs live, end with a table
	@$(BIN)/streamrnn demo

warmup: $(RUN_STAMP)  ## compile the kernels into the cache
	@$(BIN)/streamrnn warmup

lint: $(DEV_STAMP)  ## ruff and mypy, the rules in pyproject.toml
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV_STAMP)  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The kernels are compiled once, before the workers start, so that they load from one cache and do not race for it.
test: $(DEV_STAMP)  ## all tests but the soak
	@$(BIN)/streamrnn warmup
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not soak and not recipes" --durations=10

recipes-quick: $(DEV_STAMP)  ## every recipe from data to a served model, each in seconds; the figures mean nothing
	@$(BIN)/streamrnn warmup
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m recipes --durations=10

laws: $(DEV_STAMP)  ## the laws in every precision, with vectors of 4, 8 and 16 lanes
	@for width in 4 8 16; do \
	  echo "== vectors of $$width lanes"; \
	  STREAMRNN_VECTOR_WIDTH=$$width $(BIN)/streamrnn warmup; \
	  STREAMRNN_VECTOR_WIDTH=$$width $(BIN)/pytest -q -n $(WORKERS) tests/laws tests/kernels/test_tile.py; \
	done

soak: $(DEV_STAMP)  ## minutes of sessions coming and going, and 20,000 simulated worlds; outputs and memory are watched
	$(BIN)/pytest -m soak -s

chaos: $(DEV_STAMP)  ## servers killed while sessions stream, over SQLite and Valkey; every bit is compared
	$(BIN)/python -m benchmarks.chaos

attack: $(DEV_STAMP)  ## hostile clients against a real server: answers, loop stalls, memory, latency of ordinary sessions
	$(BIN)/python -m benchmarks.attack

bench: $(BENCH_STAMP)  ## measure, beside the peers, on this machine
	$(BIN)/python -m benchmarks

clean:  ## remove the virtual environment, caches and build leftovers
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name '*.egg-info' -prune -exec rm -rf {} +
