# Every command of the project. `make` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(if $(shell command -v $(p) 2>/dev/null),$(p))))
VENV := .venv
PY := $(VENV)/bin/python
BENCHES := demo server bridge survey analysis messages operate viewer
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-test
export PREFECT_SERVER_ANALYTICS_ENABLED=false
export DO_NOT_TRACK=1

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "moodflow needs Python 3.11 or newer; found: $$($(PYTHON) --version 2>&1 || echo none). Install it, or name one: make demo PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing. On Debian or Ubuntu: apt-get install python3-venv"; exit 2; }
	@$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing (a minute or two) ..."
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@$(PY) -m flows.commands.prefect_seed
	@touch $@

$(TEST_STAMP): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing with the test tools (a few minutes) ..."
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[test]'
	@$(PY) -m flows.commands.prefect_seed
	@touch $@ $(STAMP)

install: $(STAMP) ## create .venv and install

demo: $(STAMP) ## the whole path, once (DATA=study.csv PERSONS=n KEEP=1)
	@$(PY) -m flows demo $(if $(DATA),--data "$(DATA)") $(if $(PERSONS),--persons $(PERSONS)) $(if $(KEEP),--keep)

test: $(TEST_STAMP) ## the tests
	@$(PY) -m pytest -n 2 --dist loadgroup

lint: $(TEST_STAMP) ## ruff, format, types, import rules
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-cache

check: lint test ## everything CI checks
	@$(PY) -m tests.audit --within-check

campaign: $(TEST_STAMP) ## kill, fuzz and soak campaigns in full (hours)
	@MOODFLOW_CAMPAIGN=full $(PY) -m pytest -m campaign --timeout 14400

bench: $(addprefix bench-,$(BENCHES)) ## all benchmarks, JSON to build/bench

bench-%: $(TEST_STAMP)
	@mkdir -p build/bench
	@$(PY) -m tests.benchmarks.$*

report: $(STAMP) ## refresh the numbers of REPORT.md from the last demo run (CHECK=1 only compares)
	@$(PY) -m flows report $(if $(CHECK),--check)

screenshots: $(TEST_STAMP) ## pictures of the running stack (WEBAPP=dir for the official web app)
	@$(PY) -m flows screenshots $(if $(WEBAPP),--webapp "$(WEBAPP)")

audit: $(TEST_STAMP) ## known vulnerabilities in dependencies (asks an advisory service: needs the internet)
	@$(PY) -m tests.audit

clean: ## remove what was built; .moodflow (the answers) stays
	@rm -rf build dist .mypy_cache .ruff_cache .hypothesis *.egg-info

.PHONY: help install demo test lint check campaign bench report screenshots audit clean
