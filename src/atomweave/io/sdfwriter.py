"""Writing SDF: V2000 where it fits, V3000 where it does not; the same records give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, MissingDependencyError
from ..files import write_atomic
from ..molecule import Molecule, charge_of
from .sdvalues import format_value

if TYPE_CHECKING:
    from rdkit import Chem

NO_BONDS = 15
"""The valence field that stands for zero: without it a reader would fill a lone atom up with hydrogens."""


@dataclass(frozen=True)
class SdfRecord:
    """One record: a molecule and, where they were found, its bonds."""

    molecule: Molecule
    mol: Chem.Mol | None = None  # bonds, charges and radicals, atoms in the order of `molecule`; None writes no bonds
    properties: Mapping[str, Any] = field(default_factory=dict)  # data items after those of the molecule
    title: str = ""  # first line; the property "title" of the molecule when empty, else its formula


def write_sdf(path: str | Path, records: Iterable[SdfRecord | Molecule]) -> None:
    """Write records to an SDF, whole or not at all. Positions are rounded to 1e-4 Å, as V2000 prescribes.

    A molecule by itself gets the bonds that xyz2mol finds for its property "charge" (0 without one), and none where
    there are none, or without RDKit.

    Raises:
        InputError: if a `mol` has other atoms than its molecule, or a property's name does not fit into SDF.
    """
    with write_atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for index, record in enumerate(records):
            try:
                file.write(_text(_perceived(record) if isinstance(record, Molecule) else record))
            except InputError as error:
                raise InputError(f"{path}, frame {index}: {error}") from None


def _perceived(molecule: Molecule) -> SdfRecord:
    from ..chemistry.bonds import perceive

    charge = charge_of(molecule)
    if not charge.is_integer():
        return SdfRecord(molecule)
    try:
        return SdfRecord(molecule, perceive(molecule, int(charge)).mol)
    except MissingDependencyError:
        return SdfRecord(molecule)


def _text(record: SdfRecord) -> str:
    molecule = record.molecule
    bonds, charges, radicals = ([], {}, {}) if record.mol is None else _bonds(record.mol, molecule)
    properties = {**molecule.properties, **record.properties}
    given = str(properties.pop("title", ""))
    title = " ".join((record.title or given or molecule.formula).split())[:80]
    # A record that starts with one of these would be read as something else.
    title = f" {title}" if title.startswith(("$", ">", "M  ")) else title
    fits = len(molecule) < 1000 and len(bonds) < 1000 and abs(molecule.positions).max() < 9999
    block = (_v2000 if fits else _v3000)(molecule, bonds, charges, radicals)
    items = "".join(f"> <{_checked_name(name)}>\n{format_value(value)}\n\n" for name, value in properties.items())
    return f"{title}\n  Atomweave         3D\n\n{block}M  END\n{items}$$$$\n"


Bonds = list[tuple[int, int, int]]


def _bonds(mol: Chem.Mol, molecule: Molecule) -> tuple[Bonds, dict[int, int], dict[int, int]]:
    """Return bonds (atom, atom, order) with single and double bonds told apart, charges, and radical electrons."""
    from rdkit import Chem

    if [atom.GetAtomicNum() for atom in mol.GetAtoms()] != molecule.numbers.tolist():
        raise InputError("the RDKit molecule has other atoms than the molecule it describes, or in another order.")
    kekulised = Chem.Mol(mol)
    Chem.Kekulize(kekulised, clearAromaticFlags=True)
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), int(b.GetBondTypeAsDouble())) for b in kekulised.GetBonds()]
    charges = {atom.GetIdx(): atom.GetFormalCharge() for atom in mol.GetAtoms() if atom.GetFormalCharge()}
    radicals = {a.GetIdx(): a.GetNumRadicalElectrons() for a in mol.GetAtoms() if a.GetNumRadicalElectrons()}
    return sorted((min(a, b), max(a, b), order) for a, b, order in bonds), charges, radicals


def _multiplicity(n_electrons: int) -> int:
    # CTfile: 1 singlet, 2 doublet, 3 triplet; it knows no more than two unpaired electrons.
    return min(n_electrons + 1, 3)


def _v2000(molecule: Molecule, bonds: Bonds, charges: dict[int, int], radicals: dict[int, int]) -> str:
    bonded = {atom for a, b, _ in bonds for atom in (a, b)}
    lines = [f"{len(molecule):3d}{len(bonds):3d}  0  0  0  0  0  0  0  0999 V2000"]
    for atom, (symbol, (x, y, z)) in enumerate(zip(molecule.symbols, molecule.positions.tolist(), strict=True)):
        valence = 0 if atom in bonded else NO_BONDS
        lines.append(f"{x:10.4f}{y:10.4f}{z:10.4f} {symbol:<3} 0  0  0  0  0{valence:3d}  0  0  0  0  0  0")
    lines += [f"{a + 1:3d}{b + 1:3d}{order:3d}  0" for a, b, order in bonds]
    marks = [("CHG", charges), ("RAD", {atom: _multiplicity(n) for atom, n in radicals.items()})]
    for name, values in marks:
        entries = sorted(values.items())
        for start in range(0, len(entries), 8):  # at most eight on a line
            row = entries[start : start + 8]
            lines.append(f"M  {name}{len(row):3d}" + "".join(f" {atom + 1:3d} {value:3d}" for atom, value in row))
    return "\n".join(lines) + "\n"


def _v3000(molecule: Molecule, bonds: Bonds, charges: dict[int, int], radicals: dict[int, int]) -> str:
    bonded = {atom for a, b, _ in bonds for atom in (a, b)}
    lines = ["BEGIN CTAB", f"COUNTS {len(molecule)} {len(bonds)} 0 0 0", "BEGIN ATOM"]
    for atom, (symbol, (x, y, z)) in enumerate(zip(molecule.symbols, molecule.positions.tolist(), strict=True)):
        marks = f" CHG={charges[atom]}" if atom in charges else ""
        marks += f" RAD={_multiplicity(radicals[atom])}" if atom in radicals else ""
        marks += "" if atom in bonded else " VAL=-1"
        lines.append(f"{atom + 1} {symbol} {x:.4f} {y:.4f} {z:.4f} 0{marks}")
    lines.append("END ATOM")
    if bonds:
        numbered = enumerate(bonds, 1)
        lines += ["BEGIN BOND", *(f"{i} {order} {a + 1} {b + 1}" for i, (a, b, order) in numbered), "END BOND"]
    lines.append("END CTAB")
    return "  0  0  0     0  0            999 V3000\n" + "".join(f"M  V30 {line}\n" for line in lines)


def _checked_name(name: str) -> str:
    if not name.isprintable() or not name.strip() == name or not name or "<" in name or ">" in name:
        raise InputError(f"property {name!r} has a name that SDF cannot hold (empty, <, > or line breaks): rename it.")
    return name
