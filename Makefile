# Every target sets up what it needs: a virtual environment in .venv with the exact versions of constraints.txt.
#   make sample   grow 100 molecules with the weights that ship: molecules.sdf, molecules.html
#   make test     all tests but the long ones        make test-long   those as well
#   make lint     style, format, types               make bench       speed, one JSON line a figure
#   make qm9-level    calculated properties of twenty molecules of QM9 beside the published ones; some minutes
#   make docs     the documentation site, into site/; needs no network, and none to be read
#   make pages    docs/tutorial.md and docs/own-data.md, their commands run and their outputs written anew
#   make notebooks    examples/notebooks, executed anew
#   make wheel    the wheel and the sdist, into dist/
#   make figures  docs/figures, but for the ablation make qm9         data/qm9.safetensors
#   make results  docs/results.md, measured anew     make reference   what samples are compared with, from QM9
#   make discovery    the runs of targeted discovery behind docs/results.md; hours
#   make reliability  docs/reliability.md: kills, hostile files, laws, counted at large sizes; hours
#   make versions     the tests with the lowest and the highest versions of everything, on every Python; a part of reliability
#   make train-next   the next leg of the weights that ship
#   make gpu-bundle   what a GPU machine without network lacks        make gpu-check   one leg from that bundle alone

# The first Python on the path that is new enough; PYTHON=... overrides it.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
DATA := data/qm9.safetensors
PRESET ?= weaver-small
WEIGHTS ?= weaver-qm9
OUT ?= runs/next
# The weights that ship can be asked for these; a run that goes on from them has to tell them, too.
TRAIN_OPTIONS ?= 'model.conditions.names=[gap,polarizability,n_atoms,composition]'
RESULTS_MOLECULES ?= 10000
RESULTS_SEED ?= 1
RESULTS_LIMIT ?= 300
RESULTS_WEIGHTS ?= weaver-qm9 symphony-qm9 gspherenet-qm9 gspherenet-plus-qm9
RESULTS_SPEEDS ?= startup memory training growing policy naive scaling evaluation molecule_size
FIGURES ?= shipped_figures octahedron random_signals resolution_study
GPU_BUNDLE := gpu-bundle/qm9.safetensors

.PHONY: sample test test-long qm9-level lint bench results discovery reliability reference docs pages notebooks wheel \
	figures qm9 versions train-next gpu-bundle gpu-check clean

sample: .venv/installed-to-use
	$(BIN)/atomweave sample $(WEIGHTS) -n 100 --seed 0 --force -o molecules.sdf --report molecules.html

# Two processes of one thread each: the whole of a small machine, and the same figures on every machine.
test: .venv/installed-to-develop
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

test-long: .venv/installed-to-develop
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "long or not long" --timeout 3600

qm9-level: .venv/installed-to-develop
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -s -m long tests/properties/test_qm9_level.py

