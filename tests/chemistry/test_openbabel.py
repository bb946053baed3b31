from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from atomweave.chemistry import openbabel
from atomweave.chemistry.openbabel import babel_many, open_babel_version
from atomweave.errors import MissingDependencyError
from atomweave.molecule import Molecule
from reference import worked_molecules as worked
from reference.molecules import qm9_molecules
from reference.worked_verdicts import WORKED

needs_open_babel = pytest.mark.skipif(not openbabel.available(), reason="Open Babel is an optional extra")


@needs_open_babel
def test_molecules_worked_by_hand():
    found = babel_many([case.molecule for case in WORKED])
    said = {case.name: one.smiles or one.reason for case, one in zip(WORKED, found, strict=True)}
    assert said == {case.name: case.babel for case in WORKED}
    assert [one.valid for one in found] == [bool(one.smiles) for one in found]


LITERAL = """
import json, sys
from openbabel import pybel
pybel.ob.obErrorLog.StopLogging()
wanted = {1: 1, 6: 4, 7: 3, 8: 2, 9: 1}
for text in json.load(sys.stdin):
    mol = pybel.readstring("xyz", text)
    right = all(atom.OBAtom.GetExplicitValence() == wanted.get(atom.atomicnum) for atom in mol)
    bonded = mol.OBMol.NumBonds() >= 1
    print(mol.write("smi").split()[0] if right and bonded else "invalid")
"""


@needs_open_babel
def test_the_thesis_script_says_the_same():
    rng = np.random.default_rng(2)
    molecules = [
        Molecule(molecule.numbers, molecule.positions + rng.normal(0, scale, molecule.positions.shape))
        for molecule in qm9_molecules().values()
        for scale in (0.0, 0.1, 0.25)
    ]
    texts = [openbabel._xyz(molecule.numbers, molecule.positions) for molecule in molecules]
    said = subprocess.run(
        [sys.executable, "-c", LITERAL], input=json.dumps(texts), capture_output=True, text=True, check=True
    ).stdout
    found = [one.smiles or "invalid" for one in babel_many(molecules)]
    assert found == said.split()
    assert 0.1 < np.mean([one == "invalid" for one in found]) < 0.8


@needs_open_babel
def test_nothing_is_printed(capfd):
    # Benzene without its hydrogens cannot be kekulised: Open Babel would say so.
    bare = Molecule(["C"] * 6, worked.benzene().positions[:6])
    babel_many([bare, worked.garbage()], workers=1)
    assert capfd.readouterr() == ("", "")


@needs_open_babel
def test_the_version_is_known():
    assert open_babel_version().startswith("3.")


def test_its_absence_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setattr(openbabel, "find_spec", lambda name: None)
    assert not openbabel.available()
    with pytest.raises(MissingDependencyError, match=r"pip install 'atomweave\[openbabel\]'"):
        babel_many([worked.water()])
