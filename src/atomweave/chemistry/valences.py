"""How many bonds the atoms of organic molecules have."""

NEUTRAL: dict[int, tuple[int, ...]] = {
    1: (1,), 5: (3,), 6: (4,), 7: (3,), 8: (2,), 9: (1,), 14: (4,), 15: (3, 5), 16: (2, 4, 6), 17: (1,), 32: (4,),
    33: (3, 5), 34: (2, 4, 6), 35: (1,), 53: (1,),
}  # fmt: skip
"""Atomic number -> sums of bond orders of the neutral atom, lowest first."""
