# Two commands set up a fresh machine by themselves: `make run` opens the lab, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FLAGS ?=
VECTORS ?= runs/vectors

.PHONY: run test test-long lint bench pretrain parity help

help:
	@echo "make run                       open the lab on http://127.0.0.1:7860   (FLAGS=\"--port 7870\" for other arguments of app.py)"
	@echo "make test                      the default suite: everything in small, and the page in a real browser"
	@echo "make test-long                 the rest: whole trainings, recipes, every story of the page; twelve minutes"
	@echo "make lint                      ruff, with the rules of pyproject.toml"
	@echo "make bench                     seconds an edited image, the published way and ours; rewrites benchmarks/edit_speed.md"
	@echo "make pretrain                  train everything in checkpoints/ again; goes on where it was stopped"
	@echo "make parity VECTORS=<folder>   compare the diffusion process with recorded vectors"

run: $(VENV)/.run-ready
	$(BIN)/python app.py $(FLAGS)

# Two workers take one file after the other, so that what a file's tests share is made once. FLAGS="-n 0": one test after the other.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.test-ready
	$(BIN)/python tests/browser/get_browser.py
	$(PYTEST) $(FLAGS)

test-long: $(VENV)/.test-ready
	$(BIN)/python tests/browser/get_browser.py
	$(PYTEST) -m "long and not slow and not gpu" $(FLAGS)

lint: $(VENV)/.test-ready
	$(BIN)/ruff check .

bench: $(VENV)/.run-ready
	$(BIN)/python -m benchmarks.edit_speed $(FLAGS)

parity: $(VENV)/.run-ready
	$(BIN)/python -m core.parity $(VECTORS)

# In this order: judge and encoders learn the whole world, the base photos. A first CLIP leads first edits; what they make teaches CLIP where
# it was fooled; that one is given an axis for beards, and the edits that are kept are trained with it. Streets are a world of their own.
pretrain: $(VENV)/.run-ready
	$(BIN)/python -m core.pretrain.judge
	$(BIN)/python -m core.pretrain.identity
	$(BIN)/python -m core.pretrain.base
	$(BIN)/python -m core.pretrain.base --evaluate
	$(BIN)/python -m core.pretrain.clip --minutes 80
	$(BIN)/python -m core.pretrain.edits --cache cache/first --out cache/first/edits
	$(BIN)/python -m core.pretrain.attempts --edits cache/first/edits
	$(BIN)/python -m core.pretrain.clip --work cache/pretrain/clip --out cache/clip_without_axis
	$(BIN)/python -m core.pretrain.clip_axis beard
	$(BIN)/python -m core.pretrain.edits
	$(BIN)/python -m core.pretrain.asyrp_quality --count 256
	$(BIN)/python -m core.pretrain.sdft_quality --ship checkpoints/edits
	$(BIN)/python -m core.pretrain.tenshot_quality --domain painting --out benchmarks/tenshot_painting.md --ship checkpoints/edits
	$(BIN)/python -m core.pretrain.translation_quality painting SDFT=checkpoints/edits/sdft_painting.safetensors --iterations 600 --out cache/translation.md --ship checkpoints/edits
	$(BIN)/python -m core.pretrain.streets_sd
	$(BIN)/python -m core.pretrain.streets_sd --evaluate

# An environment that is there is used as it is; the stamps only remember which requirements went into it.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Shiftlab needs Python 3.10 or newer. Name one: make PYTHON=python3.12 run"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(VENV)/.run-ready: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.test-ready: requirements-dev.txt requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/.run-ready
