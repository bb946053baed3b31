from __future__ import annotations

import math

import numpy as np
import pytest

from atomweave.errors import UsageError
from atomweave.evaluation.metrics.memorisation import GEOMETRIES, NEIGHBOURS, Memorisation
from atomweave.evaluation.metrics.novelty import SEEN, Novelty
from atomweave.evaluation.reference import Reference
from atomweave.molecule import Molecule
from reference import internal
from reference import worked_molecules as worked
from reference.judged import judged
from reference.molecules import qm9_molecules

TRAINING = [worked.methane(), worked.water(), worked.benzene(), internal.butane(180), worked.embedded("CCO"), None]
TRAINING += list(qm9_molecules().values())


def reference_of(molecules) -> Reference:
    return Reference("training", arrays=Memorisation().describe(judged(molecules)).arrays)


@pytest.fixture(scope="module")
def reference():
    return reference_of(TRAINING)


def shaken(molecule: Molecule, noise: float) -> Molecule:
    rng = np.random.default_rng(len(molecule))
    return Molecule(molecule.numbers, molecule.positions + rng.normal(0, noise, (len(molecule), 3)))


def measures(molecules, reference, **settings):
    return {found.name: found for found in Memorisation(**settings).measure(judged(molecules), reference).measures}


def test_the_training_molecules_are_memorised(reference):
    found = measures(TRAINING, reference)
    n = len(TRAINING) - 1
    assert found["memorised/nearest"].value == 1
    for name in ("memorised/nearest_identical", "memorised/geometry", "memorised/geometry_of_exact"):
        assert (found[name].count, found[name].total) == (n, n), name


def test_a_little_noise_does_not_hide_them(reference):
    found = measures([shaken(molecule, 0.02) for molecule in TRAINING if molecule is not None], reference)
    assert found["memorised/geometry_of_exact"].value == 1
    assert found["memorised/nearest"].value == 1


def test_another_conformer_is_the_same_molecule_in_another_geometry(reference):
    result = Memorisation().measure(judged([internal.butane(65), internal.butane(180), worked.methyl()]), reference)
    found = {measure.name: measure for measure in result.measures}
    assert (found["memorised/geometry"].count, found["memorised/geometry"].total) == (1, 2)
    assert (found["memorised/geometry_of_exact"].count, found["memorised/geometry_of_exact"].total) == (1, 2)
    gauche, anti, invalid = result.columns["geometry_difference"]
    assert gauche > 0.15
    assert anti == pytest.approx(0, abs=0.01)
    assert invalid is None


def test_a_tolerance_can_be_set(reference):
    assert measures([internal.butane(65)], reference, tolerance=0.6)["memorised/geometry"].count == 1


def test_the_nearest_of_several_geometries_counts():
    conformers = reference_of([internal.butane(180), worked.water(), internal.butane(65)])
    assert measures([internal.butane(65), internal.butane(180)], conformers)["memorised/geometry"].count == 2


def test_similarity_by_hand():
    """Methanol has CH3, OH and both; ethanol has CH3, CH2, OH, two pairs and the whole: 2 of 7 are shared."""
    methanol, ethanol = worked.embedded("CO"), worked.embedded("CCO")
    result = Memorisation().measure(judged([methanol]), reference_of([ethanol, worked.methane()]))
    assert result.columns["nearest_similarity"] == [pytest.approx(2 / 7)]


def test_what_was_never_seen_is_not_memorised(reference):
    novel = [worked.carbon_dioxide(), internal.cyclopropane(), worked.embedded("CC(=O)NC")]
    found = measures(novel, reference)
    assert found["memorised/nearest_identical"].count == 0
    assert (found["memorised/geometry"].count, found["memorised/geometry"].total) == (0, 3)
    assert (found["memorised/geometry_of_exact"].total, found["memorised/geometry_of_exact"].value_text) == (0, "–")


def test_a_random_part_is_stated_and_repeats(reference):
    sample = judged(TRAINING)
    first, again = (Memorisation(n=4).measure(sample, reference) for _ in range(2))
    assert first.columns == again.columns
    assert sum(value is not None for value in first.columns["nearest_similarity"]) == 4
    assert "a random 4 of the valid" in first.measures[0].note
    assert first.measures[0].total == 4
    other = Memorisation(n=4, seed=1).measure(sample, reference)
    assert other.columns["nearest_similarity"] != first.columns["nearest_similarity"]


def test_a_reference_is_small_and_shares_the_names_with_novelty(reference):
    arrays = reference.arrays
    assert set(arrays) == {SEEN, GEOMETRIES, NEIGHBOURS}
    np.testing.assert_array_equal(arrays[SEEN], Novelty().describe(judged(TRAINING)).arrays[SEEN])
    n = len(TRAINING) - 1
    assert arrays[GEOMETRIES].shape == (n, 8)
    assert sum(array.nbytes for array in arrays.values()) < 50 * n


def test_a_reference_file_keeps_all_of_it(tmp_path, reference):
    reference.write(tmp_path / "training.safetensors")
    read = Reference.open(tmp_path / "training.safetensors")
    assert measures(TRAINING, read) == measures(TRAINING, reference)


def test_a_reference_that_lacks_something_gives_the_rest(reference):
    assert measures(TRAINING, Reference()) == {}
    arrays = dict(reference.arrays)
    without_neighbours = Reference(arrays={SEEN: arrays[SEEN], GEOMETRIES: arrays[GEOMETRIES]})
    assert set(measures(TRAINING, without_neighbours)) == {"memorised/geometry", "memorised/geometry_of_exact"}
    neighbours_alone = Reference(arrays={NEIGHBOURS: arrays[NEIGHBOURS]})
    assert set(measures(TRAINING, neighbours_alone)) == {"memorised/nearest", "memorised/nearest_identical"}


@pytest.mark.parametrize("molecules", [[], [None, worked.methyl()]])
def test_nothing_valid_gives_empty_figures(molecules, reference):
    for measure in measures(molecules, reference).values():
        assert measure.total == 0
        assert math.isnan(measure.value)
    of_nothing = reference_of(molecules)
    assert math.isnan(measures([worked.water()], of_nothing)["memorised/nearest"].value)
    assert measures([worked.water()], of_nothing)["memorised/geometry"].count == 0


@pytest.mark.parametrize("settings", [{"n": -1}, {"tolerance": 0.0}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(UsageError, match="memorisation: got"):
        Memorisation(**settings)
