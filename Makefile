# Two commands do everything on a fresh machine: `make repro` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# An old pip warns that lxml has no extra html_clean, of which jusText writes the old name.
VENV := $(PYTHON) -m venv .venv && python -m pip install --quiet --upgrade pip
# Stages call `python`: it has to be the environment's.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test pytest lint story docs release lock

repro: .venv/train
	dvc repro
	@paratopic report

# Side by side, because mypy uses one processor.
test: .venv/dev
	@$(MAKE) --no-print-directory --jobs 2 lint pytest

# More at a time than a small machine has processors, because some tests wait for servers; on one
# thread each. The tests of one file share a pipeline and stay together, in the order of their
# folders: the last ones are short. Compiled code is kept, for the many programs that tests start.
pytest: .venv/dev
	MAKEFLAGS= OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: .venv/dev
	ruff check src tests benchmarks examples
	ruff format --check src tests benchmarks examples
	mypy
	python benchmarks/record.py

# Articles in, labels from the page, figures before and after; in a clone, and needs Chromium.
story: .venv/dev
	python examples/labelling_loop.py

# The documentation as a site, in build/site; look at it with `python -m http.server -d build/site`.
docs: .venv/dev
	.ci/site build

# What a release needs besides `make test`; installs the archives into an empty environment.
release: .venv/dev docs
	.ci/release

# The versions that a fresh machine gets; torch is left to the machine, which may have a GPU.
# Make them with an early Python 3.11, such as Debian's 3.11.2: some packages refuse it.
lock: .venv/dev
	@{ echo '# Made by `make lock`: the versions that the pipeline was run with.'; \
	pip freeze --exclude-editable --exclude torch --exclude triton | grep -v '^nvidia-'; } > lock.tmp
	mv lock.tmp constraints.txt

# An environment that has the dev extra has the train extra too.
.venv/train: pyproject.toml constraints.txt
	@test -e .venv/dev -a .venv/dev -nt pyproject.toml -a .venv/dev -nt constraints.txt || \
	{ echo 'Installing into .venv (2 to 6 minutes) ...'; \
	$(VENV) && pip install --quiet -c constraints.txt -e '.[train]'; }
	@touch $@

.venv/dev: pyproject.toml constraints.txt
	@echo 'Installing into .venv (2 to 6 minutes) ...'
	@$(VENV) && pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@
