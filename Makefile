# Everything from a fresh machine with Python 3.11+, git and make. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test lint figures picture clean
PYTHON ?= python3
REPO ?= .
BASE := .venv/base-installed
ENV := .venv/test-installed

help:  ## what each target does
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 16

# One environment: what the product needs, then what the tests need. The stamps make the second run quick.
PIP := .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
$(BASE): pyproject.toml constraints.txt
	@echo "== setting up .venv (a few minutes the first time, packages only)"
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@$(PIP) -e .
	@touch $@

$(ENV): $(BASE)
	@echo "== adding the tests' packages to .venv"
	@$(PIP) -e '.[test]'
	@touch $@

demo: $(BASE)  ## film this repository's history (REPO=path or URL for another), train on it, draw the loss
	@.venv/bin/python -m flows.demo --repo "$(REPO)"

test: $(ENV)  ## the whole test suite, a process a core; exactness tests need vim and nano and say how to get them
	@.venv/bin/python -m pytest -n auto --maxprocesses 8 --max-worker-restart 0 --dist loadfile

lint: $(ENV)  ## ruff, mypy --strict, import-linter
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache

figures: $(BASE)  ## redraw every figure and what its README says from its committed CSV, offline
	@.venv/bin/python -m figures

# A commit of this repository, so that anybody with its history gets the same picture.
picture: $(BASE)  ## film README's moving picture anew (figures/watch.gif)
	@.venv/bin/python -m pipeline.watch --repo . --name gitreel --commit 62b0288 --gif figures/watch.gif --seconds 12 --colour

clean:  ## remove what was built: .venv, runs, the warehouse's data, caches
	@rm -rf .venv runs build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@find warehouse -mindepth 1 ! -name README.md ! -name '*.sql' ! -name .gitkeep -delete
