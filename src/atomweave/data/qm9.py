"""QM9 from the installed `qm9pack` package: geometries, properties and the split that generative papers share.

`qm9pack` holds the 130,831 molecules that are left of QM9's 133,885 once the 3,054 "uncharacterized" ones (whose
relaxed geometry no longer matches its SMILES) are taken away, in the order of QM9's index. That is the set, and the
order, on which the EDM split (Hoogeboom et al., ICML 2022) is defined and which the Symphony thesis uses.
"""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import numpy as np

from ..columns import TextColumn
from ..errors import InputError, MissingDependencyError
from ..species import NUMBERS
from .store import MoleculeStore

N_MOLECULES = 130_831
LAST_INDEX = 133_885
N_TRAIN, N_TEST = 100_000, 13_083  # EDM: a fixed training set, a tenth for the test, the rest for validation
HARTREE_IN_EV = 27.211386245988  # CODATA 2018
CITATION = (
    "R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, Quantum chemistry structures and properties of "
    "134 kilo molecules, Scientific Data 1, 140022 (2014), doi:10.1038/sdata.2014.22; "
    "split: E. Hoogeboom, V. G. Satorras, C. Vignac, M. Welling, Equivariant Diffusion for Molecule Generation in 3D, "
    "ICML 2022."
)
PROPERTIES = {
    "dipole": ("Dipole_debye", 1.0, "D"),
    "polarizability": ("Polarizability_bohr3", 1.0, "Bohr^3"),
    "homo": ("HOMO_au", HARTREE_IN_EV, "eV"),
    "lumo": ("LUMO_au", HARTREE_IN_EV, "eV"),
    "gap": ("HOMO_LUMO_gap_au", HARTREE_IN_EV, "eV"),
    "r2": ("R2_bohr2", 1.0, "Bohr^2"),
    "zpve": ("ZPVE_au", HARTREE_IN_EV, "eV"),
    "u0": ("InternalEnergy_0K_au", HARTREE_IN_EV, "eV"),
    "u": ("InternalEnergy_298K_au", HARTREE_IN_EV, "eV"),
    "h": ("Enthalphy_298K_au", HARTREE_IN_EV, "eV"),  # the package spells it so
    "g": ("GibbsFreeEnergy_298K_au", HARTREE_IN_EV, "eV"),
    "heat_capacity": ("Heatcapacity_Cv_cal_mol_K", 1.0, "cal/(mol K)"),
}
"""Property -> column of the package, factor, unit after the factor; B3LYP/6-31G(2df,p), u, h, g at 298.15 K."""


def build_qm9(folder: str | Path | None = None) -> MoleculeStore:
    """Read QM9 into a store with the splits edm/train, edm/valid and edm/test.

    Args:
        folder: where `qm9_part1.csv` to `qm9_part3.csv` lie; default the installed `qm9pack`.

    Raises:
        MissingDependencyError: if `qm9pack` is not installed.
        InputError: if the files do not hold the 130,831 molecules of QM9.
    """
    folder = _installed_folder() if folder is None else Path(folder)
    parts = [_read_part(folder / f"qm9_part{part}.csv") for part in (1, 2, 3)]
    numbers, positions, sizes, index = (np.concatenate([part[i] for part in parts]) for i in range(4))
    if len(index) != N_MOLECULES or index[-1] != LAST_INDEX or (np.diff(index) <= 0).any():
        raise InputError(f"{folder}: {len(index)} molecules, wanted QM9's {N_MOLECULES} in order of index.")
    values = np.concatenate([part[4] for part in parts])
    columns = {name: values[:, i] * PROPERTIES[name][1] for i, name in enumerate(PROPERTIES)}
    smiles = TextColumn.of(string for part in parts for string in part[5])
    return MoleculeStore(
        numbers,
        positions,
        np.concatenate([[0], np.cumsum(sizes)]),
        {"index": index, "smiles": smiles, **columns},
        {name: unit for name, (_, _, unit) in PROPERTIES.items()},
        edm_split(),
        CITATION,
    )


def edm_split() -> dict[str, np.ndarray]:
    """Return EDM's train, validation and test indices into the 130,831 molecules in the order of QM9's index."""
    order = np.random.RandomState(0).permutation(N_MOLECULES).astype(np.int64)  # the legacy generator is the recipe
    train, valid, test = np.split(order, [N_TRAIN, N_MOLECULES - N_TEST])
    return {"edm/train": train, "edm/valid": valid, "edm/test": test}


def _installed_folder() -> Path:
    # Only located, never imported: its __init__ needs pkg_resources, which setuptools has dropped.
    found = importlib.util.find_spec("qm9pack")
    if found is None or not found.submodule_search_locations:
        raise MissingDependencyError('QM9 comes from the package qm9pack: run pip install "atomweave[qm9]".')
    return Path(found.submodule_search_locations[0]) / "data"


def _read_part(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Return numbers, positions, sizes, index, property values and SMILES of one file, all molecules at once."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; reinstall qm9pack.")
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        place = {name: i for i, name in enumerate(next(rows, []))}
        wanted = ["Index", "N_atoms", "SMILES", "Elements", "XYZ_Ang", *(entry[0] for entry in PROPERTIES.values())]
        absent = [name for name in wanted if name not in place]
        if absent:
            raise InputError(f"{path}: no column {', '.join(absent)}; wanted the files of qm9pack 1.0.3.")
        places = [place[name] for name in wanted]
        try:
            kept = ([row[i] for i in places] for row in rows)
            index, sizes, smiles, elements, coordinates, *values = zip(*kept, strict=True)
            size = np.array(sizes, np.int64)
            letters = "".join(elements).encode("ascii").translate(None, b"[]', ")  # QM9's symbols have one letter each
            numbers = _NUMBER_OF_LETTER[np.frombuffer(letters, np.uint8)]
            flat = ",".join(coordinates)
            positions = np.array(flat.replace("[", "").replace("]", "").split(","), np.float64)
            table = np.array(values, np.float64).T
        except (ValueError, IndexError) as error:
            raise InputError(f"{path}: a row cannot be read ({error}); reinstall qm9pack.") from None
    return numbers, positions.reshape(-1, 3).astype(np.float32), size, np.array(index, np.int64), table, list(smiles)


_NUMBER_OF_LETTER = np.zeros(128, np.uint8)
for _symbol in "HCNOF":
    _NUMBER_OF_LETTER[ord(_symbol)] = NUMBERS[_symbol]
