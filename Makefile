# `make help` lists the targets. Each does its own set-up; a second run installs nothing.
# PYTHON picks the interpreter, ARGS passes flags on: make bench ARGS="--num-batches 20"

PYTHON ?= python3
ARGS ?=
OLDEST := 2.16

PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
INSTALLED := .venv/installed-$(PYTHON_VERSION)
PLOT := $(INSTALLED)-plot
COMPARE := $(INSTALLED)-compare
FORMATS := $(INSTALLED)-formats
MEASURES := $(INSTALLED)-measures
BULK := $(INSTALLED)-bulkdemo
DOCS := $(INSTALLED)-docs
OLDEST_INSTALLED := .venv-oldest/installed-$(PYTHON_VERSION)
# A process for each core; each file's tests share what they have built.
PYTEST := -m pytest --numprocesses auto --dist loadfile
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help bulk-demo bench-bulk bench bench-1.15 bench-restore bench-train bench-train-all bench-input \
    bench-listing then-and-now compare compare-all formats measures accuracy \
    demo family soak train-distributed bench-workers test test-slow test-engines test-oldest train-faults train-precision slim-suite lint docs clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' Makefile

bench: $(INSTALLED)  ## time the forward pass of 32 images of 299x299 in a Session
	@.venv/bin/python -m scripts.benchmarks.forward $(ARGS)

bench-1.15: $(INSTALLED)  ## the same beside TensorFlow 1.15.5 and tf_slim.nets, in one run
	@.venv/bin/python -m scripts.benchmarks.vs_tf1 $(ARGS)

bench-restore: $(INSTALLED)  ## time restoring a checkpoint beside TensorFlow's own Saver
	@.venv/bin/python -m scripts.benchmarks.restore $(ARGS)

bench-start: $(INSTALLED)  ## time a process from its start to its first answer
	@.venv/bin/python -m scripts.benchmarks.startup_time $(ARGS)

compare: $(PLOT)  ## every way to run the network on this processor, side by side (ten minutes)
	@.venv/bin/python -m scripts.benchmarks.compare --json compare.json --chart compare.png $(ARGS)

compare-all: $(COMPARE)  ## the same with ONNX Runtime, OpenVINO and PyTorch, installed for it
	@.venv/bin/python -m scripts.benchmarks.compare --json compare.json --chart compare.png $(ARGS)

formats: $(FORMATS)  ## every format beside the library that owns it, at full width (minutes)
	@.venv/bin/python -m scripts.acceptance.formats $(ARGS)

measures: $(MEASURES)  ## FID, KID and the Inception Score beside other programs (minutes)
	@.venv/bin/python -m scripts.acceptance.metrics $(ARGS)

bench-listing: $(INSTALLED)  ## time the listing of 2017, unmodified, beside the same graph
	@.venv/bin/python -m scripts.benchmarks.legacy_script $(ARGS)

then-and-now: $(INSTALLED)  ## scripts of 2016 to 2019 on TensorFlow 1.15 and here, side by side
	@.venv/bin/python -m scripts.acceptance.compare_with_tf1 $(ARGS)

accuracy: $(INSTALLED)  ## what cheaper numbers cost a network trained on real digits (four minutes)
	@.venv/bin/python -m scripts.acceptance.accuracy $(ARGS)

soak: $(INSTALLED)  ## 2,000 calls of a predictor from eight threads
	@.venv/bin/python -m scripts.acceptance.soak $(ARGS)

bulk-demo: $(BULK)  ## millions of images: killed and gone on with, on Ray, from S3 (minutes)
	@.venv/bin/python -m scripts.acceptance.bulk_demo $(ARGS)

bench-bulk: $(BULK)  ## bulk beside classify, and its memory for ten times the images (minutes)
	@.venv/bin/python -m scripts.benchmarks.bulk $(ARGS)

bench-train: $(INSTALLED)  ## time a training step beside TensorFlow 1.15.5 and Keras, in one run
	@.venv/bin/python -m scripts.benchmarks.train $(ARGS)

bench-train-all: $(COMPARE)  ## the same with PyTorch, installed for it
	@.venv/bin/python -m scripts.benchmarks.train $(ARGS)

bench-workers: $(INSTALLED)  ## time workers that train together beside one process
	@.venv/bin/python -m scripts.benchmarks.workers $(ARGS)

bench-input: $(INSTALLED)  ## time classifying a folder of JPEGs beside the network alone
	@.venv/bin/python -m scripts.benchmarks.input $(ARGS)

demo: $(INSTALLED)  ## train, evaluate, classify, fine-tune and export, on real digits (minutes)
	@.venv/bin/python -m scripts.demo $(ARGS)

family: $(INSTALLED)  ## the table of the Inception family, AlexNet and VGG-16: sizes and speeds
	@.venv/bin/python -m scripts.benchmarks.model_table $(ARGS)

test: $(INSTALLED)  ## run the tests
	@.venv/bin/python $(PYTEST) $(ARGS)

test-slow: $(INSTALLED)  ## run the tests that take too long for every day
	@.venv/bin/python $(PYTEST) -m slow $(ARGS)

test-engines: $(COMPARE)  ## run the tests of engines that the others do not install
	@.venv/bin/python $(PYTEST) -m engines $(ARGS)

test-oldest: $(OLDEST_INSTALLED)  ## run the tests on the oldest supported TensorFlow
	@.venv-oldest/bin/python $(PYTEST) $(ARGS)

train-precision: $(INSTALLED)  ## train on real digits in bfloat16 and in float32 (seven minutes)
	@.venv/bin/python -m scripts.acceptance.train_precision $(ARGS)

train-faults: $(INSTALLED)  ## kill training, fill its disk, read it with 1.15.5 (minutes)
	@.venv/bin/python -m scripts.acceptance.train_faults $(ARGS)

train-distributed: $(INSTALLED)  ## kill and stop workers that train together, and go on (minutes)
	@.venv/bin/python -m scripts.acceptance.train_distributed $(ARGS)

slim-suite: $(INSTALLED)  ## run tf-slim's own tests, all of them (about eight minutes)
	@.venv/bin/python -m scripts.acceptance.slim_suite $(ARGS)

contrib-table: $(INSTALLED)  ## which names of tf.contrib are served, into docs/contrib.md
	@.venv/bin/python -m scripts.contrib_table

lint: $(INSTALLED)  ## check the code with ruff, and its types with mypy
	@.venv/bin/ruff check inception_slim scripts tests
	@.venv/bin/mypy

docs: $(DOCS)  ## the API as web pages, in build/docs; a broken link in any page fails
	@.venv/bin/python -m scripts.docs $(ARGS)

clean:  ## remove what make made
	rm -rf .venv .venv-oldest .venv-1.15 .venv-1.15-python2.7 build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find inception_slim scripts tests -name __pycache__ -prune -exec rm -rf {} +

.venv/installed-%: setup.cfg pyproject.toml
	$(call check_python,3.10 3.11 3.12 3.13)
	@echo "Setting up .venv with $(PYTHON) $* (once, a few minutes)"
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/python $(PIP_INSTALL) --editable '.[test]'
	@touch $@

# Extras, on top of what is installed.
$(PLOT) $(COMPARE) $(FORMATS) $(MEASURES) $(BULK) $(DOCS): $(INSTALLED)
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
