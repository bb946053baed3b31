"""The worker's task `property`: one molecule's properties, or the reason why it has none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..chemistry.atoms_frame import unpack_atoms
from ..chemistry.bonds import require_rdkit
from .calculate import Calculation, calculate
from .methods import Method, parse_method, relaxing_method


def prepare(options: dict[str, Any]) -> None:
    """Import RDKit and the programs that the options need; they hold what `answer` says."""
    require_rdkit()
    method = parse_method(options["method"])
    _require(method)
    _require(relaxing_method(options["relax"], method) or method)


def answer(request: bytes, options: dict[str, Any]) -> bytes:
    """Return the packed `Calculation` of packed atoms.

    Args:
        request: see `atoms_frame.pack_atoms`.
        options: `properties` (list of names), `method` (name), `relax` (false, true or a method's name) and `threads`
            (optional, 1).
    """
    numbers, positions = unpack_atoms(request)
    method, relax, threads = parse_method(options["method"]), options["relax"], options.get("threads", 1)
    return pack(calculate(numbers, positions, options["properties"], method, relax, threads=threads))


def pack(calculation: Calculation) -> bytes:
    """Return a calculation as one line of JSON; floats come back to the last bit."""
    positions = None if calculation.positions is None else calculation.positions.tolist()
    return json.dumps([calculation.values, calculation.reason, positions, calculation.seconds]).encode()


def unpack(answer: bytes) -> Calculation:
    """Return what `pack` packed."""
    values, reason, positions, seconds = json.loads(answer)
    return Calculation(values, reason, None if positions is None else np.array(positions).reshape(-1, 3), seconds)


def _require(method: Method) -> None:
    if method.program == "tblite":
        from ..chemistry.xtb import require_tblite

        require_tblite()
    else:
        from .dft import require_pyscf

        require_pyscf()
