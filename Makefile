.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
B := .venv/bin
CODE := services libs/servicekit libs/simulators deploy tests
PROTOS = $$(find isthmus buf -name '*.proto' | sort)

.PHONY: help
help: ## this menu
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN {FS = ":.*## "}; {printf "  make %-14s %s\n", $$1, $$2}'

# --- set-up

.PHONY: setup setup-dev lock
setup: ## virtual environment with what the system needs to run
	@$(PYTHON) deploy/local/bootstrap.py run

setup-dev: setup ## and what the checks need
	@$(PYTHON) deploy/local/bootstrap.py dev

lock: setup ## make the locks anew from requirements/*.in
	@for f in install run dev bench tryton-6.0 tryton-8.0; do \
	  $(B)/uv pip compile requirements/$$f.in -p 3.11 --universal --generate-hashes --no-emit-index-url --no-header -q \
	  -o requirements/$$f.lock || exit 1; done

# --- the system

.PHONY: demo up down ps logs
demo: setup ## three scenarios on one system, three ERPs and plants, checked; then everything stops; SCENARIO=1, 2 or 3 plays one
	@$(B)/isthmus demo --scenario $(or $(SCENARIO),0)

up: setup ## start the system and keep it running
	@$(B)/isthmus up

down: ## stop it
	@$(B)/isthmus down

ps: ## what runs: service, ready, port, pid, memory
	@$(B)/isthmus ps

logs: ## follow a log: make logs S=production
	@$(B)/isthmus logs $(S) --follow

# --- contracts

.PHONY: protos protos-check
protos: setup-dev ## format and lint the contracts, generate the stubs
	@$(B)/buf format -w protos && $(B)/buf lint protos
	@find libs/contracts/isthmus libs/contracts/buf -name '*_pb2*' -delete
	@cd protos && ../$(B)/python -m grpc_tools.protoc -I. -I../$$(echo ../.venv/lib/python3*/site-packages | sed 's|^../||') \
	  --plugin=protoc-gen-mypy=../$(B)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=../$(B)/protoc-gen-mypy_grpc \
	  --python_out=../libs/contracts --grpc_python_out=../libs/contracts \
	  --mypy_out=quiet:../libs/contracts --mypy_grpc_out=quiet:../libs/contracts $(PROTOS)

protos-check: ## contracts are formatted, lint clean, unbroken, and the stubs are theirs
	@$(B)/buf format -d --exit-code protos && $(B)/buf lint protos
	@if git cat-file -e HEAD:protos/buf.yaml 2>/dev/null; then \
	  $(B)/buf breaking protos --against '.git#ref=HEAD,subdir=protos'; fi
	@$(B)/python -m deploy.contracts_check

# --- gates and tests

.PHONY: fmt lint types test test-all check bench chaos chaos-selftest rule
fmt: setup-dev ## format the code
	@$(B)/ruff format -q $(CODE) && $(B)/ruff check -q --fix-only $(CODE)

lint: setup-dev ## ruff, import rules, yaml, Dockerfile, compose
	@$(B)/ruff format --check -q $(CODE) || (echo 'run: make fmt' && exit 1)
	@$(B)/ruff check $(CODE)
	@$(B)/lint-imports --no-cache | tail -n 12
	@$(B)/yamllint -s $$(git ls-files --cached --others --exclude-standard '*.yml' '*.yaml')
	@$(B)/hadolint $$(git ls-files --cached --others --exclude-standard '*Dockerfile')
	@$(B)/python -m deploy.compose_check

types: setup-dev ## mypy, strict
	@$(B)/mypy --no-incremental services libs/servicekit libs/simulators deploy

test: setup-dev ## unit, connected and flow tests; T=path narrows, ALLOW_SKIP=flow,... names lanes that may be left out
	@$(B)/python -m deploy.local.lanes $(T)

test-all: setup-dev ## the same, and the tests marked as long
	@$(B)/python -m deploy.local.lanes --all $(T)

check: setup-dev ## static gates, then the tests: what CI runs
	@$(MAKE) --no-print-directory protos-check lint types
	@$(MAKE) --no-print-directory test

bench: setup-dev ## speed, against what the machine allows and what others do; PARTS=rpc,latency,... picks, about 10 minutes without
	@$(PYTHON) deploy/local/bootstrap.py bench
	@$(B)/python -m tests.bench $(if $(PARTS),--parts $(PARTS))

chaos: setup-dev ## kills, freezes, cuts and full disks under load, then all books compared; MINUTES=10 SEED= KILLS=
	@$(B)/python -m tests.chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS))

chaos-selftest: setup-dev ## is the harness blind? nine bugs are planted, each must be caught; about 12 minutes
	@$(B)/python -m tests.chaos.selftest

rule: ## where a rule is decided: make rule REASON=OVER_DELIVERY
	@grep -rn --include='*.proto' --include='*.py' --exclude-dir=contracts '$(REASON)' protos services libs/servicekit tests | cut -c1-160
