# What a person types; `make help` lists it. For GNU make 3.81 or newer.
# Paths are relative: the folder's own may contain spaces.

.DEFAULT_GOAL := help
# Of make test; make -k test goes on after a red one.
steps := $(addprefix step-,1 2 3 4 5 6 7)
.NOTPARALLEL:
.PHONY: help setup book pdf test $(steps) matrix again teeth mutants starts \
	notebooks bench record serve lock compare repository check-published clean

# The Python that makes .venv: its own as soon as there is one.
PYTHON := $(shell [ -e .venv/complete ] && [ -x .venv/bin/python ] \
	&& echo .venv/bin/python || echo python3)
PORT := 8000
# How many mutants live at a time.
JOBS := 2
run := .venv/bin/python -m
# How chapters are compared.
nbval := --nbval notebooks/ -n 2 --dist loadfile

# Nobody's own settings may change what runs here or which kernel starts.
unexport $(filter JAX_% XLA_% JUPYTER_% PYTHON% PYTEST_%,$(.VARIABLES))
export PYTHONUTF8 := 1
export JUPYTER_PREFER_ENV_PATH := 1
export IPYTHONDIR := $(CURDIR)/.venv/ipython
export MPLCONFIGDIR := $(CURDIR)/.venv/matplotlib

# $(call step,number,what,command) says what runs, and what failed.
define step
@printf '\n[%s] %s\n' '$(1)' '$(2)'; $(3) || { \
	echo 'Failed: [$(1)] $(2): the lines above say why'; exit 1; }
endef

# From scratch: Sphinx takes the half-written pages and old pictures of an
# earlier build for finished ones. The stamp, which goes first and comes last,
# says that this one is.
build := rm -f _build/complete && rm -rf _build \
	&& .venv/bin/jupyter-book build . -W -n --keep-going \
	&& touch _build/complete

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' \
		Makefile

setup: # .venv, as every other command needs it
	@'$(PYTHON)' -c '' 2>/dev/null || { echo 'No $(PYTHON) starts here:' \
		'install Python 3.11 or newer, or name yours: make book' \
		'PYTHON=python3.13' >&2; exit 1; }
	@'$(PYTHON)' scripts/setup.py

book: setup ## execute the chapters and build the book
	$(call step,book,executing the chapters and building the pages,$(build))
	@echo 'Open _build/html/index.html, or type: make serve'

pdf: setup ## print the built book as _build/html/drawing-the-line.pdf
	@[ -e _build/complete ] || $(MAKE) book
	@.venv/bin/python scripts/pdf.py

test: $(steps) ## run every check there is, the book's own build included
	@printf '\nAll seven steps passed.\n'

step-1: setup
	$(call step,1/7,lint and format,$(run) ruff check \
		&& $(run) ruff format --check)

step-2: setup
	$(call step,2/7,unit tests,$(run) pytest tests -n 2 --dist loadfile \
		-m 'not book and not browser and not versions')

step-3: setup
	$(call step,3/7,chapters give their committed outputs,$(run) pytest \
		$(nbval) -p tests.pictures_and_keys)

step-4: setup
	$(call step,4/7,and do so on the versions of Colab,$(run) pytest \
		tests/test_versions.py -m versions -k 'colab and not helpers' -rs)

step-5: setup
	$(call step,5/7,the book builds without a warning,$(build))

step-6: setup
	$(call step,6/7,the built pages,$(run) pytest tests \
		-m 'book and not browser')

step-7: setup
	$(call step,7/7,the pages in a browser,$(run) pytest tests \
		-m browser -rs -n 2 --dist loadfile)

matrix: setup ## try all Pythons and versions; ONLY=colab tries one
	@.venv/bin/python scripts/matrix.py -k '$(ONLY)'

again: setup ## see that chapters print the same again, on 1, 2, 8 devices
	@.venv/bin/python scripts/again.py

teeth: setup ## see that a change of any printed digit would be caught
	@.venv/bin/python scripts/teeth.py $(nbval)

mutants: setup ## see that unit tests notice small changes; JOBS=2
	@.venv/bin/python scripts/mutants.py --jobs '$(JOBS)' $(MODULES)

starts: setup ## start the book in every way that goes wrong; CASES="book-*"
	@.venv/bin/python scripts/starts.py $(foreach case,$(CASES),'$(case)')

notebooks: setup ## execute and normalize the chapters in place
	@.venv/bin/python scripts/chapters.py

bench: setup ## time the book beside its peers, in ten minutes
	@.venv/bin/python benchmarks/bench.py

record: setup ## fit ten billion points for chapter 10, in ten minutes
	@.venv/bin/python benchmarks/record.py .venv/record

serve: ## show the built book on this machine; PORT=8000
	@[ -e _build/complete ] || $(MAKE) book
	@echo 'The book is at http://localhost:$(PORT); Ctrl-C ends this.'
	@'$(PYTHON)' -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html \
		2>/dev/null || echo 'Port $(PORT) is taken: make serve PORT=8001'

lock: setup ## renew requirements.txt, then make test compare, red or not
	@.venv/bin/python scripts/lock.py renew
	@$(MAKE) --no-print-directory setup
	@$(MAKE) --no-print-directory --keep-going test compare

compare: setup ## show how outputs differ from those of the chapters
	@.venv/bin/python scripts/lock.py compare

repository: ## write your address everywhere: make repository URL=…
	@'$(PYTHON)' scripts/stamp.py "$$URL"

check-published: setup ## check a published copy: make check-published URL=…
	@.venv/bin/python scripts/fetch.py "$$URL" _build/published
	@BOOK_URL="$$URL" $(run) pytest tests/test_pages.py \
		tests/test_browser.py -n 2 -rs

clean: ## remove all that make has made, .venv included
	@echo 'Removing .venv, _build and caches'
	@rm -f .venv/complete _build/complete
	@rm -rf .venv _build .pytest_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -prune -exec rm -rf {} +
