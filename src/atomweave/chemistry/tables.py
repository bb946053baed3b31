"""Bond lengths and valences of the two metrics that read bonds from a table, for the five elements of QM9.

`LENGTHS`, `MARGINS` (pm): E. Hoogeboom, V. G. Satorras, C. Vignac, M. Welling, Equivariant Diffusion for Molecule
Generation in 3D, ICML 2022 (its `bond_analyze`), which took the lengths from general chemistry tables. A pair is bonded
if its distance is strictly below the length plus a margin; a higher order needs every lower one as well.

`LONGEST` (Å): Y. Luo, S. Ji, An Autoregressive Flow Model for 3D Molecular Geometry Generation from Scratch, ICLR 2022
(G-SphereNet), as its evaluation has them. A pair is bonded at this distance or less, whatever the order.
"""

LENGTHS = (
    {
        "HH": 74, "HC": 109, "HN": 101, "HO": 96, "HF": 92, "CC": 154, "CN": 147, "CO": 143, "CF": 135,
        "NN": 145, "NO": 140, "NF": 136, "OO": 148, "OF": 142, "FF": 142,
    },
    {"CC": 134, "CN": 129, "CO": 120, "NN": 125, "NO": 121, "OO": 121},
    {"CC": 120, "CN": 116, "CO": 113, "NN": 110},
)  # fmt: skip
"""Typical length (pm) of single, double and triple bonds by pair of elements."""

MARGINS = (10, 5, 3)
"""How much longer (pm) a bond of order 1, 2, 3 may be."""

VALENCES = {"H": 1, "C": 4, "N": 3, "O": 2, "F": 1}
"""An atom is stable if its bond orders sum to exactly this."""

LONGEST = {
    "HC": 1.1284, "HN": 1.0478, "HO": 1.0187, "CC": 1.7721, "CN": 1.7876, "CO": 1.5731, "CF": 1.3620,
    "NN": 1.4208, "NO": 1.7692,
}  # fmt: skip
"""Longest bond (Å) by pair of elements; any other pair is never bonded."""
