# `make demo` and `make test` set up everything they need; a fresh machine needs Python 3.11, make and a C++ compiler.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
export ORT_DISABLE_TELEMETRY := 1

.PHONY: help setup setup-arm demo docs lint test test-all gate gate-update studies overhead zoo strangers accuracy versus \
        leave-one-out explain-study hostile clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready  ## the Python environment in .venv

$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	touch $@

setup-arm:  ## the Debian packages of the Arm side: cross compiler, emulator, adb (asks for root)
	sh android_harness/install_packages.sh

demo: setup  ## the main job: TopFormer-tiny to three runtimes, float and int8, then measured
	$(BIN)/edgedeploy export topformer-tiny --target \
	    tflite-fp32,tflite-int8,onnx-fp32,onnx-int8,executorch-fp32,executorch-int8
	$(BIN)/edgedeploy bench
	@echo; echo "the artifacts, each with its manifest:"; ls -d artifacts/topformer-tiny/*/

lint: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: setup setup-arm  ## the tests, about 18 minutes on two cores
	$(BIN)/python -m pytest -n $(JOBS)

test-all: setup setup-arm  ## the tests and the long matrices
	$(BIN)/python -m pytest -n $(JOBS) -m 'slow or not slow'

docs: setup  ## docs/commands.md, from the commands' help texts
	$(BIN)/python -m edgedeploy.cli.reference > docs/commands.md

gate: setup setup-arm  ## the Arm instructions of small artifacts against the baseline in the tree
	$(BIN)/python -m edgedeploy.studies.gate build/instructions.json
	$(BIN)/edgedeploy compare --require-trust .ci/instructions.json build/instructions.json

gate-update: setup setup-arm  ## that baseline anew, after a change on purpose
	$(BIN)/python -m edgedeploy.studies.gate .ci/instructions.json

studies: setup  ## the figures of docs/verdicts.md: false alarms and found slowdowns, simulated
	$(BIN)/python -m edgedeploy.studies.verdicts simulate

overhead: setup  ## the wall time of an export over that of the bare converter calls it makes
	$(BIN)/python -m edgedeploy.studies.converter_overhead

zoo: setup  ## every network to every format into docs/zoo.md: hours; the same command goes on after a stop
	$(BIN)/python -m edgedeploy.studies.zoo_matrix

strangers: setup  ## networks of others to every format into docs/strangers.md: hours; goes on after a stop
	$(BIN)/python -m edgedeploy.studies.strangers

accuracy: setup  ## networks trained from scratch, float beside int8, into docs/accuracy.md: hours; goes on after a stop
	$(BIN)/python -m edgedeploy.studies.accuracy

versus: setup setup-arm  ## the tools' documented path beside ours, into benchmarks/RESULTS.md: hours; goes on after a stop
	$(BIN)/python -m edgedeploy.studies.versus

leave-one-out: setup setup-arm  ## what each rewrite gains alone, into benchmarks/RESULTS.md; after make versus
	$(BIN)/python -m edgedeploy.studies.versus --leave-one-out

explain-study: setup  ## what explain predicts against what the runtimes report, for all artifacts below ./artifacts
	$(BIN)/python -m edgedeploy.studies.delegates

hostile: setup  ## 500 commands under bad input, bad surroundings and signals
	$(BIN)/python -m edgedeploy.studies.hostile --tries 500

clean:  ## everything that make made
	rm -rf $(VENV) build dist artifacts results *.egg-info .pytest_cache .mypy_cache .ruff_cache
