# make        set up, run every chapter, build the book      make test   set up, run the tests
# make lab    your own copies, in JupyterLab                 make book   only the book
# make run    only the chapters                              make lint   only ruff
# make soak   the fault tests in full, an hour or so         make bench  time and memory
# make clean  remove what was built (not .venv, not data/)

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

.PHONY: all course run book test soak bench lint lab clean
all: course

course: run book

run: $(READY)
	$(COURSE) run

book: $(READY)
	$(COURSE) book

test: $(READY) lint
	$(COURSE) save --check
	$(BIN)/python -m pytest -n auto --dist loadgroup

soak: $(READY)
	COURSE_SOAK=1 $(BIN)/python -m pytest -n auto --dist loadgroup tests/faults

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
