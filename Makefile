# Everything that is done with this project. `make` lists it.
#
#   PYTHON=python3.12   which Python makes the virtualenv (3.11 or later)
#   SECONDS=600         how long `make soak` sends requests, and reads and runs random flows
#   KILLS=1000          how often `make soak` kills a gateway, a bit more than a second each
#   ARGS=--quick        what `make bench` passes on
#   PROCESSES=1         in how many processes `make test` runs them; most of their time is waiting

PYTHON ?= python3
SECONDS ?= 600
KILLS ?= 1000
ARGS ?=
PROCESSES ?= 3

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
STAMP := .setup-stamp
BENCH_STAMP := .bench-stamp

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test check lint docs format bench soak clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: $(STAMP) ## make the virtualenv .venv and install the project with its tools into it

$(PY):
	@echo "==> making the virtualenv $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

$(STAMP): $(PY) pyproject.toml constraints.txt
	@echo "==> installing the project and its tools into $(VENV)"
	@$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP) ## start sample functions and a gateway, show requests and their answers, stop everything
	@$(PY) -m demo

test: $(STAMP) ## run the tests
	@echo "==> tests"
	@$(PY) -m pytest -n $(PROCESSES) --dist loadfile

check: lint docs test ## everything that CI checks: format, lint, types, imports, docs, tests

lint: $(STAMP) ## format, lint, types and import order, without the tests
	@echo "==> format"
	@$(VENV)/bin/ruff format --check .
	@echo "==> lint"
	@$(VENV)/bin/ruff check .
	@echo "==> types"
	@$(VENV)/bin/pyright
	@echo "==> import order"
	@$(VENV)/bin/lint-imports

docs: $(STAMP) ## check that the documentation is complete and its examples work
	@echo "==> docs"
	@$(PY) -m pytest tests/docs

format: $(STAMP) ## put the code in its canonical form
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

$(BENCH_STAMP): $(STAMP)
	@echo "==> installing what the benchmark compares with"
	@$(PIP) install --quiet -c constraints.txt -e '.[dev,bench]'
	@$(PIP) install --quiet -c constraints.txt -e '.[peers]' \
		|| echo "==> the durable engines cannot all be installed: what is missing is left out of the comparison"
	@touch $@

bench: $(BENCH_STAMP) ## measure what a request costs, beside peers (Linux; needs wrk and nginx; about twelve minutes)
	@command -v bun >/dev/null || test -e bench/.cache/node_modules/@oven || $(PY) -m bench --fetch \
		|| echo "==> no Bun: it is left out of the comparison"
	@$(PY) -m bench $(ARGS)

soak: $(STAMP) ## long campaigns: random flows against the model, random requests and texts for SECONDS each, KILLS kills
	@echo "==> random flows"
	@HYPOTHESIS_PROFILE=soak $(PY) -m pytest tests/kernel tests/hosts tests/model tests/formats
	@echo "==> random requests for $(SECONDS) seconds"
	@$(PY) -m tests.soak.fuzz_http --seconds $(SECONDS)
	@echo "==> $(KILLS) kills of a gateway with durable runs"
	@$(PY) -m tests.soak.crash --kills $(KILLS)
	@echo "==> random texts for $(SECONDS) seconds"
	@$(PY) -m tests.soak.fuzz_language --seconds $(SECONDS)

clean: ## remove everything that was made here: the virtualenv, caches, what the benchmark fetched
	@rm -rf $(VENV) $(STAMP) $(BENCH_STAMP) .pytest_cache .ruff_cache .hypothesis .import_linter_cache bench/.cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
