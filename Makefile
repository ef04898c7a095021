# make           set up, run every chapter, build the book
# make check     set up, the tests that answer within two minutes
# make test      set up, all tests but the long ones       make test-all  the long ones
# make lab       your own copies, in JupyterLab            make book      only the book
# make run       only the chapters                         make lint      only ruff
# make soak      the fault tests in full, half an hour     make bench     time and memory
# make clean     remove what was built (not .venv, not data/)

PYTHON ?= python3
BIN := .venv/bin
COURSE := $(BIN)/course
READY := .venv/.ready

# Real data in a folder beside the checkout is used where it is; else data/, else the stand-in.
ifneq ($(wildcard ../shared/data),)
export COURSE_DATA ?= $(abspath ../shared/data)
endif

# A package compiles its bytecode once, at install, or every kernel pays for it.
export PIP_NO_COMPILE =
export PIP_DISABLE_PIP_VERSION_CHECK = 1

TESTS := $(BIN)/python -m pytest -n auto --dist loadgroup
UNITS := tests/test_*.py tests/training tests/data tests/measure tests/nets tests/exercises tests/evidence \
	tests/commands/test_manifest.py tests/commands/test_save.py \
	tests/notebooks/test_notebook_form.py tests/notebooks/test_lesson_length.py

.PHONY: all course run book check test test-all formal soak bench lint lab clean
all: course

course: run book

run: $(READY)
	$(COURSE) run

book: $(READY)
	$(COURSE) book

check: formal
	$(TESTS) -m "not slow and not full" $(UNITS)

test: formal
	$(TESTS) -m "not full"

test-all: formal
	$(TESTS) -m full

# What is seen without running anything: style, and whether course_utils/nets is what chapters say.
formal: $(READY) lint
	$(COURSE) save --check

soak: $(READY)
	COURSE_SOAK=1 $(TESTS) tests/faults

# Twelve minutes on two cores that do nothing else.
bench: $(READY)
	$(COURSE) bench

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lab: $(READY)
	$(COURSE) lab

# Installs again only when the dependencies changed.
$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test,book]'
	@touch $@

clean:
	rm -rf build .pytest_cache .ruff_cache .hypothesis
