"""Laws of embedders: `embedder(pairs, species, rows, at, lmax)` gives features of the atoms of all fragments."""

from __future__ import annotations

import pytest
import torch
from e3nn import o3
from torch import Tensor, nn

from atomweave.geometry.edges import pairs_within, prefix_rows

from .fixed import DTYPES, SHIFT, assert_close, moves, trajectories

Features = list[Tensor]


def embed(embedder: nn.Module, species: Tensor, positions: Tensor, n_atoms: Tensor, prefix: Tensor) -> Features:
    """Return for each degree (2l + 1, n_rows, channels), rows in order of molecule, decision, atom."""
    pairs = pairs_within(positions, n_atoms, embedder.config.cutoff)
    with torch.no_grad():
        return embedder(pairs, species, prefix_rows(prefix, species.shape[1]))


@pytest.mark.parametrize("dtype", DTYPES)
class EmbedderLaws:
    """Subclass as `Test...` and give `build`."""

    def build(self) -> nn.Module:
        """Return the embedder, for five species."""
        raise NotImplementedError

    def embedder(self, dtype: torch.dtype) -> nn.Module:
        torch.manual_seed(0)
        return self.build().to(dtype)

    @pytest.mark.parametrize("move", moves())
    def test_features_turn_with_the_atoms(self, dtype: torch.dtype, move: str) -> None:
        embedder, t, matrix = self.embedder(dtype), trajectories(dtype), moves()[move]
        turned = (t.positions.double() @ matrix.T + SHIFT).to(dtype)
        before = embed(embedder, t.species, t.positions, t.n_atoms, t.prefix)
        after = embed(embedder, t.species, turned, t.n_atoms, t.prefix)
        for degree, (x, y) in enumerate(zip(before, after, strict=True)):
            assert_close(y, torch.einsum("ij,jnc->inc", wigner(degree, matrix).to(dtype), x))

    def test_order_of_the_atoms_does_not_matter(self, dtype: torch.dtype) -> None:
        embedder, t = self.embedder(dtype), trajectories(dtype)
        for molecule, n in enumerate(t.n_atoms.tolist()):
            order = torch.randperm(n, generator=torch.Generator().manual_seed(n))
            species, positions = t.species[molecule, :n], t.positions[molecule, :n]
            whole = torch.tensor([[n]])
            before = embed(embedder, species[None], positions[None], whole[0], whole)
            after = embed(embedder, species[order][None], positions[order][None], whole[0], whole)
            for x, y in zip(before, after, strict=True):
                assert_close(y, x[:, order])

    def test_a_prefix_is_the_fragment_alone(self, dtype: torch.dtype) -> None:
        """Prefixes share computation; a batch is its parts, and padding changes nothing."""
        embedder, t = self.embedder(dtype), trajectories(dtype)
        together = embed(embedder, t.species, t.positions, t.n_atoms, t.prefix)
        alone: list[Features] = []
        for molecule, decision in (t.prefix > 0).nonzero().tolist():
            k = t.prefix[molecule, decision : decision + 1]
            species, positions = t.species[molecule, :k], t.positions[molecule, :k]
            alone.append(embed(embedder, species[None], positions[None], k, k[None]))
        for degree, x in enumerate(together):
            assert_close(x, torch.cat([features[degree] for features in alone], dim=1))

    def test_features_asked_for_are_those_of_all(self, dtype: torch.dtype) -> None:
        embedder, t = self.embedder(dtype), trajectories(dtype)
        pairs = pairs_within(t.positions, t.n_atoms, embedder.config.cutoff)
        rows = prefix_rows(t.prefix, t.species.shape[1])
        molecule, decision = (t.kind == 2).nonzero(as_tuple=True)
        at = molecule, decision, t.focus[molecule, decision]
        with torch.no_grad():
            everywhere, there = embedder(pairs, t.species, rows), embedder(pairs, t.species, rows, at=at)
            invariants = embedder(pairs, t.species, rows, lmax=0)
        for x, y in zip(everywhere, there, strict=True):
            assert_close(y, x[:, rows.row[at]])
        assert_close(invariants[0], everywhere[0])


def wigner(degree: int, matrix: Tensor) -> Tensor:
    """Return (2l + 1, 2l + 1) float64, how features of natural parity turn; solved from the harmonics themselves."""
    points = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(degree))
    before = o3.spherical_harmonics(degree, points, True, "component")
    after = o3.spherical_harmonics(degree, points @ matrix.T, True, "component")
    return torch.linalg.lstsq(before, after).solution.mT
