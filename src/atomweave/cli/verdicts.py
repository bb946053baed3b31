"""What became of grown molecules: their verdicts, the table, and the file that carries them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import IncompleteError, MissingDependencyError
from ..io import SdfRecord, format_of, write, write_sdf

if TYPE_CHECKING:
    from ..evaluation.headline import Headline
    from ..evaluation.validity import Verdict
    from ..growth.grower import Grown
    from ..molecule import Molecule

WRITTEN_AS = {"xyz": "extxyz"}
"""An .xyz of grown molecules carries what became of each in its comment lines, which any reader of xyz passes over."""


def check_needs(out: Path, report: Path | None, drop_invalid: bool) -> bool:
    """Return whether molecules can be judged, that is, whether RDKit is there.

    Raises:
        UsageError: if the suffix of `out` belongs to no format.
        MissingDependencyError: if something that was asked for cannot be had without a package.
    """
    needs = {
        f"{out.suffix} output": {"sdf": ("rdkit",), "asedb": ("ase",)}.get(format_of(out), ()),
        "--report": ("rdkit", "jinja2") if report is not None else (),
        "--drop-invalid": ("rdkit",) if drop_invalid else (),
    }
    for what, packages in needs.items():
        missing = [package for package in packages if find_spec(package) is None]
        if missing:
            raise MissingDependencyError(
                f"{what} needs {' and '.join(missing)}, not installed here: pip install 'atomweave[eval]' "
                "(output to .xyz, .extxyz or .npz needs nothing further)."
            )
    return find_spec("rdkit") is not None


def assess_attempts(grown: Grown) -> list[Verdict]:
    """Return the verdict on every attempt; needs RDKit."""
    from ..evaluation.validity import assess

    finished = [attempt.finished for attempt in grown.attempts]
    return assess(grown.molecules, finished, [attempt.reason or "" for attempt in grown.attempts])


def headline_of(grown: Grown, verdicts: Sequence[Verdict] | None) -> Headline:
    """Return the table's figures; without verdicts only how many attempts there were and finished."""
    from ..evaluation.headline import Headline, summarise
    from ..evaluation.measure import Measure, share

    if verdicts is not None:
        return summarise(verdicts)
    n = len(grown.attempts)
    finished = sum(attempt.finished for attempt in grown.attempts)
    measures = (
        Measure("attempted", "attempted", float(n), n, n, "", kind="count"),
        share("finished", "finished", finished, n, "attempts"),
    )
    return Headline(measures, grown.reasons)


def flagged(grown: Grown, verdicts: Sequence[Verdict] | None) -> list[Molecule]:
    """Return the molecules with their verdicts among their properties; without RDKit there are none to add."""
    if verdicts is None:
        return grown.molecules
    molecules = []
    for molecule, verdict in zip(grown.molecules, verdicts, strict=True):
        told = {"xyz2mol_valid": verdict.valid} | _where_there_is(smiles=verdict.smiles, reason=verdict.reason)
        molecules.append(replace(molecule, properties={**molecule.properties, **told}))
    return molecules


def _where_there_is(**texts: str) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}


def write_molecules(
    out: Path, molecules: Sequence[Molecule], verdicts: Sequence[Verdict] | None, drop_invalid: bool
) -> int:
    """Write molecules, an SDF with the bonds that were found; return how many.

    Raises:
        IncompleteError: if none is left to write.
    """
    kept = [i for i in range(len(molecules)) if not drop_invalid or (verdicts is not None and verdicts[i].valid)]
    if not kept:
        raise IncompleteError(f"{out}: not written, since none of the {len(molecules)} molecules is valid.")
    name = format_of(out)
    if name == "sdf" and verdicts is not None:
        bonds = [None if verdict.perception is None else verdict.perception.mol for verdict in verdicts]
        write_sdf(out, (SdfRecord(molecules[i], bonds[i]) for i in kept))
    else:
        write(out, [molecules[i] for i in kept], WRITTEN_AS.get(name, name))
    return len(kept)
