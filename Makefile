# Everything a newcomer needs: make demo, make test. PIP_ARGS chooses other package builds (README, "Set-up").
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
PEERS ?= .venv-peers

.PHONY: setup demo test test-fast check peers clean

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(PIP_ARGS) --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/inspector demo

test: setup
	$(BIN)/python -m pytest tests

test-fast: setup
	$(BIN)/python -m pytest tests -m 'not slow'

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Anomalib and what it needs, about 6 GB, in an environment of its own; then its teacher is held against ours.
peers: setup $(PEERS)/.installed
	cd benchmarks && $(abspath $(BIN))/python -m peers.teacher_parity --peers $(abspath $(PEERS))

$(PEERS)/.installed:
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet $(PIP_ARGS) torch==2.14.1 torchvision==0.29.1
	$(PEERS)/bin/python -m pip install --quiet $(PIP_ARGS) anomalib==2.7.0 openvino==2026.4.1
	touch $@

clean:
	rm -rf .venv .venv-peers .inspector build dist *.egg-info
