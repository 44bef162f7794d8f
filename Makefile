# Every target needs only python3 and a package index: it creates .venv and installs the project.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# PyTorch's version is pinned so that pip takes a CPU build if PIP_FIND_LINKS offers one; otherwise
# the index provides the build for CUDA, which is large and works too.
TORCH ?= torch==2.13.0

# One process per core, at most four to save memory; the tests of a file stay in one process, because
# they share trained models.
PARALLEL ?= --numprocesses=auto --maxprocesses=4 --dist=loadfile

.PHONY: help demo compare test soak test-backends lint format bench bench-report clean

help:
	@echo "make demo           train on generated images, localize, export: about two minutes"
	@echo "make compare        the same with and without hiding: 3 seeds, tables and pictures"
	@echo "make test           all tests except those of other backends"
	@echo "make soak           100,000 mutated files for every parser, 5,000 for every loader of models: hours"
	@echo "make test-backends  layers, models, ops and metrics on JAX and on PyTorch"
	@echo "make lint           ruff, mypy, and a check that imports point downwards without cycles"
	@echo "make format         format the code and fix what ruff can fix"
	@echo "make bench          benchmarks next to peers: about ten minutes"
	@echo "make bench-report   their plots, and their tables in docs/generated/benchmarks.md"
	@echo "make clean          delete everything that these targets created"

$(VENV)/installed: pyproject.toml setup.cfg
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=23"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@$(BIN)/python -c "import cv2" 2>/dev/null || { \
		echo "OpenCV cannot be loaded (no libGL?): installing opencv-python-headless instead"; \
		$(BIN)/python -m pip uninstall --quiet --yes opencv-python; \
		$(BIN)/python -m pip install --quiet opencv-python-headless; }
	@touch $@

$(VENV)/installed-backends: $(VENV)/installed
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[dev,backends]"
	@touch $@

# Some peers have no build for every Python: those that cannot be installed are left out, and the
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

soak: $(VENV)/installed
	KERAS_HAS_SOAK=1 $(BIN)/python -m pytest tests/fuzz -rP $(PARALLEL)

test-backends: $(VENV)/installed-backends
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m backends $(PARALLEL)
	KERAS_BACKEND=torch $(BIN)/python -m pytest -m backends $(PARALLEL)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/check_imports.py
	@if command -v node >/dev/null; then \
		for script in trainers/reports/static/*.js; do node --check "$$script" || exit 1; done; \
	else echo "Scripts of the reports are not checked: node is not installed"; fi

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks

bench-report: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.report

clean:
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
