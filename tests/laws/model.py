"""Laws of models: `loss`, `log_prob` and `propose` are one distribution, blind to where atoms stand and beside what."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from atomweave.growth.trajectories import UNKNOWN, Decision, Fragments, Proposals, Trajectories
from atomweave.models.base import Model, Temperatures

from .fixed import DTYPES, SHIFT, assert_close, moves, only, padded, trajectories

N_STEPS = 4
"""Decisions that a growing molecule takes at most."""


@pytest.mark.parametrize("dtype", DTYPES)
class ModelLaws:
    """Subclass as `Test...` and give `build`."""

    def build(self) -> Model:
        """Return the model, small, with H, C, N, O and F among its species."""
        raise NotImplementedError

    reflects = True  # whether the density of a molecule is that of its mirror image

    def taught(self, dtype: torch.dtype) -> tuple[Model, Trajectories]:
        """Return the model and a batch; the first atoms are not equally likely, so that a missing start shows."""
        torch.manual_seed(0)
        model = self.build().to(dtype)
        model.set_start(torch.arange(1, len(model.species) + 1).to(dtype) / sum(range(1, len(model.species) + 1)))
        return model, trajectories(dtype, model.species, model.policy)

    @pytest.mark.parametrize("move", moves())
    def test_densities_do_not_change_under_motion(self, dtype: torch.dtype, move: str) -> None:
        if move == "reflection" and not self.reflects:
            pytest.skip("the model tells mirror images apart")
        model, t = self.taught(dtype)
        moved = replace(t, positions=(t.positions.double() @ moves()[move].T + SHIFT).to(dtype))
        assert_close(log_prob(model, moved), log_prob(model, t))
        assert_close(terms(model, moved), terms(model, t))

    def test_order_of_the_placed_atoms_does_not_matter(self, dtype: torch.dtype) -> None:
        model, t = self.taught(dtype)
        for molecule, n in enumerate(t.n_atoms.tolist()):
            last = only(t, molecule, [n - 2])  # the last placement: the first n - 1 atoms are placed
            order = torch.cat([torch.arange(n - 1).flip(0), torch.tensor([n - 1])])  # its own inverse
            shuffled = replace(
                last,
                species=last.species[:, order],
                positions=last.positions[:, order],
                focus=order[last.focus],
                alternative_focus=order[last.alternative_focus],
                alternative_target=order[last.alternative_target],
                awaits=None if last.awaits is None else last.awaits[:, :, order],
            )
            assert_close(terms(model, shuffled), terms(model, last))

    def test_a_batch_is_the_sum_of_its_parts(self, dtype: torch.dtype) -> None:
        model, t = self.taught(dtype)
        parts = [only(t, molecule) for molecule in range(len(t.n_atoms))]
        assert_close(log_prob(model, t), torch.cat([log_prob(model, part) for part in parts]))
        assert_close(terms(model, t), sum(terms(model, part) for part in parts))

    def test_padding_changes_nothing(self, dtype: torch.dtype) -> None:
        model, t = self.taught(dtype)
        assert_close(log_prob(model, padded(t, 3)), log_prob(model, t))
        assert_close(terms(model, padded(t, 3)), terms(model, t))

    def test_decisions_of_a_trajectory_are_those_of_fragments_alone(self, dtype: torch.dtype) -> None:
        model, t = self.taught(dtype)
        for molecule in range(len(t.n_atoms)):
            told = None if t.conditions is None else t.conditions[molecule : molecule + 1]
            start = model.start_given(told)[0, t.species[molecule, 0]]
            n_decisions = int((t.kind[molecule] != Decision.PADDING).sum())
            alone = [only(t, molecule, [decision]) for decision in range(n_decisions)]
            assert_close(terms(model, only(t, molecule)), sum(terms(model, part) for part in alone))
            # Every decision alone pays for the start; the trajectory pays once.
            total = sum(log_prob(model, part) - start for part in alone) + start
            assert_close(log_prob(model, only(t, molecule)), total)

    def test_growing_and_teaching_name_the_same_density(self, dtype: torch.dtype) -> None:
        model, t = self.taught(dtype)
        rng = torch.Generator().manual_seed(1)
        species, positions = t.species[:, :1], t.positions[:, :1]
        n_molecules = len(species)
        total = model.start_log_probs[species[:, 0]].clone()
        decisions: list[Proposals] = []
        for step in range(N_STEPS):
            uniforms = torch.rand(n_molecules, model.n_draws, generator=rng, dtype=torch.float64)
            uniforms[:, 0] = 0.3 + 0.7 * uniforms[:, 0]  # mostly places an atom
            fragments = _fragments(species, positions, torch.full((n_molecules,), step + 1))
            decisions.append(propose(model, fragments, uniforms))
            if (decisions[-1].kind != Decision.PLACE).any():
                break
            total += decisions[-1].log_prob
            species = torch.cat([species, decisions[-1].species[:, None]], dim=1)
            positions = torch.cat([positions, decisions[-1].positions[:, None]], dim=1)
        placed = decisions[: species.shape[1] - 1]
        assert placed
        assert_close(log_prob(model, _grown(species, positions, placed)), total)

    def test_what_is_drawn_does_not_depend_on_the_others(self, dtype: torch.dtype) -> None:
        model, t = self.taught(dtype)
        rng = torch.Generator().manual_seed(2)
        uniforms = torch.rand(len(t.n_atoms), model.n_draws, generator=rng, dtype=torch.float64)
        together = propose(model, _fragments(t.species, t.positions, t.n_atoms), uniforms)
        for row, n in enumerate(t.n_atoms.tolist()):
            here = slice(row, row + 1)
            fragment = _fragments(t.species[here, :n], t.positions[here, :n], t.n_atoms[here])
            alone = propose(model, fragment, uniforms[here])
            for name in ("kind", "focus", "species"):
                assert torch.equal(getattr(alone, name), getattr(together, name)[here])
            assert_close(alone.positions, together.positions[here])
            assert_close(alone.log_prob, together.log_prob[here])

    def test_an_atom_that_has_ended_is_no_focus(self, dtype: torch.dtype) -> None:
        model, t = self.taught(dtype)
        rng = torch.Generator().manual_seed(3)
        fragments, n_placed = _fragments(t.species, t.positions, t.n_atoms), 0
        awaits = torch.zeros_like(fragments.awaits)
        awaits[:, 0] = 2
        for _ in range(20):
            uniforms = torch.rand(len(t.n_atoms), model.n_draws, generator=rng, dtype=torch.float64)
            proposals = propose(model, replace(fragments, awaits=awaits), uniforms)
            assert not proposals.focus.any()
            assert torch.isfinite(proposals.log_prob).all()
            n_placed += int((proposals.kind == Decision.PLACE).sum())
        assert n_placed


def log_prob(model: Model, t: Trajectories) -> Tensor:
    """Return (n_molecules,) log-densities."""
    with torch.no_grad():
        return model.log_prob(t)


def terms(model: Model, t: Trajectories) -> Tensor:
    """Return all terms of the loss, summed over the decisions of the batch."""
    with torch.no_grad():
        return torch.stack(list(model.loss(t, None).values())) * t.n_decisions


def propose(model: Model, fragments: Fragments, uniforms: Tensor) -> Proposals:
    """Draw one decision a fragment from the model's own distribution."""
    with torch.no_grad():
        return model.propose(fragments, uniforms, Temperatures())


def _fragments(species: Tensor, positions: Tensor, n_atoms: Tensor) -> Fragments:
    return Fragments(species, positions, n_atoms, torch.full_like(species, UNKNOWN, dtype=torch.int8), "nearest")


def _grown(species: Tensor, positions: Tensor, placed: list[Proposals]) -> Trajectories:
    """Return what was grown as trajectories that do not end; their alternatives are not needed for `log_prob`."""
    n_molecules, n_atoms = species.shape
    count = torch.arange(1, n_atoms).expand(n_molecules, -1)
    none = torch.zeros(0, dtype=torch.int64)
    return Trajectories(
        species=species,
        positions=positions,
        n_atoms=torch.full((n_molecules,), n_atoms),
        kind=torch.stack([proposal.kind for proposal in placed], dim=1),
        prefix=count,
        focus=torch.stack([proposal.focus for proposal in placed], dim=1),
        target=count,
        alternative_molecule=none,
        alternative_decision=none,
        alternative_focus=none,
        alternative_target=none,
        policy="nearest",
    )
