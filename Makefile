# `make help` lists the targets. Each target installs what it needs; a second run installs nothing.
# PYTHON selects the interpreter, ARGS passes arguments on: make bench ARGS="--num-batches 20"

PYTHON ?= python3
ARGS ?=
OLDEST := 2.16

PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
INSTALLED := .venv/installed-$(PYTHON_VERSION)
PLOT := $(INSTALLED)-plot
COMPARE := $(INSTALLED)-compare
FORMATS := $(INSTALLED)-formats
METRICS := $(INSTALLED)-metrics
BULK := $(INSTALLED)-bulkdemo
DOCS := $(INSTALLED)-docs
OLDEST_INSTALLED := .venv-oldest/installed-$(PYTHON_VERSION)
# One process per core; the tests of one file share what they build.
PYTEST := -m pytest --numprocesses auto --dist loadfile
# Acceptance tests print what they measure.
ACCEPTANCE := .venv/bin/python -m pytest -m acceptance -s
# Every target that runs tests, in the order of this file.
TEST_TARGETS = $(filter-out test-all,$(shell sed -n 's/^\(test[a-z0-9-]*\|slim-suite\):.*/\1/p' Makefile))
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help bench bench-1.15 bench-restore bench-start bench-train bench-train-all bench-workers \
    bench-input bench-fid bench-bulk bench-script bench-models compare compare-all demo \
    demo-datasets test test-slow test-engines test-oldest test-accuracy test-threads test-first-calls \
    test-formats test-metrics test-bulk test-tf1-scripts test-training-accuracy \
    test-training-faults test-workers slim-suite test-all contrib-table lint docs clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / {printf "make %-22s %s\n", $$1, $$2}' Makefile

bench: $(INSTALLED)  ## time the forward pass of 32 images of 299x299 in a Session
	@.venv/bin/python -m scripts.benchmarks.forward $(ARGS)

bench-1.15: $(INSTALLED)  ## the same compared with TensorFlow 1.15.5 and tf_slim.nets
	@.venv/bin/python -m scripts.benchmarks.vs_tf1 $(ARGS)

bench-restore: $(INSTALLED)  ## time checkpoint.restore compared with tf.train.Saver
	@.venv/bin/python -m scripts.benchmarks.restore $(ARGS)

bench-start: $(INSTALLED)  ## time a process from its start to its first prediction
	@.venv/bin/python -m scripts.benchmarks.startup_time $(ARGS)

bench-train: $(INSTALLED)  ## time a training step compared with TensorFlow 1.15.5 and Keras
	@.venv/bin/python -m scripts.benchmarks.train $(ARGS)

bench-train-all: $(COMPARE)  ## the same with PyTorch
	@.venv/bin/python -m scripts.benchmarks.train $(ARGS)

bench-workers: $(INSTALLED)  ## time distributed training compared with one process
	@.venv/bin/python -m scripts.benchmarks.workers $(ARGS)

bench-input: $(INSTALLED)  ## time classifying a folder of JPEGs compared with the network alone
	@.venv/bin/python -m scripts.benchmarks.input $(ARGS)

bench-fid: $(METRICS)  ## time FID of folders compared with two other programs (minutes)
	@.venv/bin/python -m scripts.benchmarks.fid $(ARGS)

bench-bulk: $(BULK)  ## time bulk compared with classify, and its memory (minutes)
	@.venv/bin/python -m scripts.benchmarks.bulk $(ARGS)

bench-script: $(INSTALLED)  ## time an unmodified script of 2017 compared with the same graph
	@.venv/bin/python -m scripts.benchmarks.legacy_script $(ARGS)

bench-models: $(INSTALLED)  ## the table of all networks: sizes and speeds
	@.venv/bin/python -m scripts.benchmarks.model_table $(ARGS)

compare: $(PLOT)  ## time every installed runtime for the network, in one run (ten minutes)
	@.venv/bin/python -m scripts.benchmarks.compare --json compare.json --chart compare.png $(ARGS)

compare-all: $(COMPARE)  ## the same with seven other libraries, from OpenVINO to ncnn
	@.venv/bin/python -m scripts.benchmarks.compare --json compare.json --chart compare.png $(ARGS)

demo: $(INSTALLED)  ## train, evaluate, classify, fine-tune and export on real digits (minutes)
	@.venv/bin/python -m scripts.demo $(ARGS)

demo-datasets: $(INSTALLED)  ## several labels, rare classes and EXIF, on real digits (minutes)
	@.venv/bin/python -m scripts.demo_datasets $(ARGS)

test: $(INSTALLED)  ## run the tests
	@.venv/bin/python $(PYTEST) $(ARGS)

test-slow: $(INSTALLED)  ## run the tests marked slow
	@.venv/bin/python $(PYTEST) -m "slow and not engines" $(ARGS)

test-engines: $(COMPARE)  ## run the tests of engines that `make test` does not install
	@.venv/bin/python $(PYTEST) -m engines $(ARGS)

