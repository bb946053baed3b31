"""Functional groups: the share of valid molecules that hold each, and which a model makes too often or too seldom.

The patterns are a fixed list in SMARTS, matched on the xyz2mol molecules, which have every hydrogen as an atom. They
follow the definitions of the IUPAC Gold Book; a molecule may hold several, and one atom may belong to several, but a
carbonyl group is named by what stands beside it (an amide is no ketone, an ester no ether), and three-membered rings
have names of their own (an epoxide is no ether, an aziridine no amine).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ...chemistry.bonds import require_rdkit
from ..measure import Measure, share
from ..metric import Result, Statistics

if TYPE_CHECKING:
    from rdkit import Chem

    from ..reference import Reference
    from ..sample import Sample

GROUPS = {
    "alcohol": "[OX2H][CX4]",
    "enol_or_phenol": "[OX2H][c,$(C=[#6])]",
    "ether": "[OX2;!r3]([#6;!$([#6]=[O,N])])[#6;!$([#6]=[O,N])]",
    "acetal": "[OX2][CX4][OX2]",
    "epoxide": "[OX2r3]1[#6r3][#6r3]1",
    "aldehyde": "[$([CX3H1](=O)[#6]),$([CX3H2]=O)]",
    "ketone": "[#6][CX3](=O)[#6]",
    "carboxylic_acid": "[#6,#1][CX3](=O)[OX2H]",
    "ester": "[#6,#1][CX3](=O)[OX2][#6]",
    "amide": "[#6,#1][CX3](=O)[NX3]",
    "carbonic_derivative": "[NX3,OX2][CX3](=O)[NX3,OX2]",
    "primary_amine": "[NX3H2;$(N[#6]);!$(N[#6]=,#[O,N])]",
    "secondary_amine": "[NX3H1;!r3;$(N([#6])[#6]);!$(N[#6]=,#[O,N])]",
    "tertiary_amine": "[NX3H0;!r3;$(N([#6])([#6])[#6]);!$(N[#6]=,#[O,N])]",
    "aziridine": "[NX3r3]1[#6r3][#6r3]1",
    "imine": "[#6,#1][CX3](=[NX2;!$(N[O,N])])[#6,#1]",
    "amidine": "[CX3](=[NX2])[NX3]",
    "imidate": "[CX3](=[NX2])[OX2]",
    "oxime": "[CX3]=[NX2][OX2]",
    "nitrile": "[CX2]#[NX1]",
    "alkene": "[CX2,CX3;!$(C=[!#6])]=[CX2,CX3;!$(C=[!#6])]",
    "alkyne": "[CX2]#[CX2]",
    "cumulene": "*=[CX2]=*",
    "cyclopropane": "[#6r3]1[#6r3][#6r3]1",
    "aromatic_ring": "a",
    "heteroaromatic_ring": "[a;!#6]",
    "fluoride": "[#6]F",
    "hydroxylamine": "[NX3][OX2]",
    "hydrazine": "[NX3][NX2,NX3]",
    "azo": "[NX2]=[NX2]",
    "peroxide": "[OX2][OX2]",
    "charges": "[!+0]",
}
"""Name -> SMARTS. Names are stable between releases."""

LABELS = {
    "acetal": "acetal or hemiacetal",
    "carbonic_derivative": "carbonate, carbamate or urea",
    "charges": "formal charges (zwitterion)",
    "cumulene": "cumulated double bonds (allene, ketene, ...)",
    "hydroxylamine": "hydroxylamine (N–O)",
    "hydrazine": "hydrazine or hydrazone (N–N)",
    "peroxide": "peroxide (O–O)",
    "azo": "azo (N=N)",
    "imidate": "imidate (imidic ester or acid)",
}
"""What tables show where the name with blanks does not say it."""

BEYOND_CHANCE = 3.5
"""Standard errors: 32 groups pass it by chance in 1.5 % of the tables."""


@dataclass(frozen=True)
class Groups:
    """Share of the valid molecules that hold each functional group, beside the reference's."""

    name: str = "groups"

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return `groups/<name>` for every group; the note says where sample and reference differ beyond chance."""
        held = self._held(sample)
        n = len(held)
        expected = reference.counts.get("groups")
        n_expected = reference.counts.get("groups_total", {}).get("valid", 0)
        measures: list[Measure] = []
        for name, count in zip(GROUPS, held.sum(0).tolist(), strict=True):
            z = z_two_shares(count, n, expected.get(name, 0), n_expected) if expected is not None else math.nan
            measures.append(share(f"groups/{name}", label(name), count, n, "valid", note=_note(z, reference.name)))
        names = np.array([label(name) for name in GROUPS], object)
        return Result(tuple(measures), {"groups": sample.over_valid(["; ".join(names[row]) for row in held])})

    def describe(self, sample: Sample) -> Statistics:
        """Return how many molecules hold each group, and of how many."""
        held = self._held(sample)
        counts = dict(zip(GROUPS, held.sum(0).tolist(), strict=True))
        return Statistics(counts={"groups": counts, "groups_total": {"valid": len(held)}})

    def _held(self, sample: Sample) -> np.ndarray:
        perceptions = (sample.verdicts[index].perception for index in sample.valid.tolist())
        return held_groups([perception.binary for perception in perceptions if perception is not None])


def held_groups(binaries: Sequence[bytes]) -> np.ndarray:
    """Return which molecule holds which group.

    Args:
        binaries: molecules in RDKit's binary format, with every hydrogen as an atom.

    Returns:
        (n_molecules, n_groups) bool, columns as `GROUPS`.
    """
    require_rdkit()
    from rdkit import Chem

    patterns = _patterns()
    held = np.zeros((len(binaries), len(patterns)), bool)
    for row, binary in zip(held, binaries, strict=True):  # unpacked and dropped one by one: a large set would not fit
        mol = Chem.Mol(binary)  # type: ignore[call-overload] # its stubs forget bytes
        row[:] = [mol.HasSubstructMatch(pattern) for pattern in patterns]
    return held


def z_two_shares(count: int, n: int, other_count: int, other_n: int) -> float:
    """Return by how many standard errors two shares differ, positive if the first is larger; NaN if one is of nothing.

    The two-proportion test on the arcsine scale, where the error does not depend on the share: with
    a(k, n) = asin sqrt((k + 3/8) / (n + 3/4)) (F. J. Anscombe, Biometrika 35, 246, 1948),
    z = 2 (a_1 - a_2) / sqrt(1 / n_1 + 1 / n_2). With the pooled share's error instead, one peroxide in 1,000 molecules
    would stand eleven errors above 130,000 molecules that have none, where it is two.
    """
    if not n or not other_n:
        return math.nan
    first, second = (math.asin(math.sqrt((k + 0.375) / (m + 0.75))) for k, m in ((count, n), (other_count, other_n)))
    return 2 * (first - second) / math.sqrt(1 / n + 1 / other_n)


def label(name: str) -> str:
    """Return what tables show for a group."""
    return LABELS.get(name, name.replace("_", " "))


def _note(z: float, reference: str) -> str:
    if not abs(z) > BEYOND_CHANCE:
        return ""
    often = "more often" if z > 0 else "less often"
    return f"{often} than in {reference or 'the reference'}, beyond chance ({z:+.1f} standard errors)"


@cache
def _patterns() -> tuple[Chem.Mol, ...]:
    from rdkit import Chem

    return tuple(Chem.MolFromSmarts(smarts) for smarts in GROUPS.values())
