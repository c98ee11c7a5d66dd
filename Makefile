# Every target makes .venv on first use and reuses it. Another interpreter: make test PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# fastml, and the matrix products of its rival NumPy.
ONE_THREAD := FASTML_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

# What a vector width, a number of threads or other versions could break; none of it needs an extra.
BREADTH := tests/test_agreement.py tests/test_every_instruction.py tests/test_saving.py tests/test_threads.py \
	$(filter-out %_executor.py,$(wildcard tests/test_kernel_*.py))
# What is to work where no extra is installed, as in the environments of other versions.
BARE := tests/test_cli.py tests/test_import.py tests/test_keras_habits.py
VERSION_oldest := 3.10
VERSION_newest := 3.13
SIMD_newest := FASTML_SIMD_BITS=128
PINS_oldest := --constraint .ci/oldest.txt
BITS ?= 256
THREADS ?= 3

.PHONY: help demo test test-all test-odd test-even test-breadth test-oldest test-newest coverage lecture bench bench-peers \
	lint format clean

help:
	@echo "make demo     train a classifier of handwritten digits and compare with NumPy"
	@echo "make test     run the tests; those that need an extra are skipped where it is missing"
	@echo "make test-all install the extras and run all tests"
	@echo "make test-breadth run tests of the executor with vectors of BITS=256 bits and THREADS=3 threads"
	@echo "make test-oldest, test-newest run them with the oldest versions and Python 3.10, 3.13 and 128 bits"
	@echo "make coverage run all tests and tell which lines they do not reach"
	@echo "make lecture  draw the pictures of docs/lecture.md"
	@echo "make bench    measure the kernels and the training step against NumPy"
	@echo "make bench-peers measure training steps against PyTorch, JAX and scikit-learn: a quarter of an hour"
	@echo "make lint     check the source with ruff"
	@echo "make format   format the source with ruff"
	@echo "make clean    remove .venv, .venv-… and everything that was built or cached here"

demo: .venv/installed
	@$(BIN)/fastml demo

test: .venv/installed
	@$(BIN)/python -m pytest

test-all: .venv/all
	@$(BIN)/python -m pytest

# All tests in two halves, which two cores run at a time: every second file.
test-odd test-even: test-%: .venv/all
	@ls tests/test_*.py | awk 'NR % 2 == ("$*" == "odd")' | xargs $(BIN)/python -m pytest --quiet -p no:cacheprovider

test-breadth: .venv/installed
	@FASTML_SIMD_BITS=$(BITS) FASTML_TEST_THREADS=$(THREADS) $(BIN)/python -m pytest --quiet $(BREADTH)

test-oldest test-newest: test-%: .venv-%/installed
	@$(SIMD_$*) .venv-$*/bin/python -m pytest --quiet $(BREADTH) $(BARE)

coverage: .venv/all .venv/dev
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m coverage run -m pytest --quiet
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --skip-covered --show-missing

lecture: .venv/all
	@$(BIN)/python examples/lecture.py

bench: .venv/installed
	@$(ONE_THREAD) $(BIN)/python -m pytest bench --benchmark-columns=median,iqr,rounds \
		--benchmark-group-by=group --benchmark-sort=name --benchmark-warmup=on --benchmark-max-time=0.3

bench-peers: .venv-peers/installed .venv-peers-jax/installed
	@.venv-peers/bin/python -m bench.peers $(PEERS)
	@$(if $(PEERS),,.venv-peers/bin/python -m bench.peers.products)

lint: .venv/dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

format: .venv/dev
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean:
	@rm -rf .venv .venv-* build dist *.egg-info .pytest_cache .ruff_cache .benchmarks .hypothesis .coverage*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: made once everything is installed, made again when the dependencies change.
.venv/installed: pyproject.toml
	@echo "Setting up .venv with $(PYTHON): once, a minute or so …"
	@$(PYTHON) -m venv .venv
	@$(PIP) --editable '.[test]'
	@touch $@

.venv/dev: .venv/installed
	@$(PIP) --editable '.[dev]'
	@touch $@

.venv/all: .venv/installed
	@echo "Adding PyTorch, scikit-learn, matplotlib and others: once, a minute or more …"
	@$(PIP) --editable '.[plots,tensorboard,sklearn,tables,train,frames,test,oracle]'
	@touch $@

.venv-oldest/installed .venv-newest/installed: .venv-%/installed: pyproject.toml .ci/oldest.txt
	@echo "Setting up .venv-$* with Python $(VERSION_$*): once, a minute or so …"
	@python=$$(.ci/python $(VERSION_$*)) || { echo "There is no Python $(VERSION_$*) here" >&2; exit 1; }; \
		$$python -m venv .venv-$*
	@.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]' $(PINS_$*)
	@touch $@

# Apart, so that the rivals bring nothing into the environment of the tests.
.venv-peers/installed: pyproject.toml
	@echo "Setting up .venv-peers with $(PYTHON), PyTorch, JAX and scikit-learn: once, some minutes …"
	@$(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[plots,peers]'
	@touch $@

# An older JAX, whose runtime was faster on small nets; there are no wheels of it for each Python.
.venv-peers-jax/installed:
	@$(PYTHON) -m venv .venv-peers-jax
	@.venv-peers-jax/bin/python -m pip install --quiet --disable-pip-version-check jax==0.4.31 jaxlib==0.4.31 \
		|| { echo "JAX 0.4.31 cannot be installed here, and is left out" >&2; rm -rf .venv-peers-jax; mkdir .venv-peers-jax; }
	@touch $@
