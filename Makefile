# The commands of the course; `make` alone lists them. Each sets itself up: a virtual environment in
# .venv with the pinned packages. Without make, call what stands in the target in the same way.
PYTHON ?= python3
VENV := $(or $(COURSE_VENV),.venv)
PY := $(VENV)/bin/python
export PATH := $(abspath $(VENV)/bin):$(PATH)
export JUPYTER_PREFER_ENV_PATH := 1
export OMP_WAIT_POLICY ?= PASSIVE
export OPENBLAS_NUM_THREADS ?= 1
ifdef COURSE_DATA
export COURSE_DATA := $(if $(wildcard $(COURSE_DATA)),$(abspath $(COURSE_DATA)),$(COURSE_DATA))
endif

.DEFAULT_GOAL := help
.PHONY: help setup-lab setup-all lab course check test claims notebooks exercises grade mark bench site weights address clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup-lab setup-all: setup-%:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "set-up stopped: no '$(PYTHON)' here; install Python 3.10 to 3.13, or name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) tools/setup_venv.py $*

lab: setup-lab  ## open JupyterLab on lesson 1 of your own copies, my-course/
	@$(PY) -m tools.my_course
	@cd my-course && $(abspath $(PY)) -m jupyter lab --allow-root $(LAB_ARGS) notebooks/01_dense_autoencoder.ipynb

course: setup-all  ## execute every notebook without a window; on the full data writes benchmarks/COURSE.md
	@$(PY) -m tools.course

check: setup-all  ## what needs no training: built files, lint, types, pins, links, the quick tests
	@$(PY) -m tools.run_tests check

test: setup-all  ## each notebook once and all unit tests, on the full data or else the sample (ALL=1: everything, for more than an hour)
	@$(PY) -m tools.run_tests $(if $(ALL),all)

claims: setup-all  ## all claims of the lessons, those that need longer training, too; writes lessons/RESULTS.md
	@$(PY) -m tools.claims

notebooks: setup-all  ## rebuild the notebooks and solutions whose sources changed (ALL=1: every one)
	@$(PY) -m tools.build $(if $(ALL),--all)

exercises: setup-all  ## student versions of the exercises, and one zip of them
	@$(PY) -m tools.exercises

grade: setup-all  ## grade a folder or zip of submissions: make grade SUBMISSIONS=path
	@$(PY) -m grading.grade $(if $(SUBMISSIONS),"$(SUBMISSIONS)") $(if $(STUDENTS),--students "$(STUDENTS)") $(if $(MOODLE),--moodle "$(MOODLE)") $(if $(CANVAS),--canvas "$(CANVAS)") $(if $(DUE),--due "$(DUE)") $(if $(DEDUCT),--deduct "$(DEDUCT)") $(if $(MODELS),--models)

mark: setup-all  ## mark the texts of graded submissions on the screen of nbgrader's formgrader
	@cd grading && $(abspath $(PY)) -m jupyter server --allow-root --ServerApp.open_browser=True --ServerApp.root_dir="$(CURDIR)" --ServerApp.default_url=/formgrader/gradebook --ServerApp.jpserver_extensions=nbgrader.server_extensions.formgrader=True $(LAB_ARGS)

bench: setup-all  ## training speed beside other frameworks; writes benchmarks/RESULTS.md
	@$(PY) -m benchmarks.bench

site: setup-all  ## the course as a folder of pages, build/site (SOLUTIONS=1: with the solutions; ZIP=1: one file to hand out)
	@$(PY) site/build.py $(if $(SOLUTIONS),--solutions) $(if $(ZIP),--zip)

weights: setup-all  ## train the shipped weights again
	@$(PY) -m tools.make_weights

address: setup-all  ## the repository's own address in all texts: make address URL=https://host/user/repo
	@$(PY) -m tools.address "$(URL)"

clean:  ## remove the environment, build/ and caches; my-course/ and grading/work/ stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache notebooks/checkpoints
	find . -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
