# Every target makes the environment it needs. `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := YTAP_TRANSPORT=replay
DEMO_FROM := 2026-11-16
DEMO_TO := 2026-11-20
BENCHMARK_DATA ?= ../shared/real
PORT ?= 3000

.DEFAULT_GOAL := help
.PHONY: help run ui test soak lint bench lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run ## Make the environment and run the whole graph on the demo's recordings (no network, no keys)
	$(DEMO) $(BIN)/ytap materialize '*' --all-workspaces --from $(DEMO_FROM) --to $(DEMO_TO)
	$(DEMO) $(BIN)/ytap summary

ui: $(VENV)/run ## Open Dagster on the same lake at http://127.0.0.1:3000 (PORT=... to move it, VERBOSE=1 for every tick)
	exec env $(DEMO) $(BIN)/ytap ui --port $(PORT) $(if $(VERBOSE),--verbose)

test: $(VENV)/dev ## Make the environment and run the tests (a few minutes)
	$(BIN)/pytest -n logical --dist loadfile

soak: $(VENV)/dev ## Run the long tests: kills, full disk, many writers, many examples, every kind of lake
	$(BIN)/pytest -m soak -s
	YTAP_EXAMPLES_TIMES=10 $(BIN)/pytest -n logical --dist loadfile -m 'hypothesis and not soak'
	$(BIN)/pytest -n logical --dist loadfile --catalog postgres ytap_assets_tests/lakehouse
	$(BIN)/pytest -n logical --dist loadfile --files s3 ytap_assets_tests/lakehouse
	$(BIN)/pytest -n logical --dist loadfile --catalog postgres --files s3 ytap_assets_tests/lakehouse
	$(BIN)/pytest -m soak -s --catalog postgres --files s3 ytap_assets_tests/lakehouse

lint: $(VENV)/dev ## Check style, types and who imports whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

bench: $(VENV)/dev ## Run the benchmarks (BENCHMARK_DATA=... names another data folder)
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file $(BENCHMARK_DATA) || exit 1; done

lock: $(VENV)/dev ## Pin the newest allowed versions again
	$(BIN)/uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --upgrade -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra cluster --group build --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header -c requirements.lock -o requirements-cluster.lock
	$(BIN)/uv pip compile pyproject.toml --extra cluster --group build --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header -c requirements-cluster.lock -o requirements-dev.lock

clean: ## Remove .venv, data/lake, data/reports, data/dagster_home and data/state; not if there are backups
	@if ls -A data/backups 2>/dev/null | grep -q .; then \
		echo "data/backups contains backups of data/lake; nothing was removed; move or delete them first" >&2; exit 1; fi
	rm -rf $(VENV) data/lake data/reports data/dagster_home data/state

# The locks are complete, so pip has nothing to resolve (--no-deps); that is faster, too.
$(VENV)/run: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev: $(VENV)/run requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements-dev.lock
	touch $@
