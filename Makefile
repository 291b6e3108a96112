# Every verb of the project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONPATH := operator:tests

.PHONY: help
help: ## List the verbs
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: requirements/dev.txt
	@echo "making the virtual environment in $(VENV)" >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: venv
venv: $(VENV)/.installed ## Make the virtual environment

.PHONY: format
format: venv ## Format and mend what can be mended by itself
	$(BIN)/ruff format operator tests
	$(BIN)/ruff check --fix operator tests

.PHONY: check
check: venv lint types contracts generated test-unit ## All that needs no cluster, in under 90 s

.PHONY: lint
lint: venv ## Style, without changing a file
	$(BIN)/ruff format --check operator tests
	$(BIN)/ruff check operator tests

.PHONY: types
types: venv ## Types
	$(BIN)/mypy

.PHONY: contracts
contracts: venv ## Which module may import which
	$(BIN)/lint-imports

.PHONY: generate
generate: venv ## Write the CRD, its copies and the API reference anew
	$(BIN)/python -m qmodel.api.generate

.PHONY: generated
generated: venv ## Fail if a generated file is not what the code says
	$(BIN)/python -m qmodel.api.generate --check

.PHONY: lock
lock: venv ## Lock every requirements file anew
	requirements/lock

.PHONY: test-unit
test-unit: venv ## Tests without a cluster
	$(BIN)/pytest tests/unit --numprocesses auto

.PHONY: test-sources
test-sources: venv ## Tests against a real S3 server and a real registry, started here
	$(BIN)/pytest tests/sources

.PHONY: test-pages
test-pages: venv ## The pages of reports, in a headless Chromium
	@$(BIN)/python tests/browser/chromium.py
	$(BIN)/pytest tests/browser --timeout 300

.PHONY: cluster
cluster: venv ## A Kubernetes: the current context's, kind's, or one started here
	$(BIN)/python tests/cluster up

.PHONY: images
images: venv cluster ## Build the images and load them into the cluster
	$(BIN)/python tests/cluster images

.PHONY: push
push: venv ## Build and push the images, all or IMAGES, to REGISTRY; prints the chart's values
	@$(BIN)/python tests/cluster push "$(REGISTRY)" $(IMAGES) $(if $(TAG),--tag $(TAG))

.PHONY: kubeconfig
kubeconfig: venv ## Print the kubeconfig of the cluster that demo and tests use
	@$(BIN)/python tests/cluster kubeconfig

.PHONY: test
test: check test-sources test-pages cluster images ## All that CI runs
	@$(BIN)/python tests/cluster tools > /dev/null # compiles helm where that was never done
	$(BIN)/pytest tests/integration tests/e2e --timeout 900 --durations 25

.PHONY: demo
demo: venv ## From nothing to a chat answer of a quantized model
	@$(BIN)/python tests/demo up

.PHONY: demo-down
demo-down: venv ## Remove what the demo made
	@$(BIN)/python tests/demo down

.PHONY: run
run: images ## Run the operator from here, where none is installed, with the images of this tree
	@while IFS== read -r name reference; do \
		name=$${name//-/_}; export "QMODEL_IMAGE_$${name^^}=$$reference"; \
	done < <($(BIN)/python tests/cluster images --print-refs); \
	kubeconfig=$$(mktemp); trap 'rm -f "$$kubeconfig"' EXIT; \
	$(BIN)/python tests/cluster kubeconfig > "$$kubeconfig"; \
	KUBECONFIG=$$kubeconfig $(BIN)/python -m qmodel --dev

.PHONY: bench-footprint
bench-footprint: venv ## A Llama-3-8B-shaped model in bf16, NF4 and GPTQ: memory; on a GPU, or from shapes
	$(BIN)/python tests/bench footprint

.PHONY: bench-gpu
bench-gpu: ## The worker's steps on a GPU: MODEL and SERVE are folders; PYTHON has images/quantizer's libraries
	$(PYTHON) tests/bench gpu $(MODEL) $(if $(SERVE),--serve $(SERVE)) $(BENCH_ARGUMENTS)

.PHONY: bench-methods
bench-methods: cluster images ## Every method on a whole model, and the worker against plain scripts
	$(BIN)/python tests/bench methods
	$(BIN)/python tests/bench rounding
	$(BIN)/python tests/bench plain

.PHONY: bench-overhead
bench-overhead: cluster images ## Apply to Ready against the same tools by hand
	$(BIN)/python tests/bench overhead

.PHONY: bench-sizing
bench-sizing: cluster images ## Memory limits against real peaks, three settings of each engine
	$(BIN)/python tests/bench sizing
	$(BIN)/python tests/bench sizing_vllm

.PHONY: bench-ranks
bench-ranks: ## llm-compressor in two processes, on a CPU: MODEL is a folder; PYTHON as of bench-gpu
	TQDM_DISABLE=1 LLM_COMPRESSOR_LOG_LEVEL=CRITICAL \
		$(PYTHON) tests/bench ranks $(MODEL) $(BENCH_ARGUMENTS)

.PHONY: bench-scale
bench-scale: cluster ## 300 models at once on kwok nodes
	$(BIN)/python tests/bench scale
