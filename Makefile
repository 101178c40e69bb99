# What one does with a checkout. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CODE := $(wildcard conf metrics models jobs gateway commands bench docs run.py clients/python/src)
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-input --require-hashes
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-annotate --upgrade --quiet

.DEFAULT_GOAL := help
.PHONY: help run test check types bench fuzz pictures lock clean

help: ## this list
	@echo "Bellwire: make TARGET [PYTHON=python3.12]"; echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

run: $(VENV)/.installed ## install what is needed into .venv (first time only) and start on http://127.0.0.1:8080
	@[ -e .env ] || export BELLWIRE_LOG_LEVEL="$${BELLWIRE_LOG_LEVEL:-warning}"; exec $(BIN)/python run.py serve

test: $(VENV)/.installed-dev ## every test; installs the test dependencies and system packages first
	@sh .ci/system-packages
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.installed-dev ## formatter, linter, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@$(MAKE) --no-print-directory types

types: $(VENV)/.installed-dev ## mypy alone
	$(BIN)/mypy --strict $(CODE)

bench: $(VENV)/.installed-dev ## the benchmarks: one table, and a file in bench/results/
	@exec $(BIN)/python -m bench

fuzz: $(VENV)/.installed-dev ## attack it for some minutes: a million generated and malformed requests, hostile accounts, slow readers
	@sh .ci/system-packages
	GENERATORS=all $(BIN)/pytest -n 2 --dist loadfile tests/gateway/apidoc/test_schemathesis.py tests/gateway/apidoc/test_generators.py
	$(BIN)/python -m bench.hostile.fuzz
	@exec $(BIN)/python -m bench.hostile

pictures: $(VENV)/.installed-dev ## draw the README's pictures of the page anew
	@exec $(BIN)/python -m docs.pictures

lock: $(VENV)/.installed ## pin the newest allowed versions, with hashes, in requirements*.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet uv
	$(LOCK) --output-file requirements.lock
	$(LOCK) --group dev --output-file requirements-dev.lock

clean: ## remove .venv and caches; data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

# A stamp is newer than the lock file it was installed from, so nothing is installed twice.
$(VENV)/.installed: requirements.lock | $(BIN)/pip
	@echo "==> Installing Bellwire's dependencies into $(VENV) (once; up to a minute)"
	@$(PIP_INSTALL) -r requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock | $(BIN)/pip
	@echo "==> Installing the development dependencies into $(VENV) (once; a minute or two)"
	@$(PIP_INSTALL) -r requirements-dev.lock
	@touch $@ $(VENV)/.installed

$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer," \
		"or name it: make PYTHON=/path/to/python3"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { $(PYTHON) --version; \
		echo "Bellwire needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh .ci/python-venv
	@echo "==> Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
