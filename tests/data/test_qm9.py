"""QM9 as the thesis and EDM use it: conformance test 1, and fingerprints published by others."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import numpy as np
import pytest

from atomweave.data import MoleculeStore
from atomweave.data.qm9 import HARTREE_IN_EV, PROPERTIES, build_qm9, edm_split
from atomweave.errors import InputError, MissingDependencyError

needs_qm9pack = pytest.mark.skipif(
    importlib.util.find_spec("qm9pack") is None, reason="qm9pack (extra `qm9`) is not installed"
)

EDM_TRAINING_SIZES = {
    3: 1, 4: 4, 5: 5, 6: 9, 7: 16, 8: 49, 9: 124, 10: 362, 11: 807, 12: 1689, 13: 3060, 14: 5136, 15: 7796, 16: 10644,
    17: 13025, 18: 13364, 19: 13832, 20: 9482, 21: 9970, 22: 3393, 23: 4848, 24: 539, 25: 1506, 26: 48, 27: 266, 29: 25,
}  # fmt: skip
"""How many of EDM's 100,000 training molecules have n atoms: `n_nodes` of `qm9_with_h` in EDM's published code."""


@pytest.fixture(scope="module")
def built() -> tuple[MoleculeStore, float]:
    start = time.process_time()
    return build_qm9(), time.process_time() - start


@needs_qm9pack
def test_it_is_quick(built: tuple[MoleculeStore, float]) -> None:
    assert built[1] < 15  # seconds of one core


@needs_qm9pack
def test_sizes_of_the_set_and_its_splits(built: tuple[MoleculeStore, float]) -> None:
    store = built[0]
    assert len(store) == 130_831
    assert store.elements == ("H", "C", "N", "O", "F")
    assert {name: len(indices) for name, indices in store.splits.items()} == {
        "edm/train": 100_000,
        "edm/valid": 17_748,
        "edm/test": 13_083,
    }
    assert np.array_equal(np.sort(np.concatenate(list(store.splits.values()))), np.arange(130_831))


@needs_qm9pack
def test_training_set_is_the_one_that_edm_published(built: tuple[MoleculeStore, float]) -> None:
    store = built[0]
    counts = np.bincount(store.sizes[store.split("edm/train")])
    assert {n: int(count) for n, count in enumerate(counts) if count} == EDM_TRAINING_SIZES


@needs_qm9pack
def test_the_uncharacterized_molecules_are_left_out(built: tuple[MoleculeStore, float]) -> None:
    index = built[0].properties["index"]
    left_out = np.setdiff1d(np.arange(1, 133_886), index)
    assert len(left_out) == 3054
    assert left_out[:4].tolist() == [58, 61, 80, 185]


@needs_qm9pack
def test_methane_and_a_late_molecule_value_for_value(built: tuple[MoleculeStore, float]) -> None:
    store = built[0]
    methane, last = store[0], store[-1]
    assert methane.formula == "CH4"
    assert methane.positions[0] == pytest.approx([-0.0126981359, 1.0858041578, 0.0080009958], abs=1e-7)
    assert methane.properties["smiles"] == "C"
    assert methane.properties["u0"] == pytest.approx(-40.47893 * HARTREE_IN_EV, rel=1e-12)
    assert methane.properties["gap"] == pytest.approx(0.5048 * HARTREE_IN_EV, rel=1e-12)
    assert methane.properties["polarizability"] == 13.21
    assert (last.properties["index"], last.properties["smiles"]) == (133_885, "C1N2C3C4C5OC13C2C45")


@needs_qm9pack
def test_properties_agree_with_one_another(built: tuple[MoleculeStore, float]) -> None:
    store = built[0]
    values = store.properties
    assert set(store.units) == set(PROPERTIES)
    assert all(np.isfinite(values[name]).all() for name in PROPERTIES)
    assert np.abs(values["lumo"] - values["homo"] - values["gap"]).max() < 1.01e-4 * HARTREE_IN_EV  # rounded to 1e-4
    assert np.abs(values["h"] - values["u"] - 0.000944 * HARTREE_IN_EV).max() < 3e-6 * HARTREE_IN_EV  # H = U + RT
    heavy = np.add.reduceat(store.numbers > 1, store.offsets[:-1])
    assert heavy.max() == 9


@needs_qm9pack
def test_it_survives_its_file(built: tuple[MoleculeStore, float], tmp_path: Path) -> None:
    built[0].write(tmp_path / "qm9.safetensors")
    back = MoleculeStore.open(tmp_path / "qm9.safetensors")
    assert np.array_equal(back.positions, built[0].positions)
    assert back[77_777].properties == built[0][77_777].properties


def test_the_split_is_the_published_recipe() -> None:
    split = edm_split()
    # First and last entries of numpy's legacy permutation of 130,831 with seed 0.
    assert split["edm/train"][:5].tolist() == [130_195, 68_784, 7_957, 25_911, 20_168]
    assert split["edm/test"][:5].tolist() == [115_839, 90_242, 66_405, 71_231, 103_168]


def test_without_the_package_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r'pip install "atomweave\[qm9\]"'):
        build_qm9()


HEADER = "Index,N_atoms,SMILES,Elements,XYZ_Ang," + ",".join(column for column, _, _ in PROPERTIES.values())
ROW = '1,1,C,"[\'{element}\']","[[0,0,{z}]]"' + ",1" * len(PROPERTIES)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "there is no such file"),
        ("", "no column Index, N_atoms"),
        (HEADER + "\n", "a row cannot be read"),
        (HEADER + "\n" + ROW.format(element="C", z="zero") + "\n", "a row cannot be read"),
        (HEADER + "\n" + ROW.format(element="C", z="0")[:-2] + "\n", "a row cannot be read"),
        (HEADER + "\n" + ROW.format(element="C", z="0") + "\n", "1 molecules, wanted QM9's 130831"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str | None, reason: str) -> None:
    for part in (1, 2, 3):
        if text is not None:
            (tmp_path / f"qm9_part{part}.csv").write_text(text)
    with pytest.raises(InputError, match=reason if "molecules" not in reason else "molecules, wanted QM9's 130831"):
        build_qm9(tmp_path)
