# `make demo` and `make test` need only git, make, a C compiler and Python 3.11+ with venv and headers.
# Every target sets up its environment first, if it is missing or older than the files that define it: .venv, or with
# RELEASE=2026.1 the older OpenStack release's .venv-2026.1.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

RELEASE ?= 2026.2
VENV := .venv$(if $(filter-out 2026.2,$(RELEASE)),-$(RELEASE))
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(RELEASE)
CONNECTOR := $(VENV)/zvm-connector
WORKERS ?= 2
PLATFORM ?=

# Without bytecode each program that a test or a lab starts would compile OpenStack's modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup connector demo demo-stop test test-full test-2026.1 unit functional lint bench docs clean

help:  ## show what can be made
	@grep -E '^[a-z0-9.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) $(CONNECTOR)/.installed  ## make the virtual environments

$(STAMP): pyproject.toml constraints/$(RELEASE).txt tools/setup.sh
	@tools/setup.sh $(VENV) constraints/$(RELEASE).txt
	@touch $@

connector: $(CONNECTOR)/.installed  ## make the z/VM Cloud Connector's environment only

$(CONNECTOR)/.installed: constraints/zvm-connector.txt tools/connector.sh | $(STAMP)
	@tools/connector.sh $(BIN)/python $(CONNECTOR) constraints/zvm-connector.txt
	@touch $@

demo: $(STAMP) $(if $(filter zvm both,$(PLATFORM)),$(CONNECTOR)/.installed)  ## boot a server on a simulated PowerVM system (or PLATFORM=zvm, both) through a real OpenStack
	@$(BIN)/bigiron demo $(if $(PLATFORM),--platform $(PLATFORM))

demo-stop: $(STAMP)  ## end and remove what the demo started
	@$(BIN)/bigiron lab destroy

unit: $(STAMP)  ## unit tests only
	@$(BIN)/pytest -q -n $(WORKERS) tests/unit

functional: $(STAMP) $(CONNECTOR)/.installed  ## real Nova, Neutron and Ceilometer in process, against the simulators
	@$(BIN)/pytest -q -n $(WORKERS) -m "not full" tests/functional --ignore-glob='*test_neutron_*' \
		--ignore-glob='*test_ceilometer_*'
	@$(BIN)/pytest -q -n $(WORKERS) -m "not full" tests/functional/test_neutron_*.py
	@$(BIN)/pytest -q -n $(WORKERS) -m "not full" tests/functional/test_ceilometer_*.py

test: $(STAMP) $(CONNECTOR)/.installed  ## unit, functional, the spawn fault sweep and a tempest smoke: what CI runs
	@tools/test.sh

test-full: $(STAMP) $(CONNECTOR)/.installed  ## the long proofs as well: all sweeps, soak, wide tempest, 2026.1
	@tools/test.sh --full

test-2026.1:  ## the functional tests on OpenStack 2026.1, under eventlet and on threads
	@$(MAKE) --no-print-directory setup RELEASE=2026.1
	@tools/test.sh --release 2026.1

lint: $(STAMP)  ## ruff, mypy and the import contracts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP) $(CONNECTOR)/.installed  ## print the benchmark table and write build/bench.json
	@$(BIN)/python -m benchmarks --out build/bench.json

docs: $(STAMP)  ## build the documentation into docs/_build
	@$(BIN)/sphinx-build -q -W -b html docs docs/_build/html

clean:  ## remove what was built, the environment included
	@rm -rf build .venv .venv-* docs/_build
