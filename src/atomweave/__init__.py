"""Atomweave grows 3D molecules atom by atom.

    import atomweave

    model = atomweave.load("weaver-qm9")
    molecules = model.sample(100, seed=0)
    atomweave.write("molecules.sdf", molecules)

Names are imported when they are first used: `import atomweave` itself loads neither torch nor RDKit.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .data.store import MoleculeStore
    from .errors import AtomweaveError
    from .evaluation.evaluate import evaluate
    from .evaluation.evaluation import Evaluation
    from .growth.completion import complete
    from .growth.grower import Grown, grow
    from .io import read, write
    from .models.base import Temperatures
    from .models.likelihood import log_likelihood
    from .models.weights import load_model as load
    from .molecule import Molecule
    from .properties.scoring import score
    from .species import Species

    __version__: str

_HOMES = {
    "AtomweaveError": ("errors", "AtomweaveError"),
    "Evaluation": ("evaluation.evaluation", "Evaluation"),
    "Grown": ("growth.grower", "Grown"),
    "Molecule": ("molecule", "Molecule"),
    "MoleculeStore": ("data.store", "MoleculeStore"),
    "Species": ("species", "Species"),
    "Temperatures": ("models.base", "Temperatures"),
    "complete": ("growth.completion", "complete"),
    "evaluate": ("evaluation.evaluate", "evaluate"),
    "grow": ("growth.grower", "grow"),
    "load": ("models.weights", "load_model"),
    "log_likelihood": ("models.likelihood", "log_likelihood"),
    "read": ("io", "read"),
    "score": ("properties.scoring", "score"),
    "write": ("io", "write"),
}

__all__ = [
    "AtomweaveError",
    "Evaluation",
    "Grown",
    "Molecule",
    "MoleculeStore",
    "Species",
    "Temperatures",
    "complete",
    "evaluate",
    "grow",
    "load",
    "log_likelihood",
    "read",
    "score",
    "write",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module 'atomweave' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(importlib.import_module(f".{module}", __name__), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
