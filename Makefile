# Two commands to begin with: make demo, make test. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet

.PHONY: help install demo test test-slow check format bench clean

help:
	@echo "make demo [ONCE=1]  build, train and serve the demo newsroom on http://127.0.0.1:8000"
	@echo "make test           every test"
	@echo "make test-slow      also the long ones"
	@echo "make check          format, lint, types, tests"
	@echo "make bench          measurements, as ratios to baselines"

install: $(INSTALLED)

# torch goes first and alone: its version is the one with a CPU build
$(INSTALLED): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (some minutes the first time)"
	$(PIP) torch==2.13.0
	$(PIP) --requirement requirements.lock
	$(PIP) --no-deps --editable .
	touch $@

demo: $(INSTALLED)
	$(BIN)/python -m training.demo --config configs/demo.toml $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

test: $(INSTALLED)
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow" --cov --cov-report=term:skip-covered

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED)
	$(BIN)/python -m tests.benchmarks.run

clean:
	rm -rf demo-data
