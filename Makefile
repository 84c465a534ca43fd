# `make demo` and `make test` set up everything they need; a fresh machine needs Python 3.11, make and a C++ compiler.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export ORT_DISABLE_TELEMETRY := 1

.PHONY: help setup setup-arm demo lint test test-all zoo clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready  ## the Python environment in .venv

$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	touch $@

setup-arm:  ## the cross compiler and the emulator (Debian packages, as root)
	grep -v '^#' android_harness/packages.txt | xargs apt-get install --yes --quiet

lint: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: setup  ## the tests, under 15 minutes on two cores
	$(BIN)/python -m pytest -n 2

test-all: setup  ## the tests and the long matrices
	$(BIN)/python -m pytest -n 2 -m 'slow or not slow'

zoo: setup  ## every network to every format into docs/zoo.md: hours; the same command goes on after a stop
	$(BIN)/python -m edgedeploy.zoo_matrix

clean:  ## everything that make made
	rm -rf $(VENV) build dist artifacts results *.egg-info .pytest_cache .mypy_cache .ruff_cache
