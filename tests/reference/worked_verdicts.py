"""What each way of reading bonds says of molecules that can be followed with pencil and table.

Look-up (EDM, pm), orders 1/2/3: C-H < 119, N-H < 111, O-H < 106, H-F < 102, H-H < 84, C-C < 164/139/123,
C-N < 157/134/119, C-O < 153/125/116, N-N < 155/130/113, O-O < 158/126, F-F < 152. Too many bonds are an error, in place
of missing ones stand implicit hydrogens.

Open Babel: every valence exactly right.

G-SphereNet (Å): C-H 1.1284, N-H 1.0478, O-H 1.0187, C-C 1.7721, C-N 1.7876, C-O 1.5731, N-N 1.4208; no H-H, H-F, O-O,
F-F at all; connected, and no atom with too many.
"""

from __future__ import annotations

from dataclasses import dataclass

from atomweave.chemistry.bonds import NO_BONDS, VALENCE
from atomweave.chemistry.gspherenet_checker import NOT_CONNECTED
from atomweave.chemistry.lookup import NOT_IN_TABLE
from atomweave.molecule import Molecule

from . import worked_molecules as worked


@dataclass(frozen=True, eq=False)
class Worked:
    """A molecule and its verdicts; a text is a SMILES where the molecule is valid, else the reason."""

    name: str
    molecule: Molecule
    look_up: str
    n_stable: int
    babel: str
    checker: str | list[int]  # bond orders, in the order of bonds


WORKED = [
    Worked("methane", worked.methane(), "[H]C([H])([H])[H]", 5, "C", [1, 1, 1, 1]),
    Worked("water", worked.water(), "[H]O[H]", 3, "O", [1, 1]),
    Worked("ammonia", worked.ammonia(), "[H]N([H])[H]", 4, "N", [1, 1, 1]),
    # 117 pm is too long for the table's triple bond, 116, and short enough for its double bond, 125.
    Worked("carbon dioxide", worked.carbon_dioxide(), "O=C=O", 3, "O=C=O", [2, 2]),
    Worked("hydrogen cyanide", worked.hydrogen_cyanide(), "[H]C#N", 3, "C#N", [1, 3]),
    Worked("formaldehyde", worked.formaldehyde(), "[H]C([H])=O", 4, "C=O", [2, 1, 1]),
    Worked("acetylene", worked.linear("HCCH", 1.06, 1.20, 1.06), "[H]C#C[H]", 4, "C#C", [1, 3, 1]),
    # The middle bond, 138 pm, is a double bond to the table (139), which makes two carbons with five bonds.
    Worked("diacetylene", worked.linear("HCCCCH", 1.06, 1.20, 1.38, 1.20, 1.06), VALENCE, 4, "C#CC#C", [1, 3, 1, 3, 1]),
    # 140 pm is a single bond to the table: each carbon gets a second, implicit hydrogen and lacks a bond.
    Worked(
        "benzene",
        worked.benzene(),
        "[H]C1C([H])C([H])C([H])C([H])C1[H]",
        6,
        "c1ccccc1",
        [1, 2, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1],
    ),
    Worked("methyl radical", worked.methyl(), "[H]C([H])[H]", 3, VALENCE, [1, 1, 1]),
    Worked("dioxygen", worked.linear("OO", 1.21), "O=O", 2, "O=O", NOT_CONNECTED),
    Worked("dinitrogen", worked.linear("NN", 1.10), "N#N", 2, "N#N", [3]),
    Worked("difluorine", worked.linear("FF", 1.42), "FF", 2, "FF", NOT_CONNECTED),
    Worked("hydrogen fluoride", worked.linear("HF", 0.92), "[H]F", 2, "F", NOT_CONNECTED),
    Worked("dihydrogen", worked.linear("HH", 0.74), "[H][H]", 2, "[H][H]", NOT_CONNECTED),
    Worked("carbon monoxide", worked.linear("CO", 1.13), VALENCE, 0, VALENCE, [2]),
    # 124 pm: a double bond to the table, with implicit hydrogens; four bonds to the matching, one a round.
    Worked("dicarbon", worked.linear("CC", 1.24), "C=C", 0, VALENCE, [4]),
    Worked("a carbon atom", Molecule(["C"], [[0, 0, 0]]), "C", 0, NO_BONDS, []),
    Worked("argon", worked.argon(), NOT_IN_TABLE, 0, NO_BONDS, NOT_IN_TABLE),
    Worked("sodium chloride", worked.linear(["Na", "Cl"], 2.36), NOT_IN_TABLE, 0, VALENCE, NOT_IN_TABLE),
    Worked("two fragments", worked.methane_and_water(), "[H]C([H])([H])[H]", 8, "C.O", NOT_CONNECTED),
    # The ammonium nitrogen is never stable, nor the oxygen with one bond.
    Worked("zwitterion", worked.glycine_zwitterion(), VALENCE, 8, VALENCE, NOT_CONNECTED),
    Worked("five hydrogens on carbon", worked.five_hydrogens_on_carbon(), VALENCE, 5, VALENCE, NOT_CONNECTED),
    # A full earlier atom takes no fourth hydrogen, which then hangs loose; a later atom takes as many as there are.
    Worked("ammonium, nitrogen first", worked.ammonium(), VALENCE, 4, VALENCE, NOT_CONNECTED),
    Worked("ammonium, nitrogen last", worked.ammonium(nitrogen_last=True), VALENCE, 4, VALENCE, VALENCE),
]
