# make demo   set up what the demo needs, and show the whole job
# make test   set up the tools, and run every check
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
JOBS ?= auto
PYTEST_ARGS ?=
ROWS ?=
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint fmt docs-test bench profile clean

help:
	@echo 'make demo       seed a small app, export it, spoil it, import it back'
	@echo 'make test       every check: lint, types, import walls, tests, the docs'"'"' examples, coverage'
	@echo 'make lint       ruff, mypy, import-linter'
	@echo 'make fmt        mend what ruff can mend'
	@echo 'make docs-test  only the examples of README.md and docs/'
	@echo 'make bench      time and memory beside sqlite3, Django, pg_dump, mariadb-dump; ROWS=100000, ARGS=--help'
	@echo 'make profile    flame graphs of exports and imports in build/profile; ROWS=100000'
	@echo 'make clean      remove what these made, .venv too'

demo: $(VENV)/.installed
	@$(BIN)/python -m examples.catering.demo

test: lint
	$(BIN)/python -m pytest -n $(JOBS) --cov --cov-report=term $(PYTEST_ARGS)

lint: $(VENV)/.tools
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/.tools
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

docs-test: $(VENV)/.tools
	$(BIN)/python -m pytest README.md docs $(PYTEST_ARGS)

bench: $(VENV)/.bench
	@$(BIN)/python -m benchmarks $(if $(ROWS),--rows $(ROWS)) $(ARGS)

profile: $(VENV)/.profile
	@$(BIN)/python -m benchmarks.flames $(if $(ROWS),--rows $(ROWS)) $(ARGS)

# The library with its extras: all that the demo needs.
$(VENV)/.installed: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { \
	  echo "databackup needs Python 3.11 or later, and there is no '$(PYTHON)' here." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "databackup needs Python 3.11 or later; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo 'Setting up $(VENV): the library and its extras'
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "Could not make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --editable '.[cli,zstd]'
	@touch $@

# The tools that test it.
$(VENV)/.tools: $(VENV)/.installed
	@echo 'Setting up $(VENV): the tools for testing'
	@$(PIP) install --group dev
	@touch $@

# What the benchmark is held against, and the profiler.
$(VENV)/.bench $(VENV)/.profile: $(VENV)/.%: $(VENV)/.installed
	@echo 'Setting up $(VENV): the dependency group $*'
	@$(PIP) install --group $*
	@touch $@

clean:
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache \
	  .mypy_cache .pytest_cache .ruff_cache __pycache__
	find src tests examples benchmarks servers docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
