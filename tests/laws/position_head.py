"""Laws of position heads: `divergence`, `log_prob` per Å^3 and `draw`, given the features at the focus."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest
from torch import Tensor, nn

from atomweave.models.base import Temperatures

from .embedder import wigner
from .fixed import DTYPES, RELATIVE, assert_close, moves

N_BANDS, N_SECTORS = 4, 6
"""Cells of the sphere in which draws are counted: bands of polar angle by sectors of azimuth."""

LEAST_P = 1e-6
N_ROWS = 8
"""Densities that are drawn from; every row is another."""


class PositionHeadLaws:
    """Subclass as `Test...` and give `build`, `lmax`, `channels` and `radial_edges`."""

    lmax, channels, n_species = 2, 6, 3
    nodes_per_bin = 1  # radial quadrature nodes between two edges; 1 where the density is constant there
    nodes_per_cell = 9  # directions in each cell of the sphere, squared, when the density is integrated
    quadrature_error: float | None = None  # nats; the divergence of a sharp density misses more than rounding
    draws_per_row = 1500

    def build(self) -> nn.Module:
        """Return the head, for `n_species`, `channels` and `lmax`; a coarse drawing grid makes the tests quick."""
        raise NotImplementedError

    def radial_edges(self, head: nn.Module) -> Tensor:
        """Return (n_bins + 1,) Å, edges of bins that hold all of the density."""
        raise NotImplementedError

    def head(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        torch.manual_seed(0)
        return self.build().to(dtype)

    def features(self, n_rows: int, dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], Tensor]:
        """Return features and species of `n_rows` foci."""
        rng = torch.Generator().manual_seed(1)
        shapes = [(2 * degree + 1, n_rows, self.channels) for degree in range(self.lmax + 1)]
        features = [0.4 * torch.randn(shape, generator=rng, dtype=torch.float64).to(dtype) for shape in shapes]
        return features, torch.randint(self.n_species, (n_rows,), generator=rng)

    def cell_probabilities(self, head: nn.Module, row: int, n_nodes: int) -> Tensor:
        """Integrate row's density over cells, (n_bins, N_BANDS, N_SECTORS); they fill space, so the sum should be 1.

        Each cell is integrated with `n_nodes` x `n_nodes` directions.
        """
        r, r_weights = _nodes(self.radial_edges(head), self.nodes_per_bin)
        theta, theta_weights = _nodes(torch.linspace(0, math.pi, N_BANDS + 1, dtype=torch.float64), n_nodes)
        phi, phi_weights = _nodes(torch.linspace(0, 2 * math.pi, N_SECTORS + 1, dtype=torch.float64), n_nodes)
        around = torch.stack(
            [
                theta.sin()[:, None] * phi.sin(),
                theta.cos()[:, None].expand(-1, len(phi)),
                theta.sin()[:, None] * phi.cos(),
            ],
            dim=-1,
        )
        features, species = self.features(N_ROWS)
        log_p = []
        for radius in r:
            n = around.shape[0] * around.shape[1]
            same = [x[:, row : row + 1].expand(-1, n, -1) for x in features]
            with torch.no_grad():
                log_p.append(head.log_prob(same, species[row].expand(n), radius * around.reshape(n, 3)))
        density = torch.stack(log_p).exp().view(len(r), *around.shape[:2])
        mass = density * (r_weights * r.square())[:, None, None] * (theta_weights * theta.sin())[:, None] * phi_weights
        return mass.view(-1, self.nodes_per_bin, N_BANDS, n_nodes, N_SECTORS, n_nodes).sum((1, 3, 5))

    def draws(self, head: nn.Module, n_draws: int) -> Tensor:
        """Return (N_ROWS, n_draws, 3) vectors, Å."""
        features, species = self.features(N_ROWS)
        rng, vectors = torch.Generator().manual_seed(2), []
        with torch.no_grad():
            for row in range(N_ROWS):
                for _ in range(n_draws // 250):
                    uniforms = torch.rand(250, head.n_draws, generator=rng, dtype=torch.float64)
                    same = [x[:, row : row + 1].expand(-1, 250, -1) for x in features]
                    vectors.append(head.draw(same, species[row].expand(250), uniforms, Temperatures())[0])
        return torch.cat(vectors).view(N_ROWS, -1, 3)

    def counts(self, head: nn.Module, vectors: Tensor) -> Tensor:
        """Return (n_bins, N_BANDS, N_SECTORS) how many of the vectors (n, 3) fall into each cell."""
        edges = self.radial_edges(head)
        distance = vectors.norm(dim=1)
        radial = torch.searchsorted(edges, distance) - 1
        assert ((radial >= 0) & (radial < len(edges) - 1)).all()
        band = (torch.acos((vectors[:, 1] / distance).clamp(-1, 1)) / math.pi * N_BANDS).long().clamp(max=N_BANDS - 1)
        azimuth = torch.atan2(vectors[:, 0], vectors[:, 2]) % (2 * math.pi)
        sector = (azimuth / (2 * math.pi) * N_SECTORS).long().clamp(max=N_SECTORS - 1)
        cell = (radial * N_BANDS + band) * N_SECTORS + sector
        shape = (len(edges) - 1, N_BANDS, N_SECTORS)
        return torch.bincount(cell, minlength=math.prod(shape)).view(shape)

    def test_density_integrates_to_one(self) -> None:
        head = self.head()
        for row in range(2):
            assert self.cell_probabilities(head, row, n_nodes=self.nodes_per_cell).sum().item() == pytest.approx(
                1, abs=1e-4
            )

    def p_values(self, head: nn.Module, vectors: Tensor, n_nodes: int) -> tuple[list[float], float]:
        """Return the p-value of every row's draws, and of all of them together."""
        probabilities = [self.cell_probabilities(head, row, n_nodes) for row in range(N_ROWS)]
        tests = [chi_square(self.counts(head, x), p) for x, p in zip(vectors, probabilities, strict=True)]
        return [float(chi2.sf(*test)) for test in tests], float(chi2.sf(*np.sum(tests, axis=0)))

    def test_draws_follow_the_density(self) -> None:
        head = self.head()
        p_values, together = self.p_values(head, self.draws(head, self.draws_per_row), n_nodes=4)
        assert min(*p_values, together) > LEAST_P
        assert kstest(p_values, "uniform").pvalue > LEAST_P

    @pytest.mark.long
    def test_many_draws_follow_the_density_and_a_planted_error_is_caught(self) -> None:
        """1e5 draws; then 2 % of them point along y, whatever the density."""
        head = self.head()
        drawn = self.draws(head, 12_500)
        p_values, together = self.p_values(head, drawn, n_nodes=8)
        assert min(*p_values, together) > LEAST_P
        assert kstest(p_values, "uniform").pvalue > LEAST_P
        n_wrong = drawn.shape[1] // 50
        along_y = drawn[:, :n_wrong].norm(dim=2, keepdim=True) * torch.tensor([0.0, 1.0, 0.0], dtype=drawn.dtype)
        _, together = self.p_values(head, torch.cat([along_y, drawn[:, n_wrong:]], dim=1), n_nodes=8)
        assert together < LEAST_P

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("move", ["rotation", "reflection"])
    def test_density_turns_with_the_features(self, move: str, dtype: torch.dtype) -> None:
        head, matrix = self.head(dtype), moves()[move]
        features, species = self.features(N_ROWS, dtype)
        turned = [torch.einsum("ij,jnc->inc", wigner(l, matrix).to(dtype), x) for l, x in enumerate(features)]
        edges = self.radial_edges(head).to(dtype)
        # Away from the edges of bins, where rounding decides.
        distances = (edges[1:] + edges[:-1])[torch.arange(N_ROWS) % (len(edges) - 1)] / 2
        vectors = torch.randn(N_ROWS, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
        vectors = vectors.to(dtype) / vectors.norm(dim=1, keepdim=True).to(dtype) * distances[:, None]
        moved = vectors @ matrix.T.to(dtype)
        with torch.no_grad():
            assert_close(head.log_prob(turned, species, moved), head.log_prob(features, species, vectors))
            before = head.divergence(features, species, vectors, None)
            after = head.divergence(turned, species, moved, None)
        for name in before:
            if self.quadrature_error is None:
                assert_close(after[name], before[name])
            else:
                assert (after[name] - before[name]).abs().max() < max(self.quadrature_error, 10 * RELATIVE[dtype])


def chi_square(counts: Tensor, probabilities: Tensor) -> tuple[float, int]:
    """Return Pearson's statistic and its degrees of freedom; cells where fewer than 5 are expected count as one."""
    observed, expected = counts.flatten().double(), probabilities.flatten() * counts.sum()
    rare = expected < 5
    if rare.any():
        observed = torch.cat([observed[~rare], observed[rare].sum()[None]])
        expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
        if expected[-1] < 5:
            observed = torch.cat([observed[:-2], observed[-2:].sum()[None]])
            expected = torch.cat([expected[:-2], expected[-2:].sum()[None]])
    return float(((observed - expected).square() / expected).sum()), len(expected) - 1


def _nodes(edges: Tensor, n_per_bin: int) -> tuple[Tensor, Tensor]:
    """Return Gauss-Legendre nodes and weights in every bin, bin after bin."""
    x, w = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(n_per_bin))
    half = (edges[1:] - edges[:-1])[:, None] / 2
    return (edges[:-1, None] + half * (1 + x)).flatten(), (half * w).flatten()
