# Everything below works on a fresh checkout with only python3 (>= 3.11, with venv) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
export PYTHONDONTWRITEBYTECODE := # each test process would compile the tests again, which takes 4 s of CPU time

.PHONY: help demo serve picture test lint types check soak mutants bench bench-quick format lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

$(VENV)/.installed: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python3 >= 3.11 is needed; set PYTHON=/path/to/it")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@touch $@

demo: $(VENV)/.installed ## run the main job on the local stack and show what landed
	@$(BIN)/python -m local demo

serve: $(VENV)/.installed ## keep the local stack up and print curl lines for it
	@$(BIN)/python -m local serve

picture: $(VENV)/.installed ## write docs/coverage.png, the coverage page of made-up exports; needs chromium
	@$(BIN)/python -m local picture docs/coverage.png

test: $(VENV)/.installed ## run every test, the slowest first, and print the slowest ten
	$(BIN)/pytest -n 4 --dist loadgroup --durations 10

$(VENV)-lint/.installed: requirements-lint.txt
	$(PYTHON) -m venv $(VENV)-lint
	$(VENV)-lint/bin/pip install --quiet --disable-pip-version-check -r requirements-lint.txt
	@touch $@

lint: $(VENV)/.installed $(VENV)-lint/.installed ## ruff for Python, checkov for terraform/, actionlint and zizmor for .github/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd terraform && ../$(VENV)-lint/bin/checkov --directory . --config-file .checkov.yaml
	$(VENV)-lint/bin/actionlint .github/workflows/*.yml
	$(VENV)-lint/bin/zizmor --offline --quiet .github

types: $(VENV)/.installed ## mypy, strict
	$(BIN)/mypy

check: test lint types ## all that .ci/run runs

$(BENCH_VENV)/.installed: requirements.txt bench/requirements.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@touch $@

bench: $(VENV)/.installed $(BENCH_VENV)/.installed ## this copy beside others; ten minutes; Debian packages: curl, rclone
	@$(BIN)/python -m bench --output bench/results.md

bench-quick: $(VENV)/.installed $(BENCH_VENV)/.installed ## the same with less work, two minutes
	@$(BIN)/python -m bench --quick

soak: $(VENV)/.installed ## draw situations at random for at most 5 minutes and compare
	$(BIN)/python -m tests.soak $(SOAK)

$(VENV)-mutants/.installed: requirements.txt requirements-dev.txt requirements-mutants.txt
	$(PYTHON) -m venv $(VENV)-mutants
	$(VENV)-mutants/bin/pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt -r requirements-mutants.txt
	@touch $@

mutants: $(VENV)-mutants/.installed ## small changes of the package that no test notices, ten minutes; MUTANTS="transfer bucket.guard"
	@$(VENV)-mutants/bin/python -m tests.mutants $(MUTANTS)

format: $(VENV)/.installed ## let ruff correct what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## compile requirements*.in again (needs uv on the PATH)
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header requirements.in -o requirements.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header requirements-dev.in -o requirements-dev.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header bench/requirements.in -o bench/requirements.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header requirements-lint.in -o requirements-lint.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header requirements-mutants.in -o requirements-mutants.txt

clean: ## remove what the commands above made
	rm -rf $(VENV) $(VENV)-lint $(VENV)-mutants $(BENCH_VENV) mutants .local .hypothesis .mypy_cache .pytest_cache .ruff_cache
