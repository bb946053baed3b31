"""The paper's bond lengths: its checker's single bonds of six kinds, its squared discrepancy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from atomweave.chemistry.gspherenet_checker import check_many
from atomweave.evaluation.metrics.bond_lengths_gspherenet import KINDS, GSphereNetBondLengths, single_bonds
from atomweave.evaluation.reference import Reference
from atomweave.molecule import Molecule
from reference import internal
from reference import worked_molecules as worked
from reference.judged import judged
from reference.molecules import qm9_molecules


def lengths_of(*molecules: Molecule) -> dict[str, list[float]]:
    found = single_bonds(list(molecules), check_many(molecules, workers=1)).by_kind()
    return {kind: pytest.approx(sorted(values)) for kind, values in found.items() if len(values)}


@pytest.mark.parametrize(
    ("molecule", "expected"),
    [
        (worked.water(), {"H-O": [0.96] * 2}),
        (internal.ammonia(), {"H-N": [1.01] * 3}),
        (worked.methane(), {"C-H": [1.09] * 4}),
        (worked.methyl(), {"C-H": [1.08] * 3}),  # the checker accepts what lacks a hydrogen
        (worked.hydrogen_cyanide(), {"C-H": [1.065]}),  # the triple bond is no single bond
        (worked.carbon_dioxide(), {}),
        (worked.benzene(), {"C-C": [1.40] * 3, "C-H": [1.09] * 6}),  # no aromatic bonds here: three of six are single
        (internal.ethane(), {"C-C": [1.53], "C-H": [1.09] * 6}),
        (internal.ethylene("FH", "HH"), {"C-H": [1.09] * 3}),  # C-F is none of the six kinds
        (internal.acetylene(), {"C-H": [1.06] * 2}),
        (internal.butane(), {"C-C": [1.53] * 3, "C-H": [1.09] * 10}),
        (worked.methane_and_water(), {}),  # not connected, so not valid
        (worked.argon(), {}),
    ],
    ids=lambda value: value.formula if isinstance(value, Molecule) else "",
)
def test_lengths_worked_by_hand(molecule, expected):
    assert lengths_of(molecule) == expected


def test_molecules_are_numbered_among_the_valid():
    molecules = [worked.water(), worked.methane_and_water(), worked.methane()]
    found = single_bonds(molecules, check_many(molecules, workers=1))
    assert sorted(found.molecule.tolist()) == [0] * 2 + [1] * 4


def literal_discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    pooled = np.concatenate([x, y])
    squares = np.subtract.outer(pooled, pooled) ** 2
    width = squares.sum() / (len(pooled) ** 2 - len(pooled)) / 4
    kernel = sum(np.exp(-squares / (width * 2**i)) for i in range(5))
    n = len(x)
    return float(kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean())


def test_the_figure_is_the_papers_formula_over_all_lengths():
    metric = GSphereNetBondLengths(workers=1)
    molecules = list(qm9_molecules().values())
    sample = [Molecule(molecule.numbers, 1.01 * molecule.positions) for molecule in molecules[::2]]
    reference = Reference(arrays=metric.describe(judged(molecules)).arrays)
    found = {measure.name: measure for measure in metric.measure(judged(sample), reference).measures}
    x, y = (single_bonds(those, check_many(those, workers=1)).by_kind() for those in (sample, molecules))
    assert list(found) == [f"bond_mmd_gspherenet/{kind}" for kind in (*(kind for kind in KINDS if kind in y), "mean")]
    met = [kind for kind in KINDS if len(x.get(kind, ()))]
    assert len(met) >= 4
    for kind in met:
        rounded = [1e-4 * np.rint(1e4 * values[kind]) for values in (x, y)]
        assert found[f"bond_mmd_gspherenet/{kind}"].value == pytest.approx(literal_discrepancy(*rounded), abs=1e-9)
        assert found[f"bond_mmd_gspherenet/{kind}"].total == len(x[kind])
    mean = np.mean([found[f"bond_mmd_gspherenet/{kind}"].value for kind in met])
    assert found["bond_mmd_gspherenet/mean"].value == pytest.approx(mean)


def test_unfinished_molecules_have_no_bonds():
    from atomweave.evaluation.sample import Sample
    from atomweave.evaluation.validity import Verdict

    metric = GSphereNetBondLengths(workers=1)
    reference = Reference(arrays=metric.describe(judged([worked.water()])).arrays)
    sample = Sample("", (Verdict(worked.water(), False, None, "unfinished"), Verdict(None, False, None, "no molecule")))
    found = metric.measure(sample, reference).measures
    assert [measure.name for measure in found] == ["bond_mmd_gspherenet/H-O", "bond_mmd_gspherenet/mean"]
    assert all(math.isnan(measure.value) and measure.total == 0 for measure in found)
    assert found[0].note == "no such bond in the sample"


def test_without_reference_no_figures():
    assert GSphereNetBondLengths(workers=1).measure(judged([worked.water()]), Reference()).measures == ()
