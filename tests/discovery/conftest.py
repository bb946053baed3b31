from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from atomweave.data.store import MoleculeStore
from atomweave.isolation.tasks import task_module
from atomweave.molecule import Molecule
from reference.worked_molecules import embedded

GAPS = {
    "C": 13.0, "CC": 11.0, "CO": 9.0, "CCO": 8.0, "C=O": 5.5, "CC=O": 5.6, "C=CC=O": 4.2, "O=CC=O": 3.4, "N#CC=O": 4.0,
    "CC(=O)C=O": 3.9, "C=C": 7.5, "CN": 8.5, "CF": 11.5, "OC=O": 6.5,
}  # fmt: skip
"""SMILES -> a gap of about the right size, eV."""

N_TRAIN = 11
"""The last three are held out: two for the validation loss, one for the test."""


def told(smiles: str, gap: float) -> Molecule:
    molecule = embedded(smiles)
    properties = {"gap": gap, "polarizability": 4.0 * len(molecule), "smiles": smiles}
    return replace(molecule, properties=properties)


@pytest.fixture(scope="session")
def store() -> MoleculeStore:
    """Fourteen molecules with gap (eV), polarizability (Bohr^3), SMILES and the splits of QM9."""
    molecules = [told(smiles, gap) for smiles, gap in GAPS.items()]
    store = MoleculeStore.from_molecules(molecules, {"gap": "eV", "polarizability": "Bohr^3"})
    splits = {"edm/train": np.arange(N_TRAIN), "edm/valid": np.arange(N_TRAIN, 13), "edm/test": np.array([13])}
    return replace(store, splits=splits, citation="by hand")


def answer_here(task: str, requests: Sequence[bytes], *, options: Mapping | None = None, **_) -> list[bytes]:
    """Stand in for `run_isolated`: two dozen crews that start for a handful of molecules each are most of a test."""
    module = task_module(task)
    module.prepare(dict(options or {}))
    return [module.answer(request, dict(options or {})) for request in requests]


def answer_each_here(
    task: str, requests: Iterable[tuple[int, bytes]], on_answer: Callable, *, options: Mapping | None = None, **_
) -> None:
    """Stand in for `answer_isolated`."""
    for number, request in requests:
        on_answer(number, answer_here(task, [request], options=options)[0])


@pytest.fixture(scope="module")
def in_process():
    """Judge and calculate in this process; PoseBusters, which takes over RDKit's messages, stays outside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atomweave.chemistry.bonds.run_isolated", answer_here)
        patch.setattr("atomweave.isolation.executors.answer_isolated", answer_each_here)
        yield
