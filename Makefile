# Each target starts from nothing but python3 and a package index: it makes .venv and installs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# PyTorch's version is pinned so that a build for the CPU is taken where pip is told of one
# (PIP_FIND_LINKS); without, the index gives the build for CUDA, which is large and works too.
TORCH ?= torch==2.13.0

# A process for each core, four at most for the sake of memory; a file's tests stay together, as they
# share what they trained.
PARALLEL ?= --numprocesses=auto --maxprocesses=4 --dist=loadfile

.PHONY: help demo compare test test-backends lint format bench bench-report clean

help:
	@echo "make demo           train on generated images, localize, export: about two minutes"
	@echo "make compare        the same with and without hiding, 3 seeds, tables and pictures"
	@echo "make test           all tests but those of other backends"
	@echo "make test-backends  layers, models, ops and metrics on JAX and on PyTorch"
	@echo "make lint           ruff and mypy"
	@echo "make format         ruff, mending what it can"
	@echo "make bench          benchmarks, side by side with peers: some ten minutes"
	@echo "make bench-report   their plots, and their tables in docs/generated/benchmarks.md"
	@echo "make clean          delete what these targets made"

$(VENV)/installed: pyproject.toml setup.cfg
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=23"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@$(BIN)/python -c "import cv2" 2>/dev/null || { \
		echo "OpenCV cannot load here (no libGL?): taking its build without windows instead"; \
		$(BIN)/python -m pip uninstall --quiet --yes opencv-python; \
		$(BIN)/python -m pip install --quiet opencv-python-headless; }
	@touch $@

$(VENV)/installed-backends: $(VENV)/installed
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[dev,backends]"
	@touch $@

# Some peers have no build for every Python: each that cannot be had is left out, and the
# benchmarks say so.
$(VENV)/installed-bench: $(VENV)/installed
	@for peer in "$(TORCH)" keras-cv scikit-image; do \
		$(BIN)/python -m pip install --quiet "$$peer" || echo "$$peer cannot be installed here"; \
	done
	@touch $@

demo: $(VENV)/installed
	$(BIN)/python -m trainers.imagenet

compare: $(VENV)/installed
	$(BIN)/python -m trainers.compare --recipes=parts_gap,parts_has,parts_has_mixed --seeds=3

test: $(VENV)/installed
	$(BIN)/python -m pytest $(PARALLEL)

test-backends: $(VENV)/installed-backends
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m backends $(PARALLEL)
	KERAS_BACKEND=torch $(BIN)/python -m pytest -m backends $(PARALLEL)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks

bench-report: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.report

clean:
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
