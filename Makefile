# Everything here only calls what works without make: python -m pip install -e .[lab], then minimim demo|lab|work|doctor.
PYTHON ?= python3
SEED ?= 0
# make setup CPU=1: PyTorch without CUDA, which is small; .venv/cpu remembers it (and some systems have a CPU in the environment)
SMALL := $(if $(findstring command,$(origin CPU)),$(CPU),$(wildcard .venv/cpu))
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile
NBVAL := --nbval-current-env --nbval-cell-timeout=300 --nbval-sanitize-with tests/nbval.cfg
SIZES := $(if $(SMALL),about 0.5 GB to download and 1.5 GB of disk,with the CUDA libraries on Linux about 3 GB to download and 6 GB of disk)
EXPLAIN := { echo "pip could not install everything; its lines that begin with ERROR say why, and this is what minimim doctor finds:"; $(BIN)/python -m minimim doctor --before; exit 1; }
SET_UP := requirements.lock requirements-test.lock pyproject.toml

# how torch's threads wait for each other: minimim/threads.py says why; your own setting stays
export GOMP_SPINCOUNT ?= 2000

.PHONY: setup demo test test-fast test-browser lab lint exercises pages book grade release-check lock

setup: .venv/lab  ## make .venv and install what a learner needs; CPU=1 takes the small PyTorch without CUDA
demo: setup  ## pretrain on scenes, probe, and write runs/demo/report.html
	$(BIN)/minimim demo --seed $(SEED)
lab: setup  ## open the lessons in JupyterLab
	$(BIN)/minimim lab
# one thread for each worker: where threads are more than cores, they wait for each other most of the time; and the run at the end
# of the build notebook takes three steps, not two minutes
test test-fast test-browser: export OMP_NUM_THREADS = 1
test test-fast: export MINIMIM_QUICK = 1
test: .venv/test  ## everything, with parity against timm and transformers, and every notebook run
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --nbval $(NBVAL) notebooks
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --nbval-lax $(NBVAL) solutions
test-fast: .venv/test  ## the quick part of the tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"
test-browser: .venv/browser  ## JupyterLab in a real browser, screenshots in runs/browser/; QUICK=1: one lesson, every widget, one exercise
	@$(BIN)/python tests_browser/chromium.py
	$(BIN)/python -m pytest tests_browser $(if $(QUICK),--quick)
lint: .venv/test
	$(BIN)/python -m ruff check .
exercises: .venv/test  ## make exercises/ from solutions/
	$(BIN)/python scripts/problem_sets.py generate
pages: .venv/test  ## bring README.md, and in docs/ the claims, the map and the cheat sheet, up to date with lessons and methods
	$(BIN)/python scripts/readme.py --no-drawing
	$(BIN)/python scripts/claims.py
	$(BIN)/python scripts/course_map.py
	$(BIN)/python scripts/cheat_sheet.py
book: .venv/book  ## the web edition, in runs/book/html: the lessons as they are stored, sets without solutions, what is measured, the library
	$(BIN)/python -m book.gather
	$(BIN)/python -m sphinx -q -W --keep-going -b html -c book -d runs/book/doctrees runs/book/source runs/book/html
	$(BIN)/python -m book.check
release-check: .venv/browser .venv/book  ## all that is to be done before a release, see CONTRIBUTING.md; STEPS="wheel oldest" does a part of it
	$(BIN)/python scripts/release.py $(STEPS)
grade: .venv/test  ## grade FOLDER/STUDENT/ps1.ipynb and write grading/grades.csv: see docs/teaching.md before
	$(BIN)/python scripts/problem_sets.py grade "$(FOLDER)"

# pip comes last into .venv: without it, python -m venv was interrupted, and is run again
.venv/bin/pip:
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 14); sys.exit(None if ok else "minimim needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is " + sys.version.split()[0] + ": try make PYTHON=python3.12")'
	@$(PYTHON) -m minimim doctor --before
	$(PYTHON) -m venv .venv
.venv/cpu: requirements.lock | .venv/bin/pip
	@echo "installing PyTorch without CUDA into .venv: about 0.2 GB, from download.pytorch.org"
	@$(PIP) --no-deps --force-reinstall --index-url https://download.pytorch.org/whl/cpu -c requirements.lock torch torchvision || $(EXPLAIN)
	@touch $@
.venv/lab: $(SET_UP) $(if $(SMALL),.venv/cpu) | .venv/bin/pip
	@echo "installing into .venv: $(SIZES)."
	@echo "This takes 3 to 20 minutes the first time, and pip is silent meanwhile. Ctrl-C stops it; the same command begins again."
	@$(PIP) -c requirements.lock -e ".[lab]" || $(EXPLAIN)
	@touch $@
	@echo "all is installed. make lab opens the lessons, make demo trains a first model; $(BIN)/minimim doctor says what is wrong when something is"
.venv/test: $(SET_UP) | .venv/lab
	$(PIP) -c requirements-test.lock -e ".[lab,test]"
	@touch $@
.venv/browser .venv/book: $(SET_UP) | .venv/test
	$(PIP) -c requirements-test.lock -e ".[lab,test,$(@F)]"
	@touch $@

lock: .venv/test  ## work out the two lock files anew, for Linux, macOS and Windows at once
	$(PIP) uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
		pyproject.toml --all-extras -o requirements-test.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
		pyproject.toml --extra lab -c requirements-test.lock -o requirements.lock
