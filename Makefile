# make demo: the whole way once, on the embedded corpus. make test: lint, types, tests. Both set up what they need.

PYTHON ?= python3
BIN := .venv/bin
# Two processes; a file's tests stay in one of them, as they share what they are given.
PARALLEL := -n 2 --dist loadfile
MINI := train/data/mini/manifest.jsonl
HELD_OUT := $(shell grep -m 1 '"split": "test"' $(MINI))
CLIP := $(shell echo '$(HELD_OUT)' | sed 's/.*"audio": "\([^"]*\)".*/\1/')
SAID := $(shell echo '$(HELD_OUT)' | sed 's/.*"text": "\([^"]*\)".*/\1/')

# What a device does: the command, in an interpreter that is then asked what it imported.
define HEAR
import sys
from ds2edge.runtime.cli import main
main(sys.argv[1:], standalone_mode=False)
assert not {"tensorflow", "keras"} & set(sys.modules), "the runtime imported tensorflow"
print("(by an interpreter that has imported neither tensorflow nor keras)")
endef
export HEAR

.PHONY: demo test lint types unit slow long format release-model clean

demo: .venv/train
	rm -rf demo
	$(BIN)/ds2edge train mini $(MINI) -o demo/run
	$(BIN)/ds2edge convert demo/run --calibration $(MINI) -o demo/mini.tflite
	$(BIN)/ds2edge parity demo/run $(MINI) -m demo/mini.tflite --max-wer-increase 1 -o demo
	$(BIN)/ds2edge info -m demo/mini.tflite
	@echo; echo "A voice that is in no training clip. What it says: $(SAID)"
	@$(BIN)/python -c "$$HEAR" transcribe -m demo/mini.tflite train/data/mini/$(CLIP)

# What CI runs. The tiers one by one: CONTRIBUTING.md says what each holds.
test: lint types unit slow

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy

unit: .venv/dev
	$(BIN)/pytest $(PARALLEL) -m "not slow and not long"

slow: .venv/dev
	$(BIN)/pytest $(PARALLEL) -m "slow and not long"

# The same proofs at full length, and those that take a quarter of an hour: before a release.
long: .venv/dev
	$(BIN)/pytest -m long

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Everything that depends on the acoustic model. train/pretrained/release/__main__.py says what RUN, SPEECH and the others are.
WORK ?= release
EVERY ?= 3
release-model: .venv/dev
	$(BIN)/python -m ds2edge.train.pretrained.release $(RUN) $(SPEECH) $(DATA) -o $(WORK) --every $(EVERY) \
	  $(if $(NOISE),--noise $(NOISE)) $(if $(COMMANDS),--commands $(COMMANDS)) $(if $(WAKE),--wake $(WAKE)) \
	  $(TESTS:%=--test %)

.venv/train: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "training needs Python 3.10 to 3.13: make PYTHON=python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv || { echo "apt-get install python3-venv, then again" >&2; exit 2; }
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[train]'
	touch $@

.venv/dev: .venv/train
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[train,dev]'
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[mic]' >/dev/null 2>&1 || \
	  echo "no PyAudio, so no tests with microphones: apt-get install portaudio19-dev gcc, then make clean test"
	touch $@

clean:
	rm -rf .venv demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
