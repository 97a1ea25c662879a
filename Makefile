# Russet: everything a developer runs. `make help` lists it.
#
# Each target checks what it needs and says which package has it. Nothing is installed outside .venv and target.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SECONDS := 60
PYTEST_ARGS :=
PEERS_ARGS :=
SAMPLING_ARGS :=
RUNTIME_ARGS :=
CONVERSION_ARGS :=
PRETRAINED_ARGS :=
INTEGRATION_ARGS :=
LARGE_ARGS :=

.PHONY: help
help: ## List the targets
	@echo "make TARGET, where TARGET is one of"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

# Prerequisites

.PHONY: check-rust
check-rust:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.92 or newer from https://rustup.rs (or the package 'rustup')" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "cc is missing: install the package 'build-essential' (Debian, Ubuntu), 'gcc' (Fedora) or Xcode's command line tools (macOS: xcode-select --install)" >&2; exit 1; }

$(STAMP): requirements-dev.txt
	@python="$$(.ci/find-python)"; [ -x $(BIN)/python ] || "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Builds

.PHONY: develop
develop: check-rust $(STAMP) ## Build the extension quickly and install the package into .venv
	@PIP_QUIET=1 VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/maturin develop --quiet --profile develop

.PHONY: release
release: check-rust $(STAMP) ## Build the extension as it is published and install the package into .venv
	@PIP_QUIET=1 VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/maturin develop --quiet --release

# What users run

.PHONY: demo
demo: release ## Generate text with the model on board, then show the tokenizer beside `tokenizers`; nothing is trained or fetched
	@$(BIN)/python examples/demo.py

.PHONY: test
test: test-rust test-python ## Run all tests: the crate's, then the package's

.PHONY: test-rust
test-rust: check-rust ## Run the crate's tests; they need no Python
	@if command -v cargo-nextest >/dev/null; then cargo nextest run --package russet --no-fail-fast && cargo test --quiet --package russet --doc; \
	else cargo test --quiet --package russet; fi

.PHONY: test-python
test-python: develop ## Run the package's tests on all cores, then those that want the machine alone; PYTEST_ARGS is passed on
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal -m "not alone" $(PYTEST_ARGS) || [ $$? -eq 5 ]
	@$(BIN)/python -m pytest -m alone $(PYTEST_ARGS) || [ $$? -eq 5 ]

.PHONY: test-reference
test-reference: develop ## Run the sampler and models behind packages beside the real transformers, if pip finds torch for processors
	@tests/reference/run $(PYTEST_ARGS)

.PHONY: test-large
test-large: release ## Convert checkpoints of 100M parameters and compare with torch; LARGE_ARGS="--torch-python PATH" tells where torch is
	@$(BIN)/python tests/reference/large_checkpoints.py $(LARGE_ARGS)

.PHONY: lint
lint: develop ## Check formatting, lints, types, the stub and the documents
	@rustup component list --installed 2>/dev/null | grep -q rustfmt || cargo fmt --version >/dev/null || { echo "rustfmt is missing: rustup component add rustfmt clippy" >&2; exit 1; }
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	cargo clippy --quiet --package russet-python --features abi3 -- -D warnings
	cargo check --quiet --manifest-path fuzz/Cargo.toml --no-default-features
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest russet._core
	$(BIN)/python -m pytest -q tests/unit/test_documents.py

.PHONY: bench
bench: release ## Run the benches: criterion for each stage, then the Python API beside `tokenizers`
	cargo bench --package russet-benches
	$(BIN)/python -m pytest benches --benchmark-only $(PYTEST_ARGS)

.PHONY: bench-peers
bench-peers: release ## Run Russet beside every fast tokenizer package (from PyPI); PEERS_ARGS="--quick" takes minutes, not an hour
	@$(BIN)/python benches/peers.py $(PEERS_ARGS)

.PHONY: bench-sampling
bench-sampling: release ## Run the sampler beside NumPy and transformers, and say which bars are met; SAMPLING_ARGS=--write keeps the tables
	@$(BIN)/python benches/sampling.py $(SAMPLING_ARGS)

.PHONY: bench-runtime
bench-runtime: release ## Run the portable runtime beside torch on a decoder of 113M parameters; RUNTIME_ARGS="--torch-python PATH" tells where torch is
	@$(BIN)/python benches/runtime.py $(RUNTIME_ARGS)

.PHONY: bench-conversion
bench-conversion: release ## Run conversion beside coremltools' own way: memory and time; CONVERSION_ARGS="--size 1.1b" takes a large model
	@$(BIN)/python benches/conversion.py $(CONVERSION_ARGS)

.PHONY: bench-pretrained
bench-pretrained: release ## Run AutoTokenizer beside transformers: loading in fresh processes, and calls; PRETRAINED_ARGS names folders
	@$(BIN)/python benches/pretrained.py $(PRETRAINED_ARGS)

.PHONY: bench-integration
bench-integration: release ## Run transformers' tokenizers on Russet and as they are; INTEGRATION_ARGS=--write keeps the table
	@$(BIN)/python benches/integration.py $(INTEGRATION_ARGS)

.PHONY: bench-templates
bench-templates: release ## Render chat templates beside transformers
	@$(BIN)/python benches/chat_templates.py

.PHONY: bench-generation
bench-generation: release ## Measure what the loop of generation costs a token
	@$(BIN)/python benches/generation.py

.PHONY: instructions
instructions: check-rust ## Count the instructions of the main paths under callgrind, beside benches/instructions.json
	@python="$$(.ci/find-python)"; "$$python" benches/instructions.py

.PHONY: fuzz
fuzz: check-rust ## Fuzz every target for SECONDS=60 (with cargo-fuzz on nightly Rust, else with the stable driver)
	@fuzz/run $(SECONDS)

.PHONY: fixtures
fixtures: $(STAMP) ## Make tests/data again
	@$(BIN)/python tests/data/make_fixtures.py

.PHONY: clean
clean: ## Remove what the targets above made
	rm -rf target fuzz/target benches/.peers $(VENV) .venv-reference .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find python tests benches -name __pycache__ -type d -prune -exec rm -rf {} +
