"""Configurations so small that a step takes milliseconds, with everything random that teaching knows."""

from __future__ import annotations

from reference.weaver import SMALL

SYMPHONY = {
    "kind": "symphony",
    "focus_embedder": {"kind": "e3schnet", "channels": 4, "lmax": 1, "n_layers": 1},
    "position_embedder": {"kind": "nequip", "channels": 4, "lmax": 1, "n_layers": 1},
    "focus_head": {"width": 8, "n_hidden": 1},
    "position_head": {"radius": "bins", "n_radii": 8, "angular": {"n_polar_drawing": 45, "n_azimuth_drawing": 91}},
}
WEAVER = SMALL | {
    "policy": {"kind": "breadth_first", "fragment_share": 0.3},
    "conditions": {"names": ["n_atoms", "composition"]},
}
G_SPHERENET = {
    "kind": "gspherenet",
    "embedder": {"kind": "schnet", "width": 8, "n_layers": 1, "n_radial": 8, "n_filters": 8},
    "n_heads": 2,
    "objective": "likelihood",
}