lint: .venv/installed-to-develop
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/installed-to-develop $(DATA)
	for script in $(filter-out benchmarks/harness.py, $(wildcard benchmarks/*.py)); do $(BIN)/python $$script || exit; done

# docs/results.md: measured again on this machine, which takes some two hours, then written. `write` alone takes seconds.
results: .venv/installed-to-develop $(DATA)
	for weights in $(RESULTS_WEIGHTS); do \
		$(BIN)/python benchmarks/results measure quality $$weights -n $(RESULTS_MOLECULES) --seed $(RESULTS_SEED) || exit; done
	$(BIN)/python benchmarks/results measure quality gspherenet-qm9 -n $(RESULTS_MOLECULES) --seed $(RESULTS_SEED) \
		--temperatures published
	for name in $(RESULTS_SPEEDS); do $(BIN)/python benchmarks/results record speed-$$name benchmarks/$$name.py || exit; done
	$(BIN)/python benchmarks/results record speed-training-weaver \
		benchmarks/training.py --preset weaver-small --molecules 128 --all
	$(BIN)/python benchmarks/results record speed-training-weaver-512 \
		benchmarks/training.py --preset weaver-small --molecules 512 --steps 10 --all
	$(BIN)/python benchmarks/results record speed-growing-weaver benchmarks/growing.py --preset weaver-small --batches 4 --processes 2
	$(BIN)/python benchmarks/results record speed-training-gspherenet \
		benchmarks/training.py --preset gspherenet --molecules 64 --all
	$(BIN)/python benchmarks/results record speed-growing-gspherenet benchmarks/growing.py --preset gspherenet
	$(BIN)/python benchmarks/results record speed-scaling-gspherenet benchmarks/scaling.py --preset gspherenet
	$(BIN)/python benchmarks/results record speed-memory-gspherenet \
		benchmarks/memory.py --preset gspherenet --molecules 64 --decisions 0 --steps 2
	for weights in $(RESULTS_WEIGHTS); do $(BIN)/python benchmarks/results record throughput-$$weights \
		benchmarks/throughput.py $$weights --limit $(RESULTS_LIMIT) || exit; done
	$(BIN)/python benchmarks/results write

# Fine-tuning on one thread ends with the same bytes on every machine of a kind; the calculations take one process a CPU.
discovery: .venv/installed-to-develop $(DATA)
	$(BIN)/atomweave discover weaver-qm9 --minimize gap --before 0 --scored 100 --rounds 4 --grow 3000 --budget 40 \
		--elite 400 --round-epochs 40 --trust-screen --threads 1 -o runs/weaver-qm9-gap
	$(BIN)/atomweave discover weaver-qm9 --maximize polarizability --before 0 --scored 40 --threads 1 -o runs/weaver-qm9-alpha
	for model in gspherenet-qm9 gspherenet-plus-qm9; do \
		$(BIN)/atomweave discover $$model --minimize gap --before 0 --scored 40 --threads 1 -o runs/$$model-gap && \
		$(BIN)/atomweave discover $$model --maximize polarizability --before 0 --scored 40 --threads 1 -o runs/$$model-alpha \
		|| exit; done
	for model in weaver-qm9 gspherenet-qm9 gspherenet-plus-qm9; do for target in gap alpha; do \
		$(BIN)/python benchmarks/results keep discovery runs/$$model-$$target || exit; done; done
	$(BIN)/python benchmarks/results write

# RELIABILITY names some of the checks, or holds other options of the script: make reliability RELIABILITY="--share 0.1"
reliability: .venv/installed-to-develop
	OMP_NUM_THREADS=1 $(BIN)/python scripts/count_reliability.py $(RELIABILITY)

# Six environments in .versions, made by uv: some 15 GB, and six times `make test`; run again at the same commit it
# goes on. VERSIONS="--share 0.2": the first of them.
versions: .venv/installed-to-develop
	OMP_NUM_THREADS=1 $(BIN)/python scripts/count_reliability.py tested_environments $(VERSIONS)

# src/atomweave/evaluation/references/qm9.safetensors, which ships; some twenty minutes.
reference: .venv/installed-to-develop $(DATA)
	OMP_NUM_THREADS=1 $(BIN)/python scripts/build_reference.py $(DATA)

docs: .venv/installed-to-document
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Outputs and pictures of the pages that are run; the pictures need a Chromium.
pages: .venv/installed-to-develop
	OMP_NUM_THREADS=1 $(BIN)/python scripts/run_page.py docs/tutorial.md docs/own-data.md

notebooks: .venv/installed-to-develop
	OMP_NUM_THREADS=1 $(BIN)/python scripts/run_notebooks.py

# The wheel is built from the sdist, so that one holds all that the other needs. The pinned hatchling builds both.
wheel: .venv/installed-to-develop
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist

# The ablation of lmax and channels (examples/ablation_lmax.py) trains six models and is asked for by name.
figures: .venv/installed-to-develop
	for name in $(FIGURES); do OMP_NUM_THREADS=1 $(BIN)/python examples/$$name.py || exit; done

qm9: $(DATA)

$(DATA): | .venv/installed-to-develop
	$(BIN)/atomweave data qm9 -o $@ --force

# Starts from the weights that ship; run it again and it resumes where it stopped (exit status 5: steps are left).
train-next: .venv/installed-to-develop $(DATA)
	$(BIN)/atomweave train $(PRESET) --data $(DATA) --out $(OUT) --init-from $(WEIGHTS) $(TRAIN_OPTIONS)

gpu-bundle: $(GPU_BUNDLE)

$(GPU_BUNDLE): scripts/gpu_bundle.py constraints.txt $(DATA) | .venv/installed-to-develop
	$(BIN)/python scripts/gpu_bundle.py $(DATA)

gpu-check: $(GPU_BUNDLE)
	$(BIN)/python scripts/gpu_check.py

.venv/installed-to-use: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e ".[eval]"
	touch $@

.venv/installed-to-develop: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e ".[eval,xtb,qc,cluster,openbabel,chemiscope,qm9,docs,notebook,test]"
	touch $@ .venv/installed-to-use

.venv/installed-to-document: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e ".[docs]"
	touch $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11, 3.12 or 3.13 on the path; name one with make PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv .versions build dist site gpu-bundle molecules.sdf molecules.html
