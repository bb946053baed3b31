"""One tiny configuration of every kind of model: quick to teach and to grow with."""

from __future__ import annotations

from typing import Any

from reference.weaver import SMALL

TINY: dict[str, dict[str, Any]] = {
    "weaver": SMALL | {"conditions": {"names": ["n_atoms"]}},
    "gspherenet": {
        "kind": "gspherenet",
        "embedder": {"kind": "schnet", "width": 16, "n_layers": 2, "n_filters": 8, "n_radial": 12},
        "position": {
            name: {"kind": "mixture", "n_components": 6, "width": 16} for name in ("distance", "angle", "torsion")
        },
        "n_heads": 2,
    },
    "symphony": {
        "kind": "symphony",
        "focus_embedder": {"kind": "e3schnet", "channels": 4, "lmax": 1, "n_layers": 1},
        "position_embedder": {"kind": "nequip", "channels": 4, "lmax": 1, "n_layers": 1},
        "focus_head": {"width": 8, "n_hidden": 1},
        "position_head": {"radius": "bins", "n_radii": 8, "angular": {"n_polar_drawing": 45, "n_azimuth_drawing": 91}},
    },
}
