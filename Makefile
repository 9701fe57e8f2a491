# Everything runs in a virtual environment that the first target to need it makes.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DATA_DIR ?=
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help verify test oldest lint unit lab notebooks bench bench-peers clean

help:
	@echo "make verify     theory against sampled random networks: a table and a figure (DATA_DIR=folder for MNIST files)"
	@echo "make test       lint, types and all tests"
	@echo "make oldest     all tests with the oldest versions that pyproject.toml allows, in an environment of their own"
	@echo "make lab        JupyterLab on notebooks/"
	@echo "make notebooks  run all notebooks in full and keep their outputs"
	@echo "make bench      the benchmarks, as ratios against what one would use instead"
	@echo "make bench-peers  install neural-tangents in an environment of its own, for make bench to time too"

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@

verify: $(READY)
	$(BIN)/python -m simulate verify $(if $(DATA_DIR),--data-dir "$(DATA_DIR)")

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS)

test: lint unit

# Old versions are not to blame for warnings of newer ones of what they need, so warnings are no errors here.
oldest: .venv-oldest/.ready
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest --numprocesses $(JOBS) -o filterwarnings=default

.venv-oldest/.ready: pyproject.toml
	$(PYTHON) -m venv --clear .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-oldest/bin/uv pip install --quiet --python .venv-oldest/bin/python --resolution lowest-direct --editable ".[dev]"
	@touch $@

lab: $(READY)
	$(BIN)/jupyter lab notebooks

notebooks: $(READY)
	$(BIN)/python notebooks/run.py

bench: $(READY)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks

# neural-tangents asks for a jax that nothing else here should be held back by
bench-peers: .venv-peers/.ready

.venv-peers/.ready:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check neural-tangents==0.6.5 jax==0.5.3 jaxlib==0.5.3
	@touch $@

clean:
	rm -rf $(VENV) .venv-oldest .venv-peers build *.egg-info .pytest_cache .mypy_cache .ruff_cache