test-oldest: $(OLDEST_INSTALLED)  ## run the tests on the oldest supported TensorFlow
	@.venv-oldest/bin/python $(PYTEST) $(ARGS)

test-accuracy: $(INSTALLED)  ## accuracy of bfloat16 and int8 on trained networks (four minutes)
	@$(ACCEPTANCE) tests/acceptance/test_precision_accuracy.py $(ARGS)

test-threads: $(INSTALLED)  ## 2,000 calls of a predictor from eight threads
	@$(ACCEPTANCE) tests/acceptance/test_predictor_threads.py $(ARGS)

test-first-calls: $(COMPARE)  ## start 800 processes that predict from two threads (hours)
	@$(ACCEPTANCE) tests/inference/test_first_call.py $(ARGS)

test-formats: $(FORMATS)  ## every format compared with the library that owns it (minutes)
	@$(ACCEPTANCE) tests/acceptance/test_format_owners.py $(ARGS)

test-metrics: $(METRICS)  ## generative metrics compared with other programs (minutes)
	@$(ACCEPTANCE) tests/acceptance/test_metric_programs.py $(ARGS)

test-bulk: $(BULK)  ## bulk with killed processes, on Ray and from S3 to S3 (minutes)
	@$(ACCEPTANCE) tests/acceptance/test_bulk_faults.py $(ARGS)

test-tf1-scripts: $(INSTALLED)  ## scripts of 2016 to 2019 here and on TensorFlow 1.15 (minutes)
	@$(ACCEPTANCE) tests/acceptance/test_scripts_of_tf1.py $(ARGS)

test-training-accuracy: $(INSTALLED)  ## training in bfloat16 and in float32 (seven minutes)
	@$(ACCEPTANCE) tests/acceptance/test_training_accuracy.py $(ARGS)

test-training-faults: $(INSTALLED)  ## kill training, fill its disk, read it with 1.15.5 (minutes)
	@$(ACCEPTANCE) tests/acceptance/test_training_faults.py $(ARGS)

test-workers: $(INSTALLED)  ## kill, stop and end distributed workers, and resume (minutes)
	@$(ACCEPTANCE) tests/acceptance/test_training_workers.py $(ARGS)

slim-suite: $(INSTALLED)  ## run tf-slim's own tests (about eight minutes)
	@$(ACCEPTANCE) tests/acceptance/test_slim_suite.py $(ARGS)

test-all:  ## run every target of tests in turn, whatever fails (hours)
	@failed=; \
	for target in $(TEST_TARGETS); do \
	    echo "== make $$target"; \
	    $(MAKE) --no-print-directory $$target || failed="$$failed $$target"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed:$$failed"; exit 1; fi

contrib-table: $(INSTALLED)  ## write the table of supported tf.contrib names to docs/contrib.md
	@.venv/bin/python -m scripts.contrib_table

lint: $(INSTALLED)  ## check the code with ruff and the types with mypy
	@.venv/bin/ruff check inception_slim scripts tests
	@.venv/bin/mypy

docs: $(DOCS)  ## the API reference as web pages, in build/docs; fails on broken links
	@.venv/bin/python -m scripts.docs $(ARGS)

clean:  ## remove everything that make wrote
	rm -rf .venv .venv-oldest .venv-1.15 .venv-1.15-python2.7 build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find inception_slim scripts tests -name __pycache__ -prune -exec rm -rf {} +

.venv/installed-%: setup.cfg pyproject.toml
	$(call check_python,3.10 3.11 3.12 3.13)
	@echo "Setting up .venv with $(PYTHON) $* (once, a few minutes)"
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/python $(PIP_INSTALL) --editable '.[test]'
	@touch $@

# Extras, on top of what is installed.
$(PLOT) $(COMPARE) $(FORMATS) $(METRICS) $(BULK) $(DOCS): $(INSTALLED)
	@echo "Installing the extra $(lastword $(subst -, ,$@)) into .venv (once)"
	@.venv/bin/python $(PIP_INSTALL) --editable '.[$(lastword $(subst -, ,$@))]'
	@touch $@

.venv-oldest/installed-%: setup.cfg pyproject.toml
	$(call check_python,3.10 3.11 3.12)
	@echo "Setting up .venv-oldest with $(PYTHON) $* and TensorFlow $(OLDEST) (once, a few minutes)"
	@$(PYTHON) -m venv --clear .venv-oldest
	@.venv-oldest/bin/python $(PIP_INSTALL) --editable '.[test]' \
	    'tensorflow==$(OLDEST).*' 'tf-keras==$(OLDEST).*' 'numpy==1.26.*' 'pyarrow==17.*'
	@touch $@

# Where the interpreter does not run, its version is empty and the stamp is not matched by %.
.venv/installed- .venv-oldest/installed-:
	@echo "$(PYTHON) does not run; name a Python 3.10 to 3.13, as in: make test PYTHON=python3.12" >&2
	@exit 1

check_python = @case ' $(1) ' in *' $* '*) ;; *) \
	echo "$(PYTHON) is Python $*, but this needs one of $(1); name one, as in: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12" >&2; \
	exit 1;; esac
