# Two commands for a newcomer: `make demo` and `make test`. Both set everything up first, once.

PYTHON ?= python3
OLDEST_PYTHON ?= $(PYTHON)
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
OLDEST_BIN := $(CURDIR)/.venv-oldest/bin
NEWEST_BIN := $(CURDIR)/.venv-newest/bin
# An environment for another Python, or for another Spark. Python 3.10 cannot have the newest libraries.
OTHER = .venv-$(if $(SPARK),spark-$(SPARK),$(shell $(PYTHON) -c 'import sys; print("python%d.%d" % sys.version_info[:2])'))
OTHER_BIN = $(CURDIR)/$(OTHER)/bin
OTHER_GROUP = $(if $(SPARK),spark-$(SPARK),$(shell $(PYTHON) -c 'import sys; print("oldest" if sys.version_info < (3, 11) else "newest")'))
SMOKE := $(addprefix tests/spark/test_,spark_udf.py score.py direct.py value_rules.py ddl.py)
# Two processes: one for all tests that need Spark, so that there is one session, and both for the others.
PYTEST := -m pytest -n 2 --dist loadgroup
QUICK := -m pytest -n 2 --dist load --maxschedchunk 600 -m
PYTEST_ARGS ?=
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup setup-others other demo package test test-fast test-oldest test-newest test-python test-spark bench lint clean

help:
	@echo 'make demo         set up, then score 500,720 rows of real data with a real model, on Spark and without'
	@echo 'make test         set up, then run all tests'
	@echo 'make test-fast    the quick tests: no Java, no servers, not all formats'
	@echo 'make test-oldest  the tests with Spark 3.5, pandas 2.2, NumPy 1.26: the lower bounds'
	@echo 'make test-newest  the tests of Spark with the newest one, 4.3'
	@echo 'make test-python PYTHON=python3.13  the quick tests, and some of Spark, with another Python'
	@echo 'make test-spark SPARK=4.0           some tests of Spark with 4.0 or 4.1'
	@echo 'make package      a wheel in dist/, which spark-submit takes as --py-files'
	@echo 'make bench        the benches: ratios against MLflow, in one run'
	@echo 'make lint         ruff, mypy --strict, import rules'
	@echo 'make clean        remove what the others made'

setup:
	@.ci/setup $(VENV) dev $(PYTHON)

setup-others:
	@.ci/setup .venv-oldest oldest $(OLDEST_PYTHON)
	@.ci/setup .venv-newest newest $(PYTHON)

# spark-submit takes the first python3 on the PATH, and the workers PYSPARK_PYTHON
demo: setup
	@echo 'Training a model on real measurements, writing the table'
	@$(BIN)/python tests/demo/prepare.py build/demo
	@echo 'spark-submit jobs/score.py --config conf/score.yaml'
	@PATH="$(BIN):$$PATH" PYSPARK_PYTHON="$(BIN)/python" SPARK_LOCAL_IP=127.0.0.1 \
		spark-submit --conf spark.log.level=ERROR jobs/score.py --config conf/score.yaml
	@echo 'The same without Spark: sparksig score --config conf/score.yaml --engine local'
	@$(BIN)/sparksig score --config conf/score.yaml --engine local --set output.path=build/demo/scored-local

package: setup
	@rm -rf build/lib dist
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

test: setup
	@PATH="$(BIN):$$PATH" $(BIN)/python $(PYTEST) $(PYTEST_ARGS)

test-fast: setup
	@$(BIN)/python $(QUICK) 'not spark and not server and not slow' $(PYTEST_ARGS)

test-oldest:
	@.ci/setup .venv-oldest oldest $(OLDEST_PYTHON)
	@PATH="$(OLDEST_BIN):$$PATH" $(OLDEST_BIN)/python $(PYTEST) -m 'not once' $(PYTEST_ARGS)

test-newest:
	@.ci/setup .venv-newest newest $(PYTHON)
	@PATH="$(NEWEST_BIN):$$PATH" $(NEWEST_BIN)/python $(PYTEST) -m 'spark and not once' tests/spark $(PYTEST_ARGS)

test-python: other
	@PATH="$(OTHER_BIN):$$PATH" $(OTHER_BIN)/python $(QUICK) 'not spark and not server and not slow and not once' $(PYTEST_ARGS)
	@PATH="$(OTHER_BIN):$$PATH" $(OTHER_BIN)/python -m pytest -m 'not once' $(SMOKE)

test-spark: other
	@PATH="$(OTHER_BIN):$$PATH" $(OTHER_BIN)/python -m pytest -m 'not once' $(SMOKE)

other:
	@.ci/setup $(OTHER) $(OTHER_GROUP) $(PYTHON)

bench: setup
	@$(BIN)/python -m tests.bench

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

clean:
	rm -rf $(VENV) .venv-* build dist *.egg-info .hypothesis .mypy_cache .ruff_cache .import_linter_cache
