# One command each; every target does its own set-up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup docs docs-site demo test test-slow soak mutants kills disk-full fuzz two-years lint ui bench duckdb-versions interface lock clean

setup: $(STAMP) dbt_project/target/.parsed  ## virtual environment from requirements.lock, this package, the dbt manifest

# uv (itself pinned with a hash in the lock) installs the rest and compiles its bytecode: dbt imports three times faster with it.
# Where uv cannot reach the index that pip is configured for, pip installs the same pins.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cxmarts needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 setup"; exit 1; }
	@echo "setup: creating $(VENV) from requirements.lock (about half a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/^[[:space:]]*#/p' requirements.lock > $(VENV)/uv.lock.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.lock.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --require-hashes --compile-bytecode -r requirements.lock \
	  || $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e . \
	  || $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q orchestration data_quality
	@mkdir -p $(VENV)/dagster && printf 'telemetry:\n  enabled: false\n' > $(VENV)/dagster/dagster.yaml
	@touch $(STAMP)
	@echo "setup: done; programs are in $(BIN)"

dbt_project/target/.parsed: $(STAMP) $(shell find dbt_project -name target -prune -o \( -name '*.sql' -o -name '*.yml' \) -print 2>/dev/null)
	@echo "setup: building the dbt manifest"
	@$(BIN)/python -m orchestration.lib.dbt_manifest
	@$(BIN)/python -m orchestration.lib.dbt_docs > /dev/null
	@touch $@

demo: setup  ## simulate a company, backfill it, run one night, print the metrics
	@$(BIN)/cx demo

test: setup  ## everything CI runs
	@$(BIN)/ruff check .
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) DAGSTER_HOME=$(CURDIR)/$(VENV)/dagster $(BIN)/dg check defs
	@$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

test-slow: setup  ## the tests that take minutes each: real days by night and shuffled, one path, a late file, lost warehouses, what is missing, an increment of all metrics
	@$(BIN)/python -m pytest -m minutes -n 2 --dist load

soak: setup  ## 200 random histories, every publication compared with a full rebuild and with books kept in Python (two hours)
	@$(BIN)/python -m tests.soak $(SOAK_ARGS)

mutants: setup  ## one mistake at a time in the SQL of a mart or an intermediate model: 95 % must be noticed
	@$(BIN)/python -m tests.mutants $(MUTANT_ARGS)

kills: setup  ## 200 runs killed at random moments while a reader reads; then compared with the same runs undisturbed (about an hour)
	@$(BIN)/python -m tests.kills $(KILL_ARGS)

disk-full: setup  ## the disk fills up at each phase of a run; readers keep their release, the next run mends all (five minutes)
	@$(BIN)/python -m tests.disk_full $(DISK_FULL_ARGS)

fuzz: setup  ## 10,000 damaged deliveries: never a traceback, never a changed good row, nothing lost (FUZZ_ARGS='--deliveries N --seed S')
	@$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

docs-site: setup  ## docs/ as a site in site/, without network: broken links are errors; dbt's page of all models beside it
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean
	@cp "$$($(BIN)/python -m orchestration.lib.dbt_docs)" site/dbt.html
	@echo "docs: open site/index.html"

docs: setup  ## docs/metrics.md, the catalogue of metrics, from the registry; docs/values.md from the settings; docs/contracts.md from the contracts
	@$(BIN)/python -m orchestration.lib.catalogue
	@$(BIN)/python -m data_quality.documentation

duckdb-versions: setup  ## the current release of CX_HOME opened by DuckDB 1.4, 1.5 and 2.0, each installed beside: all must say the same
	@$(BIN)/python -m tests.duckdb_versions $(RELEASE)

interface: setup  ## data_quality/published_columns.yml, what readers may rely on, from the contracts; refuses what would break it (docs/bi.md)
	@$(BIN)/python -m orchestration.lib.interface

two-years: setup  ## a simulated company of two years with every feed: every mart against its own books (half an hour)
	@$(BIN)/python -m tests.two_years $(TWO_YEARS_ARGS)

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

ui: setup  ## Dagster's own UI on http://127.0.0.1:3000, same jobs, runs made with `cx` included
	@$(BIN)/cx ui

bench: setup  ## a night and the backfill as ratios to a bare DuckDB script, measured in one run; SCALE=1: 3 years of 5,000 orders a day; CLV=1000000: fit and score that many customers
	@$(BIN)/python -m $(if $(CLV),tests.clv_bench --customers $(CLV),tests.bench $(if $(SCALE),--scale $(SCALE))) $(BENCH_ARGS)

lock:  ## re-resolve requirements.lock (only after changing pyproject.toml)
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --extra dev --extra postgres --extra setup pyproject.toml -o requirements.lock --custom-compile-command 'make lock'

clean:
	rm -rf $(VENV) .cx site dbt_project/target .pytest_cache .ruff_cache .hypothesis
