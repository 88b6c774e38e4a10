# Two commands do everything on a fresh machine with Python >= 3.11: `make app` and `make test`.
PYTHON ?= python3
PORT ?= 8501
BIN := .venv/bin
READY := .venv/.ready

.PHONY: app test test-slow lint check format profiles benchmark screenshots clean

app: $(READY)  ## open the dashboard
	$(BIN)/streamlit run app/main.py --server.port $(PORT)

# Files in their own order: the long ones, which drive a browser, come first, so that both processes end together.
test: $(READY)  ## all ordinary tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(READY)  ## proofs over the whole zoo
	$(BIN)/python -m pytest -m slow

lint: $(READY)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test  ## style, types, all ordinary tests

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

profiles: $(READY)  ## measure sample_profiles/ again on this machine
	$(BIN)/python -m benchmarks.sample_profiles

benchmark: $(READY)  ## how good and how fast plans are (under a minute)
	$(BIN)/python -m benchmarks.plan_quality --quick

screenshots: $(READY)  ## make assets/screenshots/ again (needs chromium)
	$(BIN)/python -m benchmarks.screenshots

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "DECC needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv \
	  || { echo "Could not create .venv; install your system's venv package (python3-venv on Debian) and try again."; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@echo "Compiling the planner's loops, once."
	$(BIN)/python -m decc_core.study.warm_up
	@touch $(READY)

clean:
	rm -rf .venv build *.egg-info
