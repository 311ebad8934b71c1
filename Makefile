# The commands of the course; `make` alone lists them. Each sets itself up: a virtual environment in .venv with the pinned packages.
PYTHON ?= python3
VENV := $(or $(COURSE_VENV),.venv)
PY := $(VENV)/bin/python
export PATH := $(abspath $(VENV)/bin):$(PATH)
export JUPYTER_PREFER_ENV_PATH := 1
ifdef COURSE_DATA
export COURSE_DATA := $(if $(wildcard $(COURSE_DATA)),$(abspath $(COURSE_DATA)),$(COURSE_DATA))
endif

.DEFAULT_GOAL := help
.PHONY: help setup-lab setup-all lab course test claims notebooks exercises grade bench weights clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup-lab setup-all: setup-%:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "set-up stopped: no '$(PYTHON)' here; install Python 3.10 to 3.13, or name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) tools/setup_venv.py $*

lab: setup-lab  ## open JupyterLab on lesson 01
	@$(PY) -m jupyter lab --allow-root $(LAB_ARGS) notebooks/01_dense_autoencoder.ipynb

course: setup-all  ## execute every notebook without a window, and print a table
	@$(PY) tools/build.py --course

test: setup-all  ## run all tests, on the full data where COURSE_DATA or the cache holds it, else on the sample
	@$(PY) tools/run_tests.py

claims: setup-all  ## the claims that need longer training; writes tests/claims/RESULTS.md
	@$(PY) tools/claims.py

notebooks: setup-all  ## rebuild the notebooks and solutions whose sources changed (ALL=1: every one)
	@$(PY) tools/build.py $(if $(ALL),--all)

exercises: setup-all  ## student versions of the exercises, and one zip of them
	@$(PY) tools/exercises.py

grade: setup-all  ## grade a folder or zip of submissions: make grade SUBMISSIONS=path
	@$(PY) grading/grade.py "$(SUBMISSIONS)"

bench: setup-all  ## training speed beside other frameworks; writes benchmarks/RESULTS.md
	@$(PY) benchmarks/bench.py

weights: setup-all  ## train the shipped weights again
	@$(PY) tools/make_weights.py

clean:  ## remove the environment and everything that was made
	rm -rf $(VENV) build *.egg-info .pytest_cache notebooks/checkpoints
	find . -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
