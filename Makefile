# livecommerce: `make run` shows it, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test check lint types imports unit firefox soak screens load bench bench-quick clean

help: ## say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# --no-compile: what is imported is compiled when it is, which is far less than all that is installed.
$(VENV)/.installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once; under a minute on a normal connection) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing what the tests need (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[test]'
	@touch $@

run: $(VENV)/.installed ## install, then a living demo show on http://localhost:8080
	@exec $(BIN)/livecommerce serve --demo $(ARGS)

test: $(VENV)/.installed-test chromium check ## everything CI runs

# All tests run in two processes, those with a browser one after another in one of them; some run in one.
TOGETHER := -n 2 --dist loadfile --durations 15

check: lint types imports unit ## lint, types, import contracts, all tests

lint: $(VENV)/.installed-test ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test ## mypy, strict
	$(BIN)/mypy

imports: $(VENV)/.installed-test ## import contracts
	$(BIN)/lint-imports

unit: $(VENV)/.installed-test ## all tests (ARGS="tests/deals -k sold_out" for some)
	$(BIN)/python -m pytest -m "not soak and not firefox" $(or $(ARGS),$(TOGETHER))

chromium:
	@sh tests/browser/ensure_chromium.sh

firefox: $(VENV)/.installed-test chromium ## watching, hosting and the pages in a real Firefox; about a minute
	@sh tests/firefox/ensure_firefox.sh
	$(BIN)/python -m pytest -m "firefox and not soak" tests/firefox $(ARGS)

soak: $(VENV)/.installed-test chromium ## what is long by nature, and how long each of it took
	$(BIN)/python -m pytest -m soak --timeout 3600 --durations 0 $(ARGS)

load: $(VENV)/.installed-test ## a flash sale against a server of its own, with a report to open (ARGS="--buyers 5000")
	@$(BIN)/python -m load_tests flash-sale --buyers 1500 --units 2000 --claims 10 --limit 2 --ramp 200:2500:8 \
		--html reports/flash-sale.html --json reports/flash-sale.json $(ARGS)

bench: $(VENV)/.installed-test ## the performance tables, into README.md; some minutes
	$(BIN)/python -m load_tests bench --readme README.md $(ARGS)

bench-quick: $(VENV)/.installed-test ## small runs of the benchmarks: only their checks count
	$(BIN)/python -m load_tests bench --quick $(ARGS)

screens: $(VENV)/.installed-test chromium ## retake the pictures in docs/screens
	$(BIN)/python -m tests.browser.screens

clean: ## remove the virtual environment and the demo's data
	rm -rf $(VENV) .livecommerce
