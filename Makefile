# Every target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := $(VENV)/.peers-installed
JOBS ?= 2
ANVIL_VERSION := 1.7.1
ANVIL := $(VENV)/node/.anvil-$(ANVIL_VERSION)

.PHONY: venv python anvil browser network peers demo test check bench clean

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[media,devchain,dev]'
	touch $(STAMP)

# Debian and Ubuntu ship Python without venv: root gets it, others are told how.
python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: $(PYTHON) not found; install Python 3.11 or newer, or set PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $$($(PYTHON) --version) is too old; 3.11 or newer is needed (PYTHON=…)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq python3-venv; \
	  else \
	    echo "error: this Python has no venv; run: sudo apt-get install python3-venv" >&2; exit 1; \
	  fi; }

# A second, independent chain for the contract tests and the benchmark: its binary lies in
# an npm package. Without npm the tests that need it are skipped, which CI does not allow.
anvil: venv $(ANVIL)

$(ANVIL):
	@if command -v npm >/dev/null; then \
	  npm install --silent --no-audit --no-fund --prefix $(VENV)/node \
	    @foundry-rs/anvil@$(ANVIL_VERSION) && touch $@; \
	else \
	  echo "no npm here: the chain tests run on the embedded chain only" >&2; \
	fi

# A browser and curl, which the examples in deploy/examples are tested with. Debian's root
# gets them; without one the tests that need it are skipped, which CI does not allow.
browser:
	@missing=; for program in chromium curl; do \
	  command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	[ -z "$$missing" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } || \
	  echo "missing:$$missing; the examples are not all tested" >&2

# What PSP is compared with: py-ipv8 beside our own packages, and tor from Debian. What is
# missing is left out of the comparison; its test is then skipped, which CI does not allow.
peers: venv $(PEERS)
	@tests/bench/peers/install_tor.sh

$(PEERS): pyproject.toml constraints.txt | venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[peers]'
	touch $(PEERS)

# What joins network namespaces by bad links (tests/bench/net): the same as for browser.
network:
	@missing=; command -v ip >/dev/null || missing="iproute2"; \
	command -v cc >/dev/null || missing="$$missing gcc libc6-dev"; \
	[ -z "$$missing" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } || \
	  echo "missing: $$missing; nothing is tested over bad links" >&2

demo: venv
	$(BIN)/psp demo

# What waits for nothing runs on all cores; real processes and sockets run one by one, as
# they time each other. Whole networks in virtual time run without coverage: tracing makes
# them three times slower and shows no line that the other tests do not reach.
test: venv anvil browser network peers
	$(BIN)/coverage erase
	$(BIN)/python -m pytest -n $(JOBS) --cov --cov-report= tests/unit psp relay presence discovery cli
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --cov --cov-append --cov-report= tests/chain
	$(BIN)/coverage run -m pytest tests/loopback tests/netns tests/browser tests/bench/peers
	$(BIN)/python -m pytest -n $(JOBS) tests/sim
	$(BIN)/coverage combine --append --quiet
	$(BIN)/coverage report --skip-covered --skip-empty --sort=miss | tail -n 40

check: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: venv anvil
	$(BIN)/psp bench all

# Thousands of look-ups on real sockets, and a million records in memory: half an hour.
presence-trials: venv
	PSP_PRESENCE_TRIALS=$${PSP_PRESENCE_TRIALS:-2000} $(BIN)/python -m pytest -s -n0 \
	  tests/loopback/test_presence_adversaries.py tests/sim/test_presence_scale.py

clean:
	rm -rf $(VENV) demo-out .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
