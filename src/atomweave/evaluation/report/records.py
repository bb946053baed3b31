"""What the page knows of one attempt: plain JSON values, every string still untrusted."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from ...chemistry.radii import bonded_pairs
from ...errors import InputError

if TYPE_CHECKING:
    from rdkit import Chem

    from ...chemistry.bonds import Perception
    from ..validity import Verdict

NAME_KEYS = ("name", "title", "_Name")
DRAWING_SIZE = 300  # px, width of a 2D drawing; its height is three quarters


def record(index: int, verdict: Verdict) -> dict[str, Any]:
    """Return the facts of one attempt.

    Returns:
        index, formula, smiles, valid, strict, finished, reason, detail, n_fragments, name; `symbols`,
        `positions` (flat, Å, three decimals), `bonds` (flat triples: atom, atom, order; connectivity only where no
        bond orders exist); `rings`, the sizes of its rings, each once; `drawing`, a data URI of the 2D structure or "".
    """
    molecule, perception = verdict.molecule, verdict.perception
    facts: dict[str, Any] = {
        "index": index,
        "valid": verdict.valid,
        "strict": verdict.strict,
        "finished": verdict.finished,
        "reason": verdict.reason,
        "detail": verdict.detail,
        "smiles": verdict.smiles,
        "n_fragments": perception.n_fragments if perception is not None else 0,
        "formula": "",
        "name": "",
        "symbols": [],
        "positions": [],
        "bonds": [],
        "rings": sorted(set(perception.rings)) if perception is not None and verdict.valid else [],
        "drawing": "",
    }
    if molecule is None:
        return facts
    mol = perception.mol if perception is not None else None
    facts["formula"] = molecule.formula
    facts["name"] = next((str(molecule.properties[key]) for key in NAME_KEYS if key in molecule.properties), "")
    facts["symbols"] = molecule.symbols
    facts["positions"] = molecule.positions.round(3).ravel().tolist()
    facts["bonds"] = _connectivity(verdict) if perception is None or mol is None else _bonds(perception)
    facts["drawing"] = _drawing(mol) if mol is not None else ""
    return facts


def _bonds(perception: Perception) -> list[float]:
    pairs = zip(perception.bonds.tolist(), perception.orders.tolist(), strict=True)
    return [value for (a, b), order in pairs for value in (a, b, order)]


def _connectivity(verdict: Verdict) -> list[float]:
    assert verdict.molecule is not None
    try:
        pairs = bonded_pairs(verdict.molecule.numbers, verdict.molecule.positions)
    except InputError:  # thousands of atoms on a heap: nothing that lines between them would show
        return []
    return [value for a, b in pairs.tolist() for value in (a, b, 1.0)]


def _drawing(mol: Chem.Mol) -> str:
    """Return the 2D structure as a data URI; as an image, nothing in it can run."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDepictor
    from rdkit.Chem.Draw import rdMolDraw2D

    with rdBase.BlockLogs():
        try:
            flat = Chem.RemoveHs(mol)
            rdDepictor.Compute2DCoords(flat, useRingTemplates=True)
            drawer = rdMolDraw2D.MolDraw2DSVG(DRAWING_SIZE, DRAWING_SIZE * 3 // 4)
            options: Any = drawer.drawOptions()  # its stubs type every option as MolDrawOptions
            options.useBWAtomPalette()
            options.clearBackground = False
            options.flagCloseContactsDist = -1  # a cage drawn flat overlaps; no need to circle it
            options.padding = 0.08
            options.maxFontSize = 15
            options.fixedBondLength = 28
            drawer.DrawMolecule(flat)
            drawer.FinishDrawing()
        except (ValueError, RuntimeError):  # a structure that RDKit cannot lay out still has its 3D view
            return ""
    return "data:image/svg+xml;base64," + base64.b64encode(drawer.GetDrawingText().encode()).decode()
