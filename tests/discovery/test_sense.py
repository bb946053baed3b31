from __future__ import annotations

import sys

import numpy as np
import pytest
from rdkit import Chem

from atomweave.chemistry.bonds import perceive
from atomweave.discovery import sense
from atomweave.discovery.sense import (
    ANTI_BREDT,
    STRAINED,
    TETRAHEDRANE,
    TOO_HARD,
    UNSTABLE,
    accessibility,
    check,
    senseless,
)
from atomweave.discovery.work import Work
from atomweave.molecule import Molecule
from reference.worked_molecules import benzene, embedded


def mol(smiles: str) -> Chem.Mol:
    return Chem.AddHs(Chem.MolFromSmiles(smiles))


@pytest.mark.parametrize(
    ("smiles", "what"),
    [
        ("C1CCCC#C1", "triple bond in a ring of seven or fewer"),
        ("C1CCC=C=C1", "allene in a ring of seven or fewer"),
        ("C1=CC1", "double bond in a ring of three"),
        ("N1=CC1", "double bond in a ring of three"),
        ("C1=CC=C1", "two double bonds in a ring of four"),
        ("C12C3C1C23", TETRAHEDRANE),
        ("C1CC2CC1=C2", ANTI_BREDT),
        ("C12=CCC(C1)CC2", ANTI_BREDT),
    ],
)
def test_rings_that_can_hardly_be_closed(smiles, what):
    assert senseless(mol(smiles)) == what
    assert what in {*STRAINED, TETRAHEDRANE, ANTI_BREDT}


@pytest.mark.parametrize(
    "smiles",
    ["c1ccccc1", "C1CC1", "C1CCC1", "C12CC1C2", "C1=CC2CC1C=C2", "O=C1C2CCC1C2", "C#CC1CC1", "C=C1CC1", "C1CC12CC2",
     "C1CCCCCC#C1", "C=C=C", "C1CC2=C(C1)CC2", "C1C2CC2C=C1"],
)  # fmt: skip
def test_rings_that_are_made_every_day_pass(smiles):
    assert senseless(mol(smiles)) == ""


@pytest.mark.parametrize(
    ("smiles", "what"),
    [
        ("CN=NN", "three nitrogens in a chain"),
        ("CNNN", "three nitrogens in a chain"),
        ("CN=NN=O", "three nitrogens in a chain"),
        ("CN=NON", "nitrogen or oxygen on both sides of an oxygen"),
        ("COOO", "nitrogen or oxygen on both sides of an oxygen"),
        ("[NH3+]CC(=O)[O-]", "opposite charges apart"),
        ("NC(N)=[NH+]C[O-]", "opposite charges apart"),
    ],
)
def test_what_would_not_last(smiles, what):
    assert senseless(mol(smiles)) == what
    assert what in UNSTABLE


@pytest.mark.parametrize(
    "smiles",
    ["CN=[N+]=[N-]", "C[N+](=O)[O-]", "C=[N+]=[N-]", "C[N+]#[C-]", "c1nn[nH]n1", "Nn1ccnn1", "c1cnon1", "CNN",
     "CN(C)N=O", "CON=C", "COOC", "C[N+](C)(C)[O-]"],
)  # fmt: skip
def test_nitrogens_and_charges_of_every_day_pass(smiles):
    assert senseless(mol(smiles)) == ""


def test_accessibility_orders_molecules_as_a_chemist_would():
    assert 1.0 <= accessibility(mol("c1ccccc1")) < accessibility(mol("C1CC2CCC1C2")) < accessibility(mol("C1CC2CC1=C2"))


def test_without_contrib_nothing_is_said(monkeypatch, tmp_path):
    from rdkit import RDConfig

    monkeypatch.setattr(RDConfig, "RDContribDir", str(tmp_path))
    monkeypatch.delitem(sys.modules, "sascorer", raising=False)
    sense._scorer.cache_clear()
    try:
        assert accessibility(mol("C")) is None
        assert not sense.has_scorer()
    finally:
        sense._scorer.cache_clear()


def test_checks_of_molecules_together():
    molecules = [benzene(), embedded("C1=CC1"), embedded("C1CC2CCC1C2"), boat()]
    good, strained, hard, bent = check([perceive(one) for one in molecules], 2.5, Work(workers=1))
    assert (good.reason, good.accessibility) == ("", pytest.approx(1.0))
    assert strained.reason == "double bond in a ring of three"
    assert hard.reason == f"{TOO_HARD} (over 2.5)"
    assert (bent.reason, bent.accessibility) == ("PoseBusters: aromatic ring flatness", pytest.approx(1.0))


def boat():
    """Benzene with two opposite carbons lifted: every bond is there, and no chemist believes it."""
    lift = np.zeros((12, 3))
    lift[[0, 3, 6, 9], 2] = 0.5  # Å
    return Molecule(benzene().numbers, benzene().positions + lift)
