"""Conformers of SMILES: what can be embedded is relaxed, the rest has its reason."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem

from atomweave.chemistry import conformers
from atomweave.chemistry.bonds import perceive
from atomweave.chemistry.conformers import conformers_of, embed
from atomweave.chemistry.conformers_task import answer, pack_request, unpack_conformer
from atomweave.errors import InputError

REFUSED = {
    "C(C)(C)(C)(C)C": conformers.UNREADABLE,
    "CO.O": conformers.PARTS,
    "C[Hg]C": conformers.NO_PARAMETERS,
    # Norbornane whose bridgeheads both point inwards does not exist.
    "C1C[C@H]2C[C@H]1CC2": conformers.NOT_EMBEDDED,
    # By the radii of the rule two iodines are bonded up to 3.64 Å; on one carbon they are nearer.
    "ICI": conformers.OTHER_BONDS,
}


@pytest.mark.parametrize("smiles", ["CCO", "c1ccsc1Br", "FC(Cl)I", "CS(=O)(=O)NP(C)(=O)O"])
def test_a_conformer_has_the_bonds_of_its_smiles(smiles):
    found = embed(smiles, 2, 7)
    molecule = found.molecule(smiles, "x")
    assert molecule.properties == {"smiles": smiles, "mmff94s_energy": round(found.energy, 4), "name": "x"}
    perceived = Chem.RemoveHs(perceive(molecule).mol_or_raise())
    Chem.RemoveStereochemistry(perceived)
    assert Chem.MolToSmiles(perceived) == Chem.CanonSmiles(smiles)


def test_a_fat_is_embedded_from_random_coordinates():
    acid = "OC(=O)" + "C" * 16 + "C"
    found = embed(f"C({acid})C({acid})C{acid}", 1, 1)
    assert (found.reason, len(found.numbers)) == ("", 173)


@pytest.mark.parametrize(("smiles", "reason"), REFUSED.items())
def test_what_cannot_be_embedded_says_why(smiles, reason):
    found = unpack_conformer(answer(pack_request(smiles, 0), {"n_conformers": 1}))
    assert (found.reason, len(found.numbers)) == (reason, 0)
    with pytest.raises(InputError, match=reason):
        found.molecule(smiles)


def test_more_conformers_never_end_higher_and_seeds_repeat():
    smiles = "OCCCCCN"
    few, many = embed(smiles, 1, 3), embed(smiles, 8, 3)
    assert many.energy <= few.energy + 1e-6
    assert np.array_equal(embed(smiles, 1, 3).positions, few.positions)
    assert not np.array_equal(embed(smiles, 1, 4).positions, few.positions)


def test_workers_answer_in_order_whatever_their_number():
    smiles = ["C", "nonsense", "O", "CO"]
    one = conformers_of(smiles, workers=1, seed=5)
    two = conformers_of(smiles, workers=2, seed=5)
    assert [found.reason for found in one] == ["", conformers.UNREADABLE, "", ""]
    assert [len(found.numbers) for found in one] == [5, 0, 3, 6]
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(one, two, strict=True))
