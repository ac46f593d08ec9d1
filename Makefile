# Needs python3 >= 3.11 with venv and pip, and make. Another interpreter: make test PYTHON=python3.12
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JOBS   ?= 2
# Where a container image sets it, every process that the tests start compiles our modules anew: a tenth of its start.
unexport PYTHONDONTWRITEBYTECODE
FUZZ_EXAMPLES ?= 2000
# Tests that only compute: no server, no store, no file. Branches are counted in these, where it costs half a minute.
ARITHMETIC := $(patsubst %,tests/tasks/test_%.py,areas biexponential composition cross_check intervals \
	kinetics_properties kinetics_table limits nca parameters quantity recovery rounding summary turnbull)

.DEFAULT_GOAL := help
.PHONY: help demo test coverage fuzz clean

help:
	@echo "make demo   make a simulated study and run the whole pipeline on it"
	@echo "make test   run every check: ruff, mypy, import contracts, unused code, tests, branches of the arithmetic"
	@echo "make coverage  the tests once more, and which lines they do not reach"
	@echo "make fuzz   try every property test on new random examples, FUZZ_EXAMPLES=2000 each"
	@echo "make clean  remove the environment, caches and the demo study"

demo: $(STAMP)
	$(BIN)/reconflow demo

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/vulture
	$(BIN)/pytest -n $(JOBS) $(ARITHMETIC) --cov=tasks.counting --cov=tasks.kinetics --cov-fail-under=97 \
		--cov-report=term:skip-covered
	$(BIN)/pytest -n $(JOBS) --dist loadgroup $(addprefix --ignore=,$(ARITHMETIC))

# By itself, because counting branches takes the tests twice the time.
coverage: $(STAMP)
	$(BIN)/pytest -n $(JOBS) --dist loadgroup --cov --cov-report=term

# New examples each time: what fails here is mended and kept as an @example, so that `make test` knows it from then on.
fuzz: $(STAMP)
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/pytest -n $(JOBS) -m hypothesis --hypothesis-profile=fuzz

# The stamp is newer than what was installed from, so a second call installs nothing.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "reconflow needs Python 3.11 or newer, and '$(PYTHON)' is not: call make with PYTHON=/path/to/python3.11 (or newer)." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "'$(PYTHON)' cannot make environments: install its venv package (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage reconflow-demo
