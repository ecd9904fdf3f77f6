# What a person types; `make help` lists it. For GNU make 3.81 or newer.
# Paths are relative: the folder's own may contain spaces.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup book test lint unit fonts chapters html pages lab \
	notebooks serve pdf lock bench repository clean

# The Python that makes .venv: its own as soon as there is one.
PYTHON = $(shell [ -e .venv/complete ] && [ -x .venv/bin/python ] \
	&& echo .venv/bin/python || echo python3)
PORT := 8000
pytest := .venv/bin/python -m pytest -n 2 --dist loadfile

# Nobody's own settings may change what runs here or which kernel starts.
unexport $(filter JAX_% XLA_% JUPYTER_% PYTHON% PYTEST_%,$(.VARIABLES))
export PYTHONUTF8 := 1
export JUPYTER_PREFER_ENV_PATH := 1
export IPYTHONDIR := $(CURDIR)/.venv/ipython
export MPLCONFIGDIR := $(CURDIR)/.venv/matplotlib

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' \
		Makefile

setup: # .venv, as every other command needs it
	@'$(PYTHON)' -c '' 2>/dev/null || { echo 'No $(PYTHON) starts here:' \
		'install Python 3.11 or newer, or name yours: make book' \
		'PYTHON=python3.13' >&2; exit 1; }
	@'$(PYTHON)' scripts/setup.py

book: html ## build the book's pages from the chapters as committed
	@echo 'Open _build/html/index.html, or type: make serve'

# make names the step that is red; make -k test goes on after it.
test: lint unit chapters html pages ## run every check, step by step

lint: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check

unit: setup
	$(pytest) tests -m 'not book'

# Matplotlib lists them once, and says so: now, not in a chapter's output.
fonts: setup
	@.venv/bin/python -c 'import matplotlib.font_manager'

# Do they print and draw what is committed, and use each key once?
chapters: fonts
	$(pytest) --nbval notebooks/ -p tests.pictures_and_keys

# From scratch: Sphinx takes the half-written pages and old pictures of an
# earlier build for finished ones. The stamp says that this one is.
html: setup
	rm -rf _build/complete _build
	.venv/bin/jupyter-book build . -W -n --keep-going
	@touch _build/complete

pages: setup
	$(pytest) tests -m book

# In an environment of its own, so that the lock stays small. The first folder
# is asked first: its kernel is the book's, not JupyterLab's.
lab: fonts ## open the chapters in JupyterLab, with the book's kernel
	@.venv/bin/python -m ipykernel install --prefix .venv/lab >/dev/null
	JUPYTER_PATH='$(CURDIR)/.venv/lab/share/jupyter' .venv/bin/uv tool run \
		--python .venv/bin/python --from 'jupyterlab<5' jupyter-lab notebooks

notebooks: fonts ## execute and normalize the chapters in place
	.venv/bin/python scripts/chapters.py

serve: ## show the built book on this machine; PORT=8000
	@[ -e _build/complete ] || $(MAKE) book
	@echo 'The book is at http://localhost:$(PORT); Ctrl-C ends this.'
	@'$(PYTHON)' -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html \
		2>/dev/null || echo 'Port $(PORT) is taken: make serve PORT=8001'

pdf: setup ## print the book as one PDF
	@[ -e _build/complete ] || $(MAKE) book
	.venv/bin/python scripts/pdf.py

# Readers on Python 3.12 and newer get a newer JAX than 3.11 can have.
lock: setup ## renew requirements.txt; make test then says what has changed
	.venv/bin/uv pip compile pyproject.toml --group book --group test \
		--upgrade --quiet --universal --python-version 3.11 \
		--fork-strategy requires-python --generate-hashes --no-header \
		--output-file requirements.txt

# The lock has one JAX for Python 3.11 and a newer one for newer Pythons. Each is
# timed in an environment of its own, the older first.
bench: setup ## time the book beside its peers, on both versions of JAX
	@set -e; add=; for python in 3.11 '>=3.12,<3.15'; do \
		.venv/bin/uv venv --quiet --clear --no-python-downloads \
			--python "$$python" .venv/bench 2>/dev/null || \
			{ echo "Skipped: no Python $$python is here"; continue; }; \
		.venv/bin/uv pip install --quiet --python .venv/bench/bin/python \
			--require-hashes --only-binary :all: -r requirements.txt; \
		PYTHONPATH=. .venv/bench/bin/python benchmarks/bench.py $$add; \
		add=--add; \
	done

repository: ## write your address everywhere: make repository URL=…
	@'$(PYTHON)' scripts/stamp.py "$$URL"

clean: ## remove all that make has made, .venv included
	rm -rf .venv/complete .venv .nox _build/complete _build build *.egg-info \
		.pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
