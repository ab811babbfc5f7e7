# make demo: the whole way once, on the embedded corpus. make test: lint, types, tests. Both set up what they need.

PYTHON ?= python3
BIN := .venv/bin
MINI := train/data/mini/manifest.jsonl
CLIP := $(shell grep '"split": "test"' $(MINI) | head -n 1 | sed 's/.*"audio": "\([^"]*\)".*/\1/')

.PHONY: demo test clean

demo: .venv/train
	rm -rf demo
	$(BIN)/ds2edge train mini $(MINI) -o demo/run
	$(BIN)/ds2edge convert demo/run --calibration $(MINI) -o demo/mini.tflite
	$(BIN)/ds2edge parity demo/run demo/mini.tflite $(MINI) --max-wer-increase 1 --report demo
	@echo "A voice that was in no training clip, heard by an interpreter that has no tensorflow imported:"
	$(BIN)/python -X importtime -m ds2edge.runtime.cli transcribe -m demo/mini.tflite train/data/mini/$(CLIP) 2>demo/imports
	@! grep -E '\| *(tensorflow|keras)( |\.|$$)' demo/imports && grep '"audio": "$(CLIP)"' $(MINI)

test: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

.venv/train: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "training needs Python 3.10 to 3.13: make PYTHON=python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv || { echo "apt-get install python3-venv, then again" >&2; exit 2; }
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[train]'
	touch $@

.venv/dev: .venv/train
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[train,dev]'
	touch $@

clean:
	rm -rf .venv demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
