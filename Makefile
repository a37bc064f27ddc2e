# make demo, make test, make check, make bench: each sets up what it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo-arena
STAMP := $(VENV)/.patchrun-set-up

.PHONY: setup demo test lint check bench fuzz clean
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@if command -v bwrap >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get update -qq && apt-get install -y -qq bubblewrap; } >/dev/null 2>&1 \
			|| echo "bubblewrap could not be installed: runs need --sandbox seccomp or none"; \
	else echo "please install bubblewrap (apt-get install bubblewrap): without it runs need --sandbox seccomp or none"; fi
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver; } \
			>/dev/null 2>&1 || echo "chromium could not be installed: the tests of the report's pages are skipped"; \
	else echo "without chromium and chromium-driver the tests of the report's pages are skipped"; fi
	touch $@

demo: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh "$(DEMO)"

test: setup
	$(BIN)/python -m pytest -n 2

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check: lint test

bench: setup
	$(BIN)/python -m tests.bench

fuzz: setup
	PATCHRUN_FUZZ_EXAMPLES=3000 $(BIN)/python -m pytest tests/fuzz

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info
