# Everything below works on a fresh checkout with only python3 (>= 3.11, with venv) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench

.PHONY: help demo serve picture test soak bench bench-quick lint checkov types format lock clean

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
	$(BIN)/pytest -n 4 --maxschedchunk 2 --durations 10

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

lint: $(VENV)/.installed checkov ## ruff: rules and format; checkov
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)-checkov/.installed: requirements-checkov.txt
	$(PYTHON) -m venv $(VENV)-checkov
	$(VENV)-checkov/bin/pip install --quiet --disable-pip-version-check -r requirements-checkov.txt
	@touch $@

checkov: $(VENV)-checkov/.installed ## what is insecure in terraform/; exceptions stand in terraform/.checkov.yaml
	cd terraform && ../$(VENV)-checkov/bin/checkov --directory . --config-file .checkov.yaml

types: $(VENV)/.installed ## mypy, strict
	$(BIN)/mypy

format: $(VENV)/.installed ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## compile requirements*.in anew (needs uv on the PATH)
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header requirements.in -o requirements.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header requirements-dev.in -o requirements-dev.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header bench/requirements.in -o bench/requirements.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header requirements-checkov.in -o requirements-checkov.txt

clean: ## remove what the commands above made
	rm -rf $(VENV) $(VENV)-checkov $(BENCH_VENV) .local .hypothesis .mypy_cache .pytest_cache .ruff_cache
