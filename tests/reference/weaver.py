"""Small Weavers whose every weight matters, and molecules whose frames have gaps."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import nn

from atomweave.molecule import Molecule

SMALL = {
    "kind": "weaver",
    "width": 16,
    "n_heads": 2,
    "n_encoder_layers": 2,
    "n_decoder_layers": 2,
    "expansion": 2,
    "pair_features": 6,
    "pair_width": 12,
    "matching": True,
    "foresight": True,
    "policy": {"kind": "breadth_first", "fragment_share": 0.0},
    "position_head": {
        "n_distances": 25,
        "n_angles": 12,
        "n_torsions": 18,
        "width": 16,
        "n_harmonics": 4,
        "series_width": 8,
    },
}

TRIANGLE = np.array([[np.cos(a), np.sin(a), 0.0] for a in np.arange(3) * 2 * np.pi / 3])
CYCLOPROPANE = Molecule(
    ["C"] * 3 + ["H"] * 6,
    np.concatenate([0.87 * TRIANGLE, 1.45 * TRIANGLE + [0, 0, 0.91], 1.45 * TRIANGLE - [0, 0, 0.91]]),
)

M = TypeVar("M", bound=nn.Module)


def awake(module: M) -> M:
    """Draw all weights anew: layers that begin as the identity or uniform would hide what they read."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=rng))
    return module


def special_molecules() -> dict[str, Molecule]:
    """Return molecules that lack an axis or a third atom for several steps, linear ones first."""
    rng = np.random.Generator(np.random.Philox(7))
    acetylene = Molecule(["H", "C", "C", "H"], np.array([[0, 0, -1.66], [0, 0, -0.6], [0, 0, 0.6], [0, 0, 1.66]]))
    cyanide = Molecule(["H", "C", "N"], np.array([[0, 0, -1.07], [0, 0, 0], [0, 0, 1.15]]))
    # Six collinear atoms; the hydrogens of the methyl group turn the frames on.
    along = np.array([-1.06, 0.0, 1.2, 2.58, 3.78, 5.24])
    methyl = [[1.03 * np.cos(a), 1.03 * np.sin(a), 5.6] for a in np.arange(3) * 2 * np.pi / 3]
    chain = Molecule(
        ["H", "C", "C", "C", "C", "C", "H", "H", "H"],
        np.concatenate([np.stack([0 * along, 0 * along, along], 1), np.array(methyl)]),
    )
    bent = Molecule(chain.numbers, chain.positions + 0.02 * rng.standard_normal((9, 3)))  # nearly collinear
    water = Molecule(["O", "H", "H"], np.array([[0, 0, 0.12], [0, 0.76, -0.47], [0, -0.76, -0.47]]))
    return {"acetylene": acetylene, "HCN": cyanide, "pentadiyne": chain, "bent pentadiyne": bent, "water": water}
