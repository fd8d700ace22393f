# Everything runs in an environment of its own, .venv, which the targets make and fill.
PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo
BIN := $(VENV)/bin

.PHONY: help demo test lint docs clean

help:
	@echo "make demo   simulate a genome, run everything on it, draw pictures into $(DEMO)/pictures"
	@echo "make test   run the tests"
	@echo "make lint   check style and types"
	@echo "make docs   build the documentation into docs/_build/html"
	@echo "make linkcheck   fetch the external links of the documentation"
	@echo "make clean  remove what these made"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.13" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

# .installed-test is the package with its extra `test`, and so on.
$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/hifive-dask demo --out $(DEMO)
	@echo "Look at the pictures in $(abspath $(DEMO))/pictures"

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/.installed-lint
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy

.PHONY: linkcheck
linkcheck: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -q -D nb_execution_mode=off -b linkcheck docs docs/_build/linkcheck

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html
	@echo "Open $(abspath docs/_build/html/index.html)"

clean:
	rm -rf $(VENV) docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
