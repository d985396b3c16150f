# `make` lists the targets. Two knobs: ARGS is handed to the command behind a target, PYTHON chooses the interpreter.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run demo test conformance check format docs torture contract bench lock audit sbom licences image clean
export PYTHON

BIN := .venv/bin
ROOMS := tests/store tests/service

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done

run: .venv/.run ## set everything up and serve (ARGS="--config quota.yaml")
	@exec $(BIN)/quota-scheduler serve $(ARGS)

demo: .venv/.run ## a dozen runners, three teams, windows of half a minute: watch it work (ARGS="--seconds 90")
	@exec $(BIN)/quota-scheduler demo $(ARGS)

test: .venv/.dev ## set everything up and run the tests, in parallel (ARGS="-k forecast")
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

conformance: .venv/.dev ## the same tests of store and service on PostgreSQL (ROOMS=tests/store, TEST_PG_BIN, TEST_PG_DSN)
	$(BIN)/python -m pytest -n auto --dist worksteal --database postgres $(ROOMS) $(ARGS)

check: .venv/.dev ## format, lint, types, architecture: what every change must pass
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: .venv/.dev ## rewrite the code the way `make check` wants it
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: .venv/.dev ## build the docs into site/, broken links are errors (ARGS=serve shows them while you write)
	$(BIN)/zensical $(if $(ARGS),$(ARGS),build --strict --clean)

torture: .venv/.dev ## kills, floods, full disks: minutes, not seconds (ARGS="-k kill")
	$(BIN)/python -m pytest -m torture --timeout 1800 $(ARGS)

contract: .venv/.dev ## schemathesis, all checks and stateful links, against a service of its own (ARGS="--workers 2", EXAMPLES=100)
	scripts/schemathesis.sh $(ARGS)

bench: .venv/.dev ## print every figure of benchmarks/
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

lock: .venv/.dev ## resolve pyproject.toml into the two lock files (ARGS=--upgrade moves the pins)
	scripts/lock.sh $(ARGS)

audit: ## ask a service about holes in what is locked; ends with 77 where there is no network
	scripts/supply_chain.sh audit

sbom: ## what is locked as CycloneDX, validated: dist/sbom.cdx.json
	scripts/supply_chain.sh sbom

licences: .venv/.dev ## list the licences of what ships; fails for one that nobody has agreed to
	$(BIN)/python scripts/licences.py

image: ## build the container image (ARGS="-t my/name:tag")
	DOCKER_BUILDKIT=1 docker build -t quota-scheduler $(ARGS) .

clean: ## remove what the other targets made, .venv included
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .image-check .cache site dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: setting up again costs nothing until a lock file or pyproject.toml changes. What serves is a part of what tests.
.venv/.run: requirements.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh requirements.lock
	@touch $@

.venv/.dev: requirements-dev.lock requirements.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh requirements-dev.lock
	@touch .venv/.run $@
