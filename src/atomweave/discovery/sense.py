"""Would a chemist believe it? Checks of a molecule before a calculation is spent on it.

A small gap is cheaply had from a molecule that could not exist. So what is pursued passes the tests of PoseBusters, has
no ring that could hardly be closed, no chain of nitrogens, no charges that a solvent would have to hold apart, and is
not beyond synthesis by the score of P. Ertl, A. Schuffenhauer, J. Cheminform. 1, 8 (2009), from 1 (easy) to 10.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..isolation import Failure, run_isolated
from .work import Work

if TYPE_CHECKING:
    from rdkit import Chem

    from ..chemistry.bonds import Perception

STRAINED = {
    "triple bond in a ring of seven or fewer": "[#6;r3,r4,r5,r6,r7]#[#6,#7;r3,r4,r5,r6,r7]",
    "allene in a ring of seven or fewer": "*=[#6;X2;r3,r4,r5,r6,r7]=*",
    "double bond in a ring of three": "[r3]=@[r3]",
    "two double bonds in a ring of four": "*1=**=*1",
}
"""Name -> SMARTS of rings that QM9's enumeration made and a laboratory would not keep at room temperature."""

UNSTABLE = {
    "three nitrogens in a chain": "[#7]~[#7;!R;+0]~[#7]",  # an azide's charged middle is none of them
    "nitrogen or oxygen on both sides of an oxygen": "[#7,#8]~[#8;!a]~[#7,#8]",  # a furazan's is aromatic
    "opposite charges apart": "[$([+;!$([+]~[-])]),$([-;!$([-]~[+])])]",  # those of a nitro group touch
}
"""Name -> SMARTS of what falls apart, or is another molecule without a solvent. QM9 has zwitterions, and they are over
a quarter of its four hundred smallest gaps."""

ANTI_BREDT = "double bond at a bridgehead"
TETRAHEDRANE = "atom shared by three rings of three"
TOO_HARD = "hard to make"
NO_VERDICT = "no verdict of PoseBusters"


@dataclass(frozen=True)
class Sense:
    """What the checks say of one molecule.

    Attributes:
        reason: why it is not worth pursuing; empty if it is.
        accessibility: synthetic accessibility, from 1 (easy) to 10; None where RDKit came without its Contrib.
    """

    reason: str
    accessibility: float | None


def check(perceptions: Sequence[Perception], hardest: float, work: Work) -> list[Sense]:
    """Return what the checks say of valid molecules.

    Args:
        perceptions: one a molecule.
        hardest: synthetic accessibility above which a molecule is not pursued.
        work: processes.
    """
    found = []
    for perception, failed in zip(perceptions, busted(perceptions, work), strict=True):
        mol = perception.mol_or_raise()
        score = accessibility(mol)
        hard = f"{TOO_HARD} (over {hardest:g})" if score is not None and score > hardest else ""
        found.append(Sense(senseless(mol) or failed or hard, score))
    return found


def senseless(mol: Chem.Mol) -> str:
    """Return which ring of a molecule could hardly be closed, or what of it would not last; empty if nothing."""
    for name, pattern in _patterns().items():
        if mol.HasSubstructMatch(pattern):
            return name
    triangles = [atom for ring in mol.GetRingInfo().AtomRings() if len(ring) == 3 for atom in ring]
    if any(count >= 3 for count in Counter(triangles).values()):
        return TETRAHEDRANE
    return ANTI_BREDT if _anti_bredt(mol) else ""


def accessibility(mol: Chem.Mol) -> float | None:
    """Return the synthetic accessibility score, from 1 (easy) to 10; None where RDKit came without its Contrib."""
    scorer = _scorer()
    if scorer is None:
        return None
    from rdkit import Chem

    return float(scorer.calculateScore(Chem.RemoveHs(mol)))


def has_scorer() -> bool:
    """Return whether this RDKit came with the synthetic accessibility score."""
    return _scorer() is not None


def busted(perceptions: Sequence[Perception], work: Work) -> list[str]:
    """Return for each molecule which of PoseBusters' tests, but for the energy, it fails first; empty if none.

    Args:
        perceptions: of valid molecules.
        work: processes.
    """
    from ..evaluation.metrics.posebusters_checks import LABELS, PACKAGED, names_of_tests
    from ..evaluation.metrics.posebusters_task import require_posebusters

    require_posebusters()
    options: dict[str, Any] = {"checks": [check.as_options() for check in PACKAGED]}
    with work.progress("PoseBusters", "molecules") as show:
        answers = run_isolated(
            "posebusters",
            [perception.binary for perception in perceptions],
            options=options,
            workers=work.workers,
            timeout=30.0,
            chunk=32,
            min_per_worker=100,
            progress=show,
        )
    tests = names_of_tests(PACKAGED)
    found = []
    for answer in answers:
        if isinstance(answer, Failure):
            found.append(f"{NO_VERDICT}: {answer.reason}")
            continue
        outcomes = json.loads(answer)
        failed = next((test for test in tests if outcomes[test] is not True), None)
        found.append("" if failed is None else f"PoseBusters: {LABELS[failed]}")
    return found


@cache
def _patterns() -> dict[str, Chem.Mol]:
    from rdkit import Chem

    return {name: Chem.MolFromSmarts(smarts) for name, smarts in (STRAINED | UNSTABLE).items()}


def _anti_bredt(mol: Chem.Mol) -> bool:
    """Return whether a double bond of a ring of seven or fewer starts at a bridgehead (Bredt's rule)."""
    from rdkit.Chem import rdMolDescriptors

    heads: list[int] = []
    rdMolDescriptors.CalcNumBridgeheadAtoms(mol, heads)  # type: ignore[arg-type] # it fills the list
    rings = mol.GetRingInfo()
    return any(
        bond.GetBondTypeAsDouble() == 2 and bond.IsInRing() and rings.MinBondRingSize(bond.GetIdx()) < 8
        for head in heads
        for bond in mol.GetAtomWithIdx(head).GetBonds()
    )


@cache
def _scorer() -> Any:
    """Return the module `sascorer` of RDKit's Contrib folder, loaded from its file; None where there is none."""
    from rdkit import RDConfig

    path = Path(RDConfig.RDContribDir) / "SA_Score" / "sascorer.py"
    spec = importlib.util.spec_from_file_location("sascorer", path) if path.is_file() else None
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
