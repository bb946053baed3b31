"""What can be asked, how it is read, and how it reaches every fragment of every attempt."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from toy_model import ToyModel

from atomweave.data.store import MoleculeStore
from atomweave.errors import InputError, UsageError
from atomweave.growth.conditions import Conditions, OutsideRangeWarning, parse_formula
from atomweave.growth.grower import grow
from atomweave.models.embedders.conditions import ConditionEmbedding, ConditionsConfig
from atomweave.molecule import Molecule
from atomweave.species import Species

NAMES = ("gap", "n_atoms", "composition")
CONDITIONS = Conditions(NAMES, Species("HCO"))


def toy() -> ToyModel:
    """Return a model that takes conditions and heeds none; gaps of 2 to 10 eV, 3 to 9 atoms, at most 6 H, 3 C, 2 O."""
    model = ToyModel()
    model.condition_embedding = ConditionEmbedding(ConditionsConfig(names=NAMES), model.species, 4)
    model.condition_embedding.learn_range(torch.tensor([[2.0, 3, 0, 0, 0], [10.0, 9, 6, 3, 2]]))
    return model


@pytest.mark.parametrize(
    ("formula", "counts"),
    [("C7H10O2", {"C": 7, "H": 10, "O": 2}), ("CH3OH", {"C": 1, "H": 4, "O": 1}), ("Cl2", {"Cl": 2}), ("C", {"C": 1})],
)
def test_formulas(formula, counts):
    assert parse_formula(formula) == counts


@pytest.mark.parametrize("formula", ["", "c7", "C7H-1", "C 7", "(CH3)2", "C1.5", "Qq2", "C0", "7", "C7H10O2+"])
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(UsageError, match="composition"):
        parse_formula(formula)


def test_what_is_asked_stands_in_its_column():
    assert CONDITIONS.columns == ("gap", "n_atoms", "H", "C", "O")
    row = CONDITIONS.row({"composition": "H2O", "gap": "4.5"})
    np.testing.assert_array_equal(row, np.array([4.5, np.nan, 2, 0, 1], np.float32))
    assert np.isnan(CONDITIONS.row({})).all()


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"gaap": 4.0}, "did you mean 'gap'"),
        ({"gap": "wide"}, "got 'wide', wanted a number"),
        ({"gap": float("nan")}, "wanted a number"),
        ({"gap": float("inf")}, "wanted a number"),
        ({"gap": -1.0}, "never negative"),
        ({"n_atoms": 2.5}, "whole number"),
        ({"n_atoms": 0}, "at least 1"),
        ({"n_atoms": 40}, "asked for 40 atoms, but max_atoms is 35"),
        ({"composition": "C30H60"}, "asked for 90 atoms"),
        ({"composition": "N2"}, "N of N2 is not among this model's elements: H C O"),
        ({"n_atoms": 4, "composition": "H2O"}, "H2O has 3 atoms"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(request_, sentence):
    with pytest.raises(UsageError, match=sentence):
        grow(toy(), 2, conditions=request_)


def test_a_model_that_was_taught_no_conditions_says_so():
    with pytest.raises(UsageError, match="condition 'gap': this model was taught none"):
        grow(ToyModel(), 2, conditions={"gap": 4.0})


def test_one_request_for_each_attempt_or_none():
    with pytest.raises(UsageError, match="got 1 for 2 molecules"):
        grow(toy(), 2, conditions=[{"gap": 4.0}])


def test_a_start_larger_than_the_molecule_is_refused():
    start = Molecule(np.array([6, 6, 6]), np.eye(3) * 1.1)
    with pytest.raises(UsageError, match="asked for 2 atoms, but the start fragment has 3"):
        grow(toy(), 2, start=start, conditions={"n_atoms": 2})


def test_a_start_that_the_formula_lacks_is_refused():
    with pytest.raises(UsageError, match="asked for H2O, but the start is C"):
        grow(toy(), 2, start="C", conditions={"composition": "H2O"})


def test_what_lies_out_of_range_is_a_warning_with_the_range():
    with pytest.warns(OutsideRangeWarning, match="'gap': 40 lies outside .* 2 to 10"):
        grow(toy(), 2, conditions={"gap": 40.0})
    with pytest.warns(OutsideRangeWarning, match="'O': 3 lies outside .* 0 to 2"):
        grow(toy(), 2, conditions={"composition": "H2O3"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grow(toy(), 2, conditions={"gap": 10.0, "composition": "C3H6"})


def test_every_fragment_carries_what_its_molecule_was_asked():
    model = toy()
    gaps = [2.0 + i / 4 for i in range(12)]
    grown = grow(model, 12, seed=1, conditions=[{"gap": gap} for gap in gaps], block=5, slots=3)
    assert [molecule.properties["asked_gap"] for molecule in grown.molecules] == gaps
    for fragments in model.batches:
        assert fragments.conditions.shape == (len(fragments.n_atoms), 5)
        assert fragments.conditions[:, 1:].isnan().all()
    # How often the model decided about a molecule shows in how often it saw its gap.
    seen = torch.cat([fragments.conditions[:, 0] for fragments in model.batches])
    assert sorted(set(seen.tolist())) == gaps
    plain = grow(toy(), 12, seed=1, block=5, slots=3)
    assert [m.positions.tobytes() for m in plain.molecules] == [m.positions.tobytes() for m in grown.molecules]
    assert not any("asked_gap" in molecule.properties for molecule in plain.molecules)


def test_processes_ask_the_same():
    requests = [{"n_atoms": 3 + i % 5, "composition": f"CH{2 + i % 5}"} for i in range(8)]
    here, there = (grow(toy(), 8, conditions=requests, block=3, workers=workers).molecules for workers in (1, 2))
    assert [m.properties for m in here] == [m.properties for m in there]
    assert here[1].properties["asked_composition"] == "CH3"


def test_a_composition_says_which_atom_is_first():
    model = toy()
    model.set_start(torch.tensor([0.0, 0.75, 0.25]))  # hydrogen is never the first
    grown = grow(model, 400, conditions={"composition": "H4CO2"}, max_atoms=8)
    share = np.mean([molecule.numbers[0] == 8 for molecule in grown.molecules])
    assert {int(molecule.numbers[0]) for molecule in grown.molecules} == {6, 8}
    assert share == pytest.approx(2 / 3, abs=0.08)
    hydrogen = grow(model, 5, conditions={"composition": "H4"}, max_atoms=8)
    assert {int(molecule.numbers[0]) for molecule in hydrogen.molecules} == {1}
    given = model.start_given(torch.tensor([[np.nan] * 5, [np.nan, np.nan, 4.0, 1.0, 2.0]])).exp()
    torch.testing.assert_close(given, torch.tensor([[0, 0.75, 0.25], [0, 1 / 3, 2 / 3]]))


@pytest.mark.parametrize("value", [np.inf, -1e300])
def test_a_property_beyond_single_precision_is_refused_with_the_molecule(value):
    molecules = [Molecule([6], [[0, 0, 0]], {"logp": x}) for x in (0.5, value)]
    store = MoleculeStore.from_molecules(molecules)
    with pytest.raises(InputError, match="condition 'logp': molecule 1 of the data has"):
        Conditions(("logp",), Species(["C"])).check(store)
