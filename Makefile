# One word does one task; `make` alone lists them. Every target first sets up what is missing.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first Python that is 3.11 or newer; `make PYTHON=/path/to/python3.11 …` names another.
PYTHON ?= $(shell for p in python3.11 python3; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

VENV := .venv
BIN := $(VENV)/bin
EXTRAS := extract,classify,opensmile,networks,demo,dev
INSTALLED := $(VENV)/.installed
WEIGHTS := $(VENV)/share/avfd/weights
SOURCES := avfd extract classify tests benchmarks scripts
PYTEST_ARGS ?= -n auto --dist worksteal

export AVFD_WEIGHTS ?= $(abspath $(WEIGHTS))

TABLES := 2d3mf-1 2d3mf-2 2d3mf-3 2d3mf-4 2d3mf-4.4 2d3mf-5 2d3mf-6 2d3mf-resnet18 \
  thesis-5.3 thesis-5.4 thesis-5.5 avt2dwf-2 avt2dwf-3 avt2dwf-4 avt2dwf-5 \
  finegrained-1 finegrained-2 finegrained-3 finegrained-figure-5 \
  syncstream-2 syncstream-3 syncstream-4 syncstream-figure-3
# On other data: make table-thesis-5.5 DATASET=demo [TEST_DATASET=NAME] [EMOTIONS=NAME] [ARGS=…].
TABLE_ARGS = $(DATASET:%=--dataset % --stand-ins) $(TEST_DATASET:%=--test-dataset %) \
  $(EMOTIONS:%=--emotions %) $(ARGS)

.PHONY: tables $(TABLES:%=table-%) help venv weights demo test docs check format format-check lint types imports \
  wheel-check bench bench-compiled bench-cache bench-fit bench-extract bench-gpu bench-cli bench-kill bench-bad-media clean clean-venv

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(INSTALLED) ## make .venv and install everything, pinned (once; 2-10 minutes)

# What builds packages goes in first, so that avfd is built with the pinned hatchling and a source
# distribution among funasr's needs (antlr4's runtime) finds wheel and setuptools.
$(INSTALLED): pyproject.toml constraints.txt
	@[ -n "$(PYTHON)" ] || { echo "avfd needs Python 3.11 or newer: neither python3.11 nor" \
	  "python3 is one; install it or name one with make PYTHON=…" >&2; exit 2; }
	@[ -x $(BIN)/python ] || "$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON)" \
	  "could not make $(VENV): does it lack ensurepip (Debian: python3-venv)?" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet -c constraints.txt hatchling editables setuptools wheel
	$(BIN)/python -m pip install --no-build-isolation -c constraints.txt -e '.[$(EXTRAS)]' | tail -n 1
	@touch $@

weights: $(WEIGHTS)/.pulled ## fetch the face detector's model file (once; 230 kB)

$(WEIGHTS)/.pulled: $(INSTALLED)
	@mkdir -p $(WEIGHTS)
	$(BIN)/avfd weights pull blazeface --home $(dir $(WEIGHTS))
	@touch $@

demo: weights ## make a small corpus, extract, fit, evaluate: the whole road
	$(BIN)/avfd demo

tables: weights ## every table of the papers with our numbers; one: make table-thesis-5.5 DATASET=demo
	$(BIN)/avfd table all $(TABLE_ARGS)

$(TABLES:%=table-%): table-%: weights
	$(BIN)/avfd table $* $(TABLE_ARGS)

# Tests run in a process a core: threads of theirs would wait for each other.
test: export OMP_NUM_THREADS ?= 1
test: export OPENBLAS_NUM_THREADS ?= 1
test: weights ## all tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

docs: $(INSTALLED) ## the tests that hold README and docs/ to the truth
	$(BIN)/python -m pytest tests/docs

check: format-check lint types imports test ## what CI runs: format, lint, types, imports, tests

format: $(INSTALLED) ## rewrite the code in the house format
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

format-check: $(INSTALLED)
	$(BIN)/ruff format --check $(SOURCES)

lint: $(INSTALLED) ## ruff
	$(BIN)/ruff check $(SOURCES)

types: $(INSTALLED) ## mypy, strict
	$(BIN)/mypy

imports: $(INSTALLED) ## import-linter: the stages do not know each other
	$(BIN)/lint-imports

wheel-check: $(INSTALLED) ## build the wheel, install it in a clean venv, index from elsewhere
	PYTHON=$(abspath $(BIN))/python bash scripts/check_wheel.sh

bench: bench-cache bench-fit bench-extract bench-cli ## all ratios; writes benchmarks/results/

bench-cache: $(INSTALLED) ## the cache against plain NumPy files
	$(BIN)/python -m benchmarks.cache

bench-fit: $(INSTALLED) ## an epoch from cached columns against .npy files; the time of a table
	$(BIN)/python -m benchmarks.fit

bench-extract: weights ## an extract against its parts; one pass against many; a plain loop; long clips
	$(BIN)/python -m benchmarks.extract
	$(BIN)/python -m benchmarks.long_clips
	$(BIN)/python -m benchmarks.columns

bench-gpu: weights ## seconds of media a second of each network on a GPU, in batches and one at a time
	$(BIN)/python -m benchmarks.gpu

bench-compiled: weights ## networks through torch.compile against the plain ones
	$(BIN)/python -m benchmarks.compiled

bench-cli: $(INSTALLED) ## how long avfd --help takes
	$(BIN)/python -m benchmarks.cli

bench-kill: weights ## kill an extract at 50 random moments
	$(BIN)/python -m benchmarks.kill

bench-bad-media: weights ## 300 damaged files through an extract
	$(BIN)/python -m benchmarks.bad_media

clean: ## remove caches and built files
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

clean-venv: ## remove .venv
	rm -rf $(VENV)
