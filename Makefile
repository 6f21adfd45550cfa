# Commands for developers and CI; `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= auto
FUZZ_S ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup tools odbc pulumi azurite prometheus registry chromium chart collector demo test check audit licenses sbom wheels bench fuzz soak consumers hcl-reference screens clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## Install what the other targets need: .venv, Debian's libodbc2, the Pulumi CLI
	@$(MAKE) -s --no-print-directory -j3 $(VENV)/.ready odbc pulumi

$(VENV)/.ready: pyproject.toml uv.lock $(wildcard */pyproject.toml providers/*/pyproject.toml)
	@test -x $(BIN)/pip || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "DStream requires Python 3.11 or newer; choose one with: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip show -q uv 2>/dev/null || $(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv sync -q --locked --inexact --python $(BIN)/python
	@touch $@

tools: odbc pulumi azurite prometheus registry chromium chart collector ## Install what the wheels do not contain, once per machine: libodbc2, the Pulumi CLI, Azurite, Prometheus, docker-registry, Chromium, Helm, an OpenTelemetry Collector

odbc:
	@ldconfig -p 2>/dev/null | grep -q 'libodbc\.so\.2' || ./tools/install-libodbc2

pulumi:
	@./tools/install-pulumi

azurite:
	@./tools/install-azurite $(PYTHON)

prometheus:
	@./tools/install-prometheus

registry:
	@./tools/install-registry

chromium:
	@./tools/install-chromium

chart:
	@./tools/install-helm

collector:
	@./tools/install-collector

demo: setup ## Run DStream end to end on the sandbox
	@$(BIN)/dstream demo

test: setup azurite prometheus registry chromium chart ## Run all tests
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not soak"

check: setup ## Check lint, types, import graph, spelling, prose, commit subjects, the example workflow
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/unit/test_import_graph.py tests/unit/test_public_names.py tests/unit/test_prose.py tests/unit/test_links.py
	@$(BIN)/codespell $$(git ls-files '*.py' '*.md' '*.hcl' '*.yml' '*.template' Makefile ':!tests')
	@./tools/check-commit-subjects
	@./tools/check-workflows $(BIN)/actionlint

audit: setup ## Look for known vulnerabilities in the lock file (skipped offline), and check the licenses
	@./tools/audit-dependencies $(BIN)/uv
	@$(BIN)/python tools/list_licenses.py $(BIN)/uv --check

licenses: setup ## Write docs/reference/licenses.md, the licenses of all packages that users install
	@$(BIN)/python tools/list_licenses.py $(BIN)/uv

sbom: setup ## Write dist/dstream.cdx.json, a CycloneDX list of all packages that users install
	@mkdir -p dist
	@$(BIN)/uv export -q --locked --preview-features sbom-export --format cyclonedx1.5 --no-dev --all-packages --all-extras --output-file dist/dstream.cdx.json >/dev/null

wheels: setup ## Build wheels/ with requirement files that pin DStream and its dependencies by SHA-256
	@$(BIN)/python tools/build_wheels.py $(BIN)/uv wheels

bench: setup ## Measure speed and memory against baselines in the same run
	@$(BIN)/python -m tests.bench

fuzz: setup ## Fuzz protocol framing and handshakes (guided by coverage), output with hostile text, and logins to the sandbox, FUZZ_S seconds each (default: 60)
	@$(BIN)/uv sync -q --locked --inexact --group fuzz --python $(BIN)/python
	@$(BIN)/python -m tests.fuzz -max_total_time=$(FUZZ_S)
	@$(BIN)/python -m tests.fuzz.hostile $(FUZZ_S)
	@$(BIN)/python -m tests.fuzz.before_login 10000

soak: setup azurite prometheus collector ## Run the tests that are too slow for the suite
	@$(BIN)/python -m pytest -q -m soak -p no:randomly -n 1 --timeout 1800

consumers: setup ## Install and test the programs in examples/consumers (needs npm, Java, Maven and Go)
	@$(BIN)/uv pip install -q --python $(BIN)/python -r tools/azurite/node.txt
	@cd examples/consumers/javascript && npm ci --silent --no-audit --no-fund
	@cd examples/consumers/java && mvn -B -q compile dependency:build-classpath -Dmdep.outputFile=target/classpath
	@cd examples/consumers/go && go build -o consumer .
	@CONSUMERS="python javascript java go" $(BIN)/python -m pytest -q tests/e2e/test_consumers.py

hcl-reference: ## Record how HashiCorp's HCL evaluates the snippets in tests/unit/config/reference (needs Go)
	@cd tools/hcl-reference && go build -o $(CURDIR)/$(VENV)/hcl-reference .
	@cd tests/unit/config/reference && $(CURDIR)/$(VENV)/hcl-reference snippets.toml > expected.json.new
	@mv tests/unit/config/reference/expected.json.new tests/unit/config/reference/expected.json

screens: setup ## Regenerate the screens in tests/unit/cli/screens; review the difference
	@UPDATE_SCREENS=1 $(BIN)/python -m pytest -q tests/unit/cli/screens

clean: ## Remove everything built and installed in the checkout
	rm -rf $(VENV) wheels .dstream .pytest_cache .mypy_cache .ruff_cache .hypothesis bench-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
