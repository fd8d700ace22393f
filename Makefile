# Everything runs in an environment of its own, .venv, which the targets make and fill.
PYTHON ?= python3
VENV ?= .venv
LOWEST ?= .venv-lowest
DEMO ?= demo
BIN := $(VENV)/bin

# What meets every dependency: stores, readers, URLs, kernels, maps, pictures, clusters, commands.
ESSENTIAL := $(patsubst %,tests/test_%.py,foundation partition fend digest features reads counts bam \
	cool cool_export lengths remote hifive_files filtering distance express binning heatmap heatmap_store \
	accessor plot cluster mpi cli packaging)
# Of old versions it does not matter what they announce.
QUIET := -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning -W ignore::FutureWarning \
	-W "ignore:Running on a single-machine scheduler:UserWarning"

.PHONY: help demo test test-lowest lint docs clean

help:
	@echo "make demo   simulate a genome, run everything on it, draw pictures into $(DEMO)/pictures"
	@echo "make test   run the tests"
	@echo "make lint   check style and types"
	@echo "make test-lowest   run the essential tests with the oldest versions that are declared"
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

$(LOWEST)/.installed: pyproject.toml
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python \
		--resolution lowest-direct -e '.[test]'
	@touch $@

test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python -m pytest -n auto --dist worksteal $(QUIET) $(ESSENTIAL)

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
	rm -rf $(VENV) $(LOWEST) docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
