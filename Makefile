# Every chore is one short target; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
CORES ?= 4
BIN := .venv/bin
READY := .venv/ready

.PHONY: help setup evidence tables dag pictures test test-slow test-components test-nixpkgs test-workers slurm-up slurm-down validator bench bench-gpu docs links check format generated embedded lock clean

help: ## List the targets
	@sed -nE 's/^## (.*)/\n\1/p; s/^([a-z-]+):[^#]*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 19
	@echo && echo "New here? make evidence: about three minutes the first time, everything included."

## For everyone

setup: $(READY) ## Make .venv from the hash-locked requirements (one to three minutes, once)

$(READY): requirements/cpu.txt requirements/public.txt pyproject.toml scripts/setup
	@scripts/setup $(PYTHON)

evidence: $(READY) ## Run the whole pipeline on the embedded checkpoint (a minute or two)
	@$(BIN)/snakemake --cores $(CORES) evidence

tables: $(READY) ## Measure the checkpoint as the paper does (minutes of CPU; docs/science.md)
	@$(BIN)/snakemake --cores $(CORES) tables

clean: ## Remove runs, bundles, results and Snakemake's state; keeps .venv
	@rm -rf runs evidence results .snakemake

## For who changes something
PYTHON_CODE := src tests bench docs scripts/pictures

check: $(READY) ## Check format, lint, types and the documentation
	@$(BIN)/ruff format --check $(PYTHON_CODE)
	@$(BIN)/ruff check $(PYTHON_CODE)
	@$(BIN)/snakefmt --check Snakefile workflow/rules
	@$(BIN)/mypy
	@$(MAKE) docs

format: $(READY) ## Format the sources
	@$(BIN)/ruff check --fix --select I $(PYTHON_CODE)
	@$(BIN)/ruff format $(PYTHON_CODE)
	@$(BIN)/snakefmt Snakefile workflow/rules

# A link that leads nowhere, a picture or name that is not there is an error, also one that an earlier build saw.
SPHINX := $(BIN)/sphinx-build --fresh-env --quiet --fail-on-warning --keep-going -d docs/_build/doctrees

docs: $(READY) ## Build the documentation, and say where it is
	@$(SPHINX) docs docs/_build/html
	@echo "docs/_build/html/index.html"

links: $(READY) ## Ask for every page that the documentation links to on the internet
	@$(SPHINX) -b linkcheck docs docs/_build/links

test: $(READY) ## Run the tests that need no extra component
	@$(BIN)/pytest -n logical --dist loadfile -m "not slow and not slurm and not browser and not nix and not workers and not gpu"

test-slow: $(READY) ## Run the slow tests (minutes of CPU)
	@$(BIN)/pytest -m "slow and not slurm and not browser and not nix and not workers and not gpu"

test-components: $(READY) ## Run what needs Chromium, Vulkan, Swift, Slurm, Nix (installed: Debian, root) or a worker
	@scripts/components
	@$(BIN)/pytest -m "browser or workers or slurm or nix"
	@$(MAKE) test-nixpkgs

test-workers: $(READY) ## Train every configured foreign trainer on its tiny budget; seal and verify (docs/workers.md)
	@$(BIN)/snakemake --cores 2 workers

validator: ## Make .venv-validate with rocrate-validator, which slow tests use when it is there
	@$(PYTHON) -m venv .venv-validate
	@.venv-validate/bin/pip --disable-pip-version-check install --quiet --require-hashes -r requirements/tools/validate.txt

NIXPKGS := .venv-nixpkgs/bin
.venv-nixpkgs/ready: requirements/tools/nixpkgs.txt
	@$(PYTHON) -m venv .venv-nixpkgs
	@$(NIXPKGS)/pip --disable-pip-version-check install --quiet --require-hashes -r $<
	@touch $@

test-nixpkgs: .venv-nixpkgs/ready ## Lint, core of the tests and a small evidence with the package versions of nixpkgs
	@$(NIXPKGS)/ruff check src tests
	@$(NIXPKGS)/ruff format --check src tests
	@$(NIXPKGS)/snakefmt --check Snakefile workflow/rules
	@PYTHONPATH=src $(NIXPKGS)/pytest -p no:cacheprovider -m "not slow and not slurm and not browser and not nix and not workers" \
		tests/checkpoint tests/worlds tests/render
	@PYTHONPATH=$(CURDIR)/src $(NIXPKGS)/snakemake --cores 2 evidence --configfile tests/workflow/tiny.yaml \
		--directory $$(mktemp -d)

## Measurements
bench: $(READY) ## Measure sealing, views, start-up, planning and training, against peers (25 minutes; docs/performance.md)
	@$(BIN)/python bench/seal.py
	@$(BIN)/python bench/viewers.py
	@$(BIN)/python bench/scale.py
	@$(BIN)/python bench/startup.py
	@scripts/peers || echo "bench: .venv-peers could not be made; torch-world and the reference are skipped" >&2
	@$(BIN)/python -m bench.planner
	@$(BIN)/python bench/performance.py

bench-gpu: ## Measure planning and training on a CUDA device, with .venv or a PYTHON of requirements/public.txt
	@python=$(firstword $(wildcard $(BIN)/python) $(PYTHON)); PYTHONPATH=src $$python -m bench.planner --device cuda && \
	    $$python bench/performance.py

## A cluster on this machine
slurm-up: $(READY) ## Start a real Slurm on this machine, with its plugin in .venv (Debian, root)
	@scripts/components slurm
	@scripts/slurm up

slurm-down: ## Stop that Slurm and take all it left away
	@scripts/slurm down

## Kept in the repository, made by command
dag: $(READY) ## Draw the pipeline: docs/images/dag.svg
	@scripts/dag

pictures: $(READY) ## Make the pictures of docs/images from a finished `make evidence`
	@$(BIN)/python scripts/pictures

generated: $(READY) ## Write config.yaml, the JSON schemas and parts of docs/ from the code, and from bench/results/
	@$(BIN)/python -m lewm_evidence.generate
	@$(BIN)/python docs/generated.py
	@$(BIN)/python bench/performance.py

embedded: $(READY) ## Train the shipped checkpoints again and put them in place (docs/training.md)
	@scripts/embedded

lock: ## Resolve the hash-locked requirements anew (needs uv; see docs/dependencies.md)
	@scripts/lock
