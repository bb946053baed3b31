"""The worker's task `posebusters`: what checks of PoseBusters find for one molecule.

The library is used only here: importing it redirects RDKit's messages for the whole process.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import warnings
from typing import TYPE_CHECKING, Any

from ...errors import MissingDependencyError

if TYPE_CHECKING:
    from rdkit import Chem


def require_posebusters() -> None:
    """Raise `MissingDependencyError` with the extra to install if there is no PoseBusters; does not import it."""
    if importlib.util.find_spec("posebusters") is None:
        raise MissingDependencyError(
            "these tests need PoseBusters, which is not installed: pip install 'atomweave[eval]'."
        )


def prepare(options: dict[str, Any]) -> None:  # noqa: ARG001 - what every task offers
    """Import PoseBusters and silence it: what it finds is returned, and nobody reads what a worker prints."""
    require_posebusters()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    import posebusters.posebusters  # noqa: F401


def answer(request: bytes, options: dict[str, Any]) -> bytes:
    """Return JSON: name of each output of `options["checks"]` -> its value for the molecule (RDKit's binary format).

    A value is true, false, a number, or null where PoseBusters came to no verdict.
    """
    from rdkit import Chem

    mol = Chem.Mol(request)  # type: ignore[call-overload] # its stubs forget bytes
    found: dict[str, Any] = {}
    for check in options["checks"]:
        results = run_check(mol, check["function"], check["parameters"])
        found |= {name: _plain(results[output]) for name, output in check["outputs"].items()}
    return json.dumps(found).encode()


def run_check(mol: Chem.Mol, function: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Call a function of PoseBusters by the name that its configuration files give it, and return its results."""
    from posebusters.posebusters import module_dict

    if function == "energy_ratio":
        # By default it takes all cores; the energies do not depend on how many.
        parameters = {**parameters, "num_threads": 1}
        # Every conformer has a seed of its own and the ensemble counts only if all can be made. So where the first one
        # alone cannot (strained cages), the other 49 need no hopeless seconds; the verdict is the same, missing.
        first = module_dict[function](mol, **{**parameters, "ensemble_number_conformations": 1})["results"]
        if not math.isfinite(first["ensemble_avg_energy"]):
            return first
    return module_dict[function](mol, **parameters)["results"]


def _plain(value: Any) -> bool | float | None:
    """Return a value of numpy or Python as JSON knows it, NaN as None."""
    number = float(value)
    if not math.isfinite(number):
        return None
    return number if isinstance(value, float) else bool(value)
