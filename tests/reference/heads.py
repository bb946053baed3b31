"""Naive heads of Symphony: focus, species and STOP in one softmax; positions on shells (facts 2.3, 2.4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from .conventions import Features, mix, normalised, weight
from .sphere import Grid

MIN_RADIUS, MAX_RADIUS = 0.9, 2.0


class NaiveFocusHead(nn.Module):
    """Logits of (atom, species); the logit of STOP is 0."""

    def __init__(self, n_species: int = 5, n_channels: int = 64, width: int = 128) -> None:
        super().__init__()
        self.layers = nn.ParameterList(
            [weight(n_channels, width), weight(width, width), weight(width, n_species)],
        )

    def forward(self, x: Features) -> Tensor:
        """Return (n_atoms, n_species) logits."""
        hidden = x[0][:, :, 0]
        for index, matrix in enumerate(self.layers):
            hidden = hidden @ matrix / math.sqrt(len(matrix))
            if index + 1 < len(self.layers):
                hidden = normalised(softplus, hidden)
        return hidden


class NaivePositionHead(nn.Module):
    """Coefficients of the logits' spherical harmonics on every shell."""

    def __init__(
        self, n_species: int = 5, n_channels: int = 64, lmax: int = 5, n_mixture: int = 2, n_radii: int = 64
    ) -> None:
        super().__init__()
        self.n_mixture, self.n_radii = n_mixture, n_radii
        self.embedding = weight(n_species, lmax + 1, n_channels)
        self.linear = nn.ParameterList(weight(n_channels, n_mixture * n_radii) for _ in range(lmax + 1))

    @property
    def radii(self) -> Tensor:
        """(n_radii,) in Å."""
        return torch.linspace(MIN_RADIUS, MAX_RADIUS, self.n_radii, dtype=torch.float64)

    def forward(self, focus_features: Features, species: int) -> Tensor:
        """Return c (n_mixture, n_radii, (lmax + 1)^2) from the focus's features, degree -> (n_channels, 2l + 1)."""
        blocks = [
            mix((features * self.embedding[species, l, :, None])[None], self.linear[l])[0]
            for l, features in focus_features.items()
        ]
        return torch.cat(blocks, dim=-1).unflatten(0, (self.n_mixture, self.n_radii))


def position_logits(coefficients: Tensor, harmonics: Tensor) -> Tensor:
    """Return f_k(n) = log sum_ch exp(sum_lm c Y), (n_radii, n_points), from harmonics (n_points, (lmax + 1)^2)."""
    return torch.logsumexp(torch.einsum("cki,pi->ckp", coefficients, harmonics), dim=0)


def log_normaliser(logits: Tensor, grid: Grid) -> Tensor:
    """Return log sum_k of the integral of exp f_k over the sphere; no r^2: shells count alike."""
    return torch.logsumexp(logits + grid.weights.log().to(logits), dim=(0, 1))
