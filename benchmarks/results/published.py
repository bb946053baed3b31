"""Published figures that stand beside ours, each with what it was measured on and where it is written.

Numbers are text, with the digits of their source; shares are percentages. Empty: not published, or not found.
"""

from __future__ import annotations

from dataclasses import dataclass

THESIS, EDM, QUETZAL, GEOBFN, HERE = "thesis", "EDM's paper", "Quetzal's notebooks", "GeoBFN's paper", "here"

SOURCES = """\
- here: measured with this library by the command at the top.
- thesis: table 5.1 of the Symphony thesis (2024), 10,000 molecules a model; its xyz2mol is RDKit 2023.3.
- EDM's paper: Hoogeboom et al. (2022).
- Quetzal's notebooks: the authors' code and notebooks (arXiv 2505.13791), RDKit 2023.3.3; SymDiff, EDM and Symphony as
  they measured them.
- GeoBFN's paper: Song et al. (2024)."""


@dataclass(frozen=True)
class Quality:
    """Validity and uniqueness of one system's molecules as somebody published them."""

    system: str
    conditions: str  # number of molecules, temperatures, start rule
    source: str
    valid: str = ""  # xyz2mol, of all
    unique: str = ""  # xyz2mol, of valid
    valid_unique: str = ""  # xyz2mol, of all
    atom_stable: str = ""  # look-up table of EDM
    molecule_stable: str = ""
    lookup_valid: str = ""
    lookup_unique: str = ""  # of valid
    lookup_valid_unique: str = ""  # of all
    open_babel: str = ""  # valid by Open Babel


QUALITY = (
    Quality(
        "QM9 itself", "all molecules", THESIS,
        valid="99.99", unique="99.84", lookup_valid="97.60", lookup_unique="99.89", open_babel="94.60",
    ),
    Quality("QM9 itself", "all molecules", EDM, atom_stable="99.0", molecule_stable="95.2", lookup_valid="97.7"),
    Quality(
        "Symphony", "10,000; temperatures 1; from H", THESIS,
        valid="83.50", unique="97.98", lookup_valid="68.11", lookup_unique="97.68", open_babel="74.69",
    ),
    Quality(
        "EDM", "10,000; diffusion", THESIS,
        valid="86.74", unique="99.16", lookup_valid="90.77", lookup_unique="98.64", open_babel="77.75",
    ),
    Quality(
        "G-SchNet", "10,000; temperature not stated", THESIS,
        valid="74.97", unique="96.73", lookup_valid="80.13", lookup_unique="93.20", open_babel="61.83",
    ),
    Quality(
        "G-SphereNet", "10,000; temperatures not stated (its release: 0.5, 0.3, 0.4, 1.0)", THESIS,
        valid="26.92", unique="21.69", lookup_valid="16.36", lookup_unique="23.29", open_babel="9.86",
    ),
    Quality(
        "Quetzal", "3 × 10,000; 165 M parameters", QUETZAL,
        valid="99.1 ± 0.02", valid_unique="94.0 ± 0.1", atom_stable="98.30 ± 0.05", molecule_stable="87.6 ± 0.3",
        lookup_valid="94.7 ± 0.2", lookup_valid_unique="90.1 ± 0.1",
    ),
    Quality(
        "SymDiff", "number not found; diffusion", QUETZAL,
        valid="92.8", valid_unique="91.4", atom_stable="98.8", molecule_stable="87.6", lookup_valid="95.7",
    ),
    Quality(
        "EDM", "diffusion, 1,000 steps", EDM,
        atom_stable="98.7", molecule_stable="82.0", lookup_valid="91.9", lookup_valid_unique="90.7",
    ),
    Quality(
        "G-SchNet", "as measured for EDM's paper", EDM,
        atom_stable="95.7", molecule_stable="68.1", lookup_valid="85.5", lookup_valid_unique="80.3",
    ),
    Quality(
        "GeoBFN", "Bayesian flow, 2,000 steps", GEOBFN,
        atom_stable="99.31", molecule_stable="93.32", lookup_valid="96.88", lookup_valid_unique="92.41",
    ),
)  # fmt: skip

QM9_UNIQUE = 0.99879
"""Distinct SMILES among all xyz2mol-valid molecules of QM9 by this library (docs/metrics.md)."""

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


GOALS = (
    Goal("training", "fragments/s", "training", "fragments_per_second", 16, 160, 320),
    Goal("growing", "molecules/s", "growing", "molecules_per_second", 0.64, 20, 60),
    Goal("peak memory, training, 64 fragments a step", "GB", "memory", "peak_memory_gb", 3.3, 3, 1.5,
         less_is_better=True),
    Goal("start to the first training step", "s", "startup", "seconds", 39, 10, 5, "first_training_step", True),
    Goal("growth orders, one core", "fragments/s", "policy", "fragments_per_second", 500, 20_000),
    Goal("`import atomweave`", "s", "startup", "seconds", None, 0.3, None, "import_atomweave", True),
    Goal("`atomweave --help`", "s", "startup", "seconds", None, 0.3, None, "help", True),
)  # fmt: skip

ORIGINAL_NOTE = """\
The original is the authors' JAX code (JAX 0.10, e3nn-jax 0.21): 739 ms a step of 11.8 fragments, 1.56 s for a molecule
of 18 atoms since it always takes 35 steps, 3.3 GB at 12 fragments a step, 18 s to initialise and 21 s to compile, in
November 2026 on two CPU cores with AVX-512. The matrix-product rate of that moment was not kept, so a ratio to it is
good to about a factor of two; ratios to the naive reference of the tests are from one run."""

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
