# Two commands for a machine with Python 3.10 to 3.13 and make: `make run` and `make test`. Each sets up what it needs.
.SUFFIXES:
SHELL = /bin/sh
VENV = .venv
DIST = dist
BIN = $(VENV)/bin
HOME_DIR = $(CURDIR)/.airflow
WORKERS ?= 2
UV = UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1 $(BIN)/uv
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --build-constraints requirements/build.txt
LOCK = $(UV) pip compile --quiet $(ARGS) --universal --python-version 3.10 --generate-hashes --no-header \
	--no-annotate --no-emit-package airflow-doeks
AIRFLOW = AIRFLOW_HOME="$(HOME_DIR)" AIRFLOW_VAR_FLIGHTS_DATA="$${AIRFLOW_VAR_FLIGHTS_DATA:-$(CURDIR)/data}"

.PHONY: help run ui test fuzz test-all test-kube wheel bench editor lint format docs lock clean

help:
	@echo "make run       run the example pipeline on real data, here, with Airflow and Spark"
	@echo "make ui        open Airflow's UI on what make run left (Ctrl-C ends it)"
	@echo "make test      run the tests, two files at a time (WORKERS=0: one, as a debugger needs it)"
	@echo "make fuzz      run the tests that draw examples with fresh ones (ARGS='--seconds 600 --seed 1 FILE')"
	@echo "make test-all  run the tests on every supported Airflow and Python that this machine has"
	@echo "make test-kube runs the tests on the Kubernetes that KUBECONFIG names"
	@echo "make wheel     build dist/airflow_doeks-*.whl, which pip installs anywhere"
	@echo "make bench     measure what the promises about speed say"
	@echo "make editor    get the language server that the tests of editor support talk to"
	@echo "make docs      build the documentation into build/site, which opens without a server"
	@echo "make lint      ruff, mypy, import contracts, the documentation, docker-compose.yaml"
	@echo "make lock      pin new dependencies (ARGS=--upgrade: all anew); make clean removes what these commands made"
	@echo "PYTHON=/path/to/python chooses the interpreter of $(VENV) (3.10 to 3.13)"

run: $(VENV)/.run
	@$(AIRFLOW) $(BIN)/doeks run dags/pipelines/flights.yaml $(ARGS)
	@echo "The same run in Airflow: make ui"

ui: $(VENV)/.run
	@$(AIRFLOW) $(BIN)/doeks ui dags

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

fuzz: $(VENV)/.dev
	@$(BIN)/python tests/fuzz.py $(ARGS)

test-all: $(VENV)/.dev
	@$(BIN)/python tests/matrix.py $(ARGS)

test-kube: $(VENV)/.dev
	@$(BIN)/python -m pytest tests/kube $(ARGS)

wheel: $(BIN)/uv
	@$(UV) build --quiet --wheel --python $(BIN)/python --build-constraints requirements/build.txt --out-dir $(DIST)
	@ls $(DIST)/airflow_doeks-*.whl

bench: $(VENV)/.dev
	@missed=0; for bench in benchmarks/*.py; do $(BIN)/python $$bench || missed=1; done; exit $$missed

editor: # what the tests of editor support talk to; needs node and npm
	@mkdir -p .venvs/editor && cp requirements/editor/*.json .venvs/editor/
	@npm ci --prefix .venvs/editor --no-audit --no-fund --ignore-scripts --loglevel=error

lint: $(VENV)/.dev
	@red=0; export NO_MKDOCS_2_WARNING=1; for check in "ruff check ." "ruff format --check ." mypy "lint-imports --no-cache" \
	"mkdocs build --quiet" \
	"check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yaml"; do \
	echo "$$check"; $(BIN)/$$check || red=1; done; exit $$red

docs: $(VENV)/.dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet && echo "build/site/index.html"

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(BIN)/uv
	$(LOCK) --extra dev pyproject.toml requirements/dev.in -o requirements/dev.txt
	$(LOCK) --extra local --extra ui -c requirements/dev.txt pyproject.toml requirements/run.in -o requirements/run.txt
	$(LOCK) -c requirements/dev.txt requirements/build.in -o requirements/build.txt
	$(LOCK) requirements/uv.in -o requirements/uv.txt

clean:
	rm -rf $(VENV) .venvs "$(HOME_DIR)" data dist build

$(VENV)/.run: $(BIN)/uv requirements/run.txt requirements/build.txt pyproject.toml
	@echo "Installing Airflow, Spark and the example's data into $(VENV) (once)"
	@$(INSTALL) --require-hashes -r requirements/run.txt
	@$(INSTALL) --no-deps -e .
	@$(BIN)/doeks prepare > /dev/null || echo "Jobs run without it, each some seconds longer"
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "Installing the tools of the tests into $(VENV) (once)"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

$(BIN)/uv: requirements/uv.txt
	@$(BIN)/python -c "" 2>/dev/null || { python=$$(sh requirements/find-python.sh "$(PYTHON)") && \
	echo "Making $(VENV) with $$python" && "$$python" -m venv --clear $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@
