# The commands of a checkout. `make` lists them. Needed: python3 >= 3.11, python3-venv, make; everything else comes with `setup`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
PYPROJECTS := proto/pyproject.toml agent/pyproject.toml collector/pyproject.toml
BUILD_HOOKS := collector/hatch_build.py collector/package-lock.json
EDITABLE := --quiet --disable-pip-version-check --no-deps --no-build-isolation
LOCKS := dev agent-test agent collector
UV := .venv-lock/bin/uv
export PYTHON

.PHONY: help setup demo test test-agent check e2e chaos services damage power-loss bench proto docs lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready  ## make .venv with everything in it (again: only what changed)
	@$(if $(filter setup,$(MAKECMDGOALS)),ls $(BIN)/watchdesk $(BIN)/watchdesk-agent $(BIN)/watchdesk-collector,:)

demo: setup  ## run the whole product on this machine; ARGS="--for 60s" ends by itself
	@$(BIN)/watchdesk demo $(ARGS)

test: setup test-agent  ## run the tests, and a short slice of the end-to-end ones; ARGS go to pytest
	@echo "==> tests"
	@$(BIN)/pytest -q -n 2 --dist loadfile --ignore tests/e2e $(ARGS) tests
	@echo "==> end-to-end tests, short"
	@$(BIN)/pytest -q tests/e2e

test-agent: .venv-agent/.ready  ## run the agent's tests where only the agent is installed
	@echo "==> the agent's tests, with nothing but the agent installed"
	@.venv-agent/bin/pytest -q tests/agent

check: setup  ## format, lint, types, imports, wire, generated files
	@echo "==> format";    $(BIN)/ruff format --check
	@echo "==> lint";      $(BIN)/ruff check
	@echo "==> types";     $(BIN)/mypy
	@echo "==> imports";   $(BIN)/lint-imports
	@echo "==> wire";      $(BIN)/buf lint proto; proto/breaking.sh $(BIN)/buf
	@echo "==> generated"; $(BIN)/python proto/generate.py --check; $(BIN)/python docs/generate.py --check

e2e: setup  ## run the end-to-end scenarios in full: outages of minutes, dozens of kill -9 (about 20 minutes)
	@$(BIN)/pytest -q -s --full tests/e2e $(ARGS)

chaos: setup  ## break agents and a collector 500 times, and count what is lost or doubled (about 30 minutes; as root also with full disks)
	@$(BIN)/watchdesk selftest --rounds 500 $(ARGS)

services: setup  ## test the systemd units under a real systemd, as root (about 2 minutes; needs mmdebstrap and systemd-container)
	@tests/systemd/run.sh $(ARGS)

damage: setup  ## damage the write-ahead log in 9,000 ways and start on each (about 15 minutes)
	@$(BIN)/python tests/chaos/wal_sweep.py $(ARGS)

power-loss: setup  ## cut the power of a virtual machine with the collector in it, 20 times, as root (10 to 30 minutes; needs qemu-system-x86)
	@$(BIN)/python tests/chaos/power_loss.py $(ARGS)

bench: setup  ## measure footprint, ingest, the wire, sizes, growth and fleets, some beside peers (more than an hour; see docs/benchmarks.md)
	@for bench in bench/bench_*.py; do echo "==> $$bench"; $(BIN)/python $$bench; done

proto: setup  ## regenerate what is made from the wire and the samplers
	@$(BIN)/python proto/generate.py
	@$(BIN)/python -m watchdesk_agent.catalogue .

docs: setup  ## regenerate the generated pages of docs/
	@$(BIN)/python docs/generate.py

lock: .venv-lock/.ready  ## resolve requirements/*.in anew into the hashed lock files
	@cd requirements; for name in $(LOCKS); do echo "==> requirements/$$name.lock"; \
	  [ $$name = dev ] && constraint= || constraint="--constraint dev.lock"; \
	  ../$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade $$constraint \
	    --no-emit-package watchdesk-proto --no-emit-package watchdesk-agent --no-emit-package watchdesk-collector -o $$name.lock $$name.in; done

clean:  ## remove what setup, demo and the tools left
	@rm -rf .venv .venv-agent .venv-lock .demo .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/.packages: requirements/dev.lock requirements/install.sh
	@requirements/install.sh .venv $<
	@touch $@

.venv/.ready: .venv/.packages $(PYPROJECTS) $(BUILD_HOOKS)
	@echo "==> .venv: the agent, the collector and what they share, editable"
	@$(BIN)/pip install $(EDITABLE) -e proto -e agent -e collector
	@touch $@

.venv-agent/.packages: requirements/agent-test.lock requirements/install.sh
	@requirements/install.sh .venv-agent $<
	@touch $@

.venv-agent/.ready: .venv-agent/.packages proto/pyproject.toml agent/pyproject.toml
	@.venv-agent/bin/pip install $(EDITABLE) -e proto -e agent
	@touch $@

.venv-lock/.ready: Makefile
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	@touch $@
