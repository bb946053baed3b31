"""Sixty small molecules with relaxed geometries, for tests that need a set of real ones."""

from __future__ import annotations

from functools import cache

from atomweave.molecule import Molecule
from reference import worked_molecules as worked

SMILES = """
C N O CC CN CO C=C C=O C#C C#N CCC CCO CCN COC CNC C=CC CC=O CC#N NC=O OC=O C1CC1 C1CO1 C1CN1 CCCC CC(C)C CCCO
CCOC CC(C)O CC(C)=O CCC=O CC(=O)O CC(N)=O COC=O NCC=O OCC=O OCCO NCCO C1CCC1 C1COC1 C1CNC1 c1ccccc1 c1ccncc1 c1ccoc1
c1cc[nH]c1 c1cnc[nH]1 Cc1ccccc1 C1CCCC1 C1CCOC1 C1CCCCC1 CC1CC1 C#CCO N#CCO FC(F)F CCF OC1CC1 CC1CO1 C1=CCC1 C=CC=C
CC#CC O=C1CCC1
""".split()


@cache
def molecules() -> tuple[Molecule, ...]:
    """Return one conformer of each."""
    return tuple(worked.embedded(smiles) for smiles in SMILES)
