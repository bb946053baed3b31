"""The molecules of an evaluation for chemiscope (G. Fraux et al., J. Open Source Softw. 5, 2117 (2020)).

chemiscope.org opens the file, and so does `chemiscope.show_input` in a notebook. It is written in chemiscope's
documented JSON format, without the package. A number that a molecule lacks is NaN, which chemiscope reads although JSON
has none: the molecule is left out of maps that show this number.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, UsageError, printable
from ..files import write_atomic
from .outputs import columns_of, metric_columns

if TYPE_CHECKING:
    from .evaluation import Evaluation
    from .validity import Verdict

SUFFIXES = (".json", ".json.gz")
DECIMALS = 4  # of positions, Å


def write_chemiscope(path: str | Path, evaluation: Evaluation) -> None:
    """Write every attempt that has a geometry, with verdict, reason, size and each metric's value for it.

    Args:
        path: ends in .json.gz or .json.
        evaluation: what was found.

    Raises:
        UsageError: if the suffix is another.
        InputError: if there is no molecule at all.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIXES):
        raise UsageError(f"{path}: chemiscope takes files that end in {' or '.join(SUFFIXES)}.")
    structures, properties = _gathered(evaluation)
    if not structures:
        raise InputError(f"{path}: not written, since there is no molecule to show.")
    names = ", ".join(printable(scored.name) for scored in evaluation.sets)
    content = {
        "meta": {"name": names, "description": f"{len(structures)} molecules judged by Atomweave"},
        "structures": structures,
        "properties": {printable(name): _property(values) for name, values in properties.items()},
        "settings": {"map": {"x": {"property": "attempt"}, "y": {"property": "n_atoms"}, "symbol": "verdict"}},
    }
    text = json.dumps(content, separators=(",", ":")).encode()
    with write_atomic(path) as temporary:
        # Without a time in the header the same evaluation gives the same bytes.
        temporary.write_bytes(gzip.compress(text, 6, mtime=0) if path.suffix == ".gz" else text)


def _gathered(evaluation: Evaluation) -> tuple[list[dict[str, Any]], dict[str, list[Any]]]:
    """Return the structures, and property name -> one value a structure."""
    names = metric_columns(evaluation)
    structures: list[dict[str, Any]] = []
    properties: dict[str, list[Any]] = {}
    for scored in evaluation.sets:
        for sample, results in zip(scored.samples, scored.results, strict=True):
            columns = columns_of(results, names, len(sample))
            labels = sample.labels or [""] * len(sample)
            for index, (verdict, label) in enumerate(zip(sample.verdicts, labels, strict=True)):
                if verdict.molecule is None:
                    continue
                structures.append(_structure(verdict))
                values = _told(scored.name, label, index, verdict)
                values |= {heading: column[index] for heading, column in columns.items()}
                for name, value in values.items():
                    properties.setdefault(name, []).append(value)
    return structures, properties


def _structure(verdict: Verdict) -> dict[str, Any]:
    molecule = verdict.molecule
    assert molecule is not None
    x, y, z = np.round(molecule.positions, DECIMALS).T.tolist()
    structure = {"size": len(molecule), "names": molecule.symbols, "x": x, "y": y, "z": z}
    if verdict.perception is not None and len(verdict.perception.bonds):
        # chemiscope draws whole orders only: an aromatic bond, 1.5, as a single one.
        pairs = zip(verdict.perception.bonds.tolist(), verdict.perception.orders.tolist(), strict=True)
        structure["bonds"] = [[a, b, int(order)] for (a, b), order in pairs]
    return structure


def _told(name: str, label: str, index: int, verdict: Verdict) -> dict[str, Any]:
    molecule = verdict.molecule
    assert molecule is not None
    return {
        "attempt": index,
        "n_atoms": len(molecule),
        "valid": verdict.valid,
        "strict": verdict.strict,
        "verdict": "strict" if verdict.strict else "valid" if verdict.valid else "invalid",
        "reason": verdict.reason,
        "formula": molecule.formula,
        "smiles": verdict.smiles,
        "set": name,
        "label": label,
    }


def _property(values: Sequence[Any]) -> Mapping[str, Any]:
    """Return a property of structures: numbers where all values are numbers, flags (1 and 0) or missing, else text."""
    bare = [value.item() if isinstance(value, np.generic) else value for value in values]
    if all(value is None or isinstance(value, bool | int | float) for value in bare):
        return {"target": "structure", "values": [_number(value) for value in bare]}
    return {"target": "structure", "values": ["" if value is None else printable(str(value)) for value in bare]}


def _number(value: float | None) -> float:
    return float(value) if value is not None and math.isfinite(value) else math.nan
