"""Speeds that stand beside ours: what the originals take, what is required and aimed at, and the paces of peers.

Published figures of quality are the evaluator's own: `atomweave.evaluation.published`.
"""

from __future__ import annotations

from dataclasses import dataclass

QUETZAL = "Quetzal's notebooks"

QM9_SIZES = {"mean": 18.03, "p5": 13, "p95": 23}
"""Atoms of QM9's 130,831 molecules: mean, 5 % and 95 % quantile."""


@dataclass(frozen=True)
class Goal:
    """A figure of speed or memory: what the original takes, what is required and aimed at, and where ours is found."""

    what: str
    unit: str
    benchmark: str
    field: str
    original: float | None = None
    required: float | None = None
    aim: float | None = None
    what_key: str | None = None  # the record's "what", for a benchmark that prints several lines
    less_is_better: bool = False
    preset: str = "symphony"  # whose figure it is


GOALS = (
    Goal("training", "fragments/s", "training", "fragments_per_second", 16, 160, 320),
    Goal("growing", "molecules/s", "growing", "molecules_per_second", 0.64, 20, 60),
    Goal("training, `weaver-small`", "molecules/s", "training", "molecules_per_second", None, 500, 800,
         preset="weaver-small"),
    Goal("growing, `weaver-small`", "molecules/s", "growing", "molecules_per_second", None, 500, 1000,
         preset="weaver-small"),
    Goal("training, `gspherenet`", "molecules/s", "training", "molecules_per_second", 1.1, 8, 16, preset="gspherenet"),
    Goal("growing, `gspherenet`", "molecules/s", "growing", "molecules_per_second", 13, 25, 60, preset="gspherenet"),
    Goal("peak memory, training, `gspherenet`, 64 molecules a step", "GB", "memory", "peak_memory_gb", 18.7, 3,
         less_is_better=True, preset="gspherenet"),
    Goal("peak memory, training, 64 fragments a step", "GB", "memory", "peak_memory_gb", 3.3, 3, 1.5,
         less_is_better=True),
    Goal("start to the first training step", "s", "startup", "seconds", 39, 10, 5, "first_training_step", True),
    Goal("growth orders, one core", "fragments/s", "policy", "fragments_per_second", 500, 20_000),
    Goal("both verdicts, stability, uniqueness, bond MMD, divergences, rings", "s", "evaluation", "seconds",
         None, 10, 5, "core_figures", True),
    Goal("look-up stability alone", "s", "evaluation", "seconds", 44, 0.5, None, "stability", True),
    Goal("bispectra with their MMD", "s", "evaluation", "seconds", None, 15, None, "bispectra", True),
    Goal("PoseBusters without energies", "s", "evaluation", "seconds", None, 180, None, "posebusters", True),
    Goal("reading .xyz", "s", "evaluation", "seconds", what_key="read_xyz", less_is_better=True),
    Goal("reading .sdf", "s", "evaluation", "seconds", what_key="read_sdf", less_is_better=True),
    Goal("`atomweave evaluate --suite core` to the report", "s", "evaluation", "seconds", what_key="command_core",
         less_is_better=True),
    Goal("`import atomweave`", "s", "startup", "seconds", None, 0.3, None, "import_atomweave", True),
    Goal("`atomweave --help`", "s", "startup", "seconds", None, 0.3, None, "help", True),
)  # fmt: skip

ORIGINAL_NOTE = """\
The original is the authors' JAX code (JAX 0.10, e3nn-jax 0.21): 739 ms a step of 11.8 fragments, 1.56 s for a molecule
of 18 atoms since it always takes 35 steps, 3.3 GB at 12 fragments a step, 18 s to initialise and 21 s to compile, in
November 2026 on two CPU cores with AVX-512. The matrix-product rate of that moment was not kept, so a ratio to it is
good to about a factor of two; ratios to the naive reference of the tests are from one run. For look-up stability of
10,000 molecules it is the usual script, a double loop over the atoms of each; the ratio is to such a loop over 200
molecules in the same run. For `gspherenet` it is the authors' PyTorch code on one core."""

HERE_PEERS = "run for this project"


@dataclass(frozen=True)
class Pace:
    """How fast another system grows molecules."""

    system: str
    device: str
    pace: str
    source: str


PACES_NOTE = """\
Those run for this project: November 2026, two CPU cores with AVX-512, 24 GiB, no GPU, molecules of 18 atoms. Those of
Quetzal's notebooks: from the time for 10,000 molecules of QM9's sizes on a GPU whose model is not stated, so they do
not compare with a CPU."""

PACES = (
    Pace("Symphony, authors' code", "2 CPU cores", "0.64 molecules/s as shipped; 1.3 if it stopped when finished",
         HERE_PEERS),
    Pace("EDM", "2 CPU cores", "40 s a molecule (batch 1 or 10), 91 s (batch 64)", HERE_PEERS),
    Pace("cG-SchNet", "1 CPU thread", "0.30 s a molecule (batch 10)", HERE_PEERS),
    Pace("G-SphereNet", "1 CPU thread", "0.18 s a molecule alone, 0.074 s in tens, 0.16 s in hundreds",
         HERE_PEERS),
    Pace("E-NFs", "2 CPU cores", "0.18 s a molecule at tolerance 1e-4, 3.7 s at 1e-7", HERE_PEERS),
    Pace("Quetzal", "GPU", "199 molecules/s (30 Heun steps, batch 10,000), 115 (60 steps)", QUETZAL),
    Pace("Symphony", "GPU", "9.8 molecules/s (batch 25)", QUETZAL),
    Pace("SymDiff", "GPU", "8.8 molecules/s", QUETZAL),
    Pace("EDM", "GPU", "1.9 molecules/s (batch 100)", QUETZAL),
)  # fmt: skip
