# Everything a newcomer needs: make demo, make test. PIP_ARGS chooses other package builds (README, "Set-up").
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin

.PHONY: setup demo test test-fast check clean

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

clean:
	rm -rf .venv .inspector build dist *.egg-info
