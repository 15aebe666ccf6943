# Needs make and Python 3.11 or later with its venv module (Debian: python3-venv); nothing else.

PYTHON ?= python3
WORKERS ?= 2
COVERAGE_MIN ?= 90
UV ?= $(BIN)/uv

VENV := .venv
BIN := $(VENV)/bin
SOURCES := src tests benchmarks

# Hash mode: a package whose file is not the one that was locked does not get in. The second
# install builds the package itself with the hatchling of the first, so it fetches nothing.
define install
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r $(1)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@
endef

# A full environment is enough for the demo, too; a bare one gets what runs the package only.
RUNTIME := $(if $(wildcard $(VENV)/.dev),$(VENV)/.dev,$(VENV)/.runtime)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check lint types coverage format bench peers lock clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.dev  ## Create .venv with everything that development needs

demo: $(RUNTIME)  ## Set up what runs the package, then show the market at work
	$(BIN)/qoex demo

test: $(VENV)/.dev  ## Run all tests, the slow ones included
	$(BIN)/python -m pytest -n $(WORKERS)

check: lint types coverage  ## Check format, lint, types, tests, coverage and the docs' examples

lint: $(VENV)/.dev  ## Check format, lint, and who imports whom
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/lint-imports

types: $(VENV)/.dev  ## Check types, strictly
	$(BIN)/mypy

coverage: $(VENV)/.dev  ## Run all tests; fail when they cover too little (COVERAGE_MIN, per cent)
	$(BIN)/python -m pytest -n $(WORKERS) --junitxml=build/junit.xml \
		--cov --cov-report=term-missing:skip-covered --cov-fail-under=$(COVERAGE_MIN)

format: $(VENV)/.dev  ## Format the sources and mend what the linter can
	$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(VENV)/.dev  ## Time the benchmarks, and the peers if they are installed, in an hour
	$(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only \
		--benchmark-columns=min,median,iqr,rounds
	$(BIN)/qoex bench
	$(BIN)/python -m benchmarks.growth $(GROWTH_OPTIONS)
	$(BIN)/python -m benchmarks.agent $(AGENT_OPTIONS)
	$(if $(wildcard $(PEERS)/.installed),$(MAKE) peers)

# What is compared is optional and not locked, and so is kept out of .venv.
PEERS := .venv-peers

peers: $(PEERS)/.installed  ## Compare with other ways to the equilibrium, in 20 minutes (PEERS_OPTIONS=--quick)
	$(PEERS)/bin/python -m benchmarks.peers $(PEERS_OPTIONS)

$(PEERS)/.installed: pyproject.toml
	rm -rf $(PEERS)
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install -qq --disable-pip-version-check -e '.[peers]'
	@touch $@

# Hashes of every platform's files, and no address of where they came from. Pins stay as they
# are where they can; UPGRADE=1 takes the newest versions. The runtime's pins are the full
# environment's, so that the two never disagree.
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-strip-extras \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) --group build pyproject.toml

lock: $(if $(filter $(BIN)/%,$(UV)),$(VENV)/.dev)  ## Renew requirements/*.txt (UPGRADE=1: newest versions)
	$(LOCK) --extra agent --extra paper --extra dev --output-file requirements/dev.txt
	$(LOCK) --extra agent --extra paper --constraints requirements/dev.txt --output-file requirements/runtime.txt

clean:  ## Remove .venv and all that was built or cached
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "qoex needs Python 3.11 or later; say which with: make PYTHON=python3.11" >&2; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "this Python cannot create environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(VENV)/.created
	$(call install,requirements/runtime.txt)

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/.created
	$(call install,requirements/dev.txt)
