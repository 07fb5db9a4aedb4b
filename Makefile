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

.PHONY: help setup evidence tables test test-slow test-components test-nixpkgs test-workers slurm-up slurm-down validator bench bench-gpu check format generated embedded lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(READY) ## Make .venv from the hash-locked requirements

$(READY): requirements/cpu.txt requirements/public.txt pyproject.toml scripts/setup
	@scripts/setup $(PYTHON)

evidence: $(READY) ## Run the whole pipeline on the embedded checkpoint
	@$(BIN)/snakemake --cores $(CORES) evidence

tables: $(READY) ## Measure the checkpoint as the paper does (minutes of CPU; docs/science.md)
	@$(BIN)/snakemake --cores $(CORES) tables

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

bench: $(READY) ## Measure sealing, views, planning and training, against peers (25 minutes; docs/performance.md)
	@$(BIN)/python bench/seal.py
	@$(BIN)/python bench/viewers.py
	@$(BIN)/python bench/scale.py
	@scripts/peers || echo "bench: .venv-peers could not be made; torch-world and the reference are skipped" >&2
	@$(BIN)/python -m bench.planner
	@$(BIN)/python bench/performance.py

bench-gpu: ## Measure planning and training on a CUDA device, with .venv or a PYTHON of requirements/public.txt
	@python=$(firstword $(wildcard $(BIN)/python) $(PYTHON)); PYTHONPATH=src $$python -m bench.planner --device cuda && \
	    $$python bench/performance.py

slurm-up: $(READY) ## Start a real Slurm on this machine, with its plugin in .venv (Debian, root)
	@scripts/components slurm
	@scripts/slurm up

slurm-down: ## Stop that Slurm and take all it left away
	@scripts/slurm down

validator: ## Make .venv-validate with rocrate-validator, which slow tests use when it is there
	@$(PYTHON) -m venv .venv-validate
	@.venv-validate/bin/pip --disable-pip-version-check install --quiet --require-hashes -r requirements/tools/validate.txt

check: $(READY) ## Check format, lint and types
	@$(BIN)/ruff format --check src tests bench
	@$(BIN)/ruff check src tests bench
	@$(BIN)/snakefmt --check Snakefile workflow/rules
	@$(BIN)/mypy

format: $(READY) ## Format the sources
	@$(BIN)/ruff check --fix --select I src tests bench
	@$(BIN)/ruff format src tests bench
	@$(BIN)/snakefmt Snakefile workflow/rules

generated: $(READY) ## Write config.yaml and the JSON schemas from the models, docs/performance.md from bench/results/
	@$(BIN)/python -m lewm_evidence.generate
	@$(BIN)/python bench/performance.py

embedded: $(READY) ## Train the shipped checkpoints again and put them in place (docs/training.md)
	@scripts/embedded

lock: ## Resolve the hash-locked requirements anew (needs uv; see docs/dependencies.md)
	@scripts/lock

clean: ## Remove runs, bundles, results and Snakemake's state; keeps .venv
	@rm -rf runs evidence results .snakemake
