# make demo, make test, make check, make bench: each sets up what it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo-arena
STAMP := $(VENV)/.patchrun-set-up

SLURM := slurmctld slurmd slurm-client munge

.PHONY: setup slurm demo test test-long test-slurm test-cluster lint check bench bench-scale fuzz clean
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
	@if command -v strace >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get update -qq && apt-get install -y -qq strace; } >/dev/null 2>&1 \
			|| echo "strace could not be installed: the tests of power cuts are skipped"; \
	else echo "without strace (apt-get install strace) the tests of power cuts are skipped"; fi
	touch $@

# What the tests of the Slurm executor start a cluster from; without it they are skipped, with the reason.
slurm:
	@if command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SLURM); } \
			>/dev/null 2>&1 || echo "Slurm could not be installed: its tests are skipped"; \
	else echo "without Slurm its tests are skipped (apt-get install $(SLURM))"; fi

demo: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh "$(DEMO)"

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not long"

# What takes minutes each: a Slurm cluster that loses nodes, studies in full.
test-long: setup slurm
	$(BIN)/python -m pytest -m long

# A real cluster of two nodes on this host, and what clusters do to jobs.
test-slurm: setup slurm
	$(BIN)/python -m pytest -m long tests/services/test_slurm.py

# The same without the contest of two agents over three records, which takes most of an hour on two cores.
test-cluster: setup slurm
	$(BIN)/python -m pytest -m long tests/services/test_slurm.py -k "not survives_what_clusters_do"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check: lint test

bench: setup
	$(BIN)/python -m tests.bench

bench-scale: setup
	$(BIN)/python -m tests.bench.bench_scale 1000 10000 100000

fuzz: setup
	PATCHRUN_FUZZ_EXAMPLES=3000 $(BIN)/python -m pytest tests/fuzz

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info
