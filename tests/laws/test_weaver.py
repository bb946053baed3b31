"""The laws, of all parts of Weaver."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from atomweave.growth.trajectories import UNKNOWN, Decision, Fragments, Trajectories
from atomweave.models.base import Model, Temperatures
from atomweave.models.heads.internal import InternalHead, InternalHeadConfig
from atomweave.models.weaver import Weaver, WeaverConfig
from laws.fixed import assert_close
from laws.model import ModelLaws, log_prob, propose
from laws.position_head import PositionHeadLaws
from reference.weaver import SMALL, awake

AXES = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
"""x, y and z of a frame in which the suite's polar axis is the second coordinate."""


class AroundOneFocus(nn.Module):
    """`InternalHead` as the suite of position heads asks it: with vectors, in one frame."""

    n_draws = 3

    def __init__(self, head: InternalHead) -> None:
        super().__init__()
        self.head = head

    def log_prob(self, features: list[Tensor], species: Tensor, vectors: Tensor) -> Tensor:
        distance = vectors.norm(dim=1)
        x, y, z = (vectors @ AXES.T.to(vectors)).unbind(1)
        internal = distance, (z / distance).clamp(-1, 1), torch.atan2(y, x)
        return self.head.log_prob(features[0][0], species, internal, self.known(species), None)

    def draw(
        self, features: list[Tensor], species: Tensor, uniforms: Tensor, temperatures: Temperatures
    ) -> tuple[Tensor, Tensor]:
        (d, cosine, phi), log_p = self.head.draw(
            features[0][0], species, self.known(species), None, uniforms, temperatures.position
        )
        sine = (1 - cosine.square()).sqrt()
        return d[:, None] * torch.stack([sine * phi.cos(), sine * phi.sin(), cosine], 1) @ AXES.to(d), log_p

    def known(self, species: Tensor) -> tuple[Tensor, Tensor]:
        return species >= 0, species >= 0


class WithoutAxis(AroundOneFocus):
    def known(self, species: Tensor) -> tuple[Tensor, Tensor]:
        return species < 0, species < 0


class WithoutThirdAtom(AroundOneFocus):
    def known(self, species: Tensor) -> tuple[Tensor, Tensor]:
        return species >= 0, species < 0


class TestInternalHead(PositionHeadLaws):
    nodes_per_bin = 4
    wrapper: type[AroundOneFocus] = AroundOneFocus
    # The density lives in a frame, not in features that turn.
    test_density_turns_with_the_features = None

    def build(self) -> nn.Module:
        # Bins that end where the suite's cells end.
        config = InternalHeadConfig(n_distances=4, n_angles=4, n_torsions=6, width=16, n_harmonics=0)
        return self.wrapper(awake(InternalHead(config, self.channels, 1, self.n_species, 1)))

    def radial_edges(self, head: nn.Module) -> Tensor:
        return torch.linspace(head.head.config.minimum, head.head.config.maximum, 5, dtype=torch.float64)


class TestInternalHeadWithoutAxis(TestInternalHead):
    wrapper = WithoutAxis


class TestInternalHeadWithoutThirdAtom(TestInternalHead):
    wrapper = WithoutThirdAtom


class TestWeaver(ModelLaws):
    reflects = False
    # The encoder reads the placed atoms in their order of growth.
    test_order_of_the_placed_atoms_does_not_matter = None

    def build(self) -> Model:
        return awake(Weaver(WeaverConfig.model_validate(SMALL)))

    def test_growing_and_teaching_name_the_same_density(self, dtype: torch.dtype) -> None:
        model, t = self.taught(dtype)
        for seed in range(5):
            for molecule in range(len(t.n_atoms)):
                told = None if t.conditions is None else t.conditions[molecule : molecule + 1]
                grown, total = grow_one(model, t.species[molecule, 0], dtype, seed, told)
                assert_close(log_prob(model, grown), total)


class TestWeaverTold(TestWeaver):
    """Told some of its conditions, each molecule other ones."""

    def build(self) -> Model:
        return awake(Weaver(WeaverConfig.model_validate(SMALL | {"conditions": {"names": ["gap", "composition"]}})))

    def taught(self, dtype: torch.dtype) -> tuple[Model, Trajectories]:
        model, t = super().taught(dtype)
        present = torch.arange(t.species.shape[1]) < t.n_atoms[:, None]
        counts = nn.functional.one_hot(t.species, len(model.species)).mul(present[..., None]).sum(1)
        told = torch.cat([torch.linspace(3, 9, len(counts))[:, None], counts], 1)
        told[::3, 0], told[1::3, 1:] = torch.nan, torch.nan
        return model, replace(t, conditions=told)


def grow_one(
    model: Model, first: Tensor, dtype: torch.dtype, seed: int, conditions: Tensor | None
) -> tuple[Trajectories, Tensor]:
    """Grow at most 12 decisions from one atom; return them as a trajectory, and the sum of what the draws said."""
    rng = torch.Generator().manual_seed(seed)
    species, positions = first.view(1, 1), torch.zeros(1, 1, 3, dtype=dtype)
    degree, awaits = torch.zeros(1, 1, dtype=torch.int64), torch.full((1, 1), UNKNOWN, dtype=torch.int8)
    closure = torch.full((1, 1), -1)
    total = model.start_given(conditions)[0, species[:, 0]]
    told: list[tuple[int, int, int, int, int, Tensor]] = []
    for _ in range(12):
        n = species.shape[1]
        uniforms = torch.rand(1, model.n_draws, generator=rng, dtype=torch.float64)
        fragment = Fragments(species, positions, torch.tensor([n]), awaits, "breadth_first", degree, None, conditions)
        p = propose(model, fragment, uniforms)
        kind, focus = int(p.kind), int(p.focus)
        if kind == Decision.STOP:
            break
        total += p.log_prob
        told.append((kind, n, focus, n if kind == Decision.PLACE else -1, int(p.count), awaits[0]))
        awaits = awaits.clone()
        if kind == Decision.PLACE:
            # What a placement does to the others is the grower's to say; the density must hold whatever it is.
            awaits[0, focus] -= int(awaits[0, focus] > 0)
            awaits = torch.cat([awaits, (p.degree[:, None] - 1).to(torch.int8)], 1)
            species = torch.cat([species, p.species[:, None]], 1)
            degree = torch.cat([degree, p.degree[:, None]], 1)
            closure = torch.cat([closure, p.closure[:, None]], 1)
            positions = torch.cat([positions, p.positions[:, None]], 1)
        else:
            assert (kind == Decision.END) == (int(p.count) == 0)
            awaits[0, focus] = int(p.count)
    n = species.shape[1]
    columns = zip(*(x[:5] for x in told), strict=True)
    kinds, prefixes, foci, targets, counts = (torch.tensor([list(column)]) for column in columns)
    none = torch.zeros(0, dtype=torch.int64)
    return Trajectories(
        species=species,
        positions=positions,
        n_atoms=torch.tensor([n]),
        kind=kinds,
        prefix=prefixes,
        focus=foci,
        target=targets,
        degree=degree,
        awaits=torch.stack([nn.functional.pad(x[5], (0, n - len(x[5]))) for x in told])[None],
        count=counts,
        closure=closure,
        alternative_molecule=none,
        alternative_decision=none,
        alternative_focus=none,
        alternative_target=none,
        policy="breadth_first",
        conditions=conditions,
    ), total


def test_a_fragment_without_axis_is_placed_around_evenly() -> None:
    config = InternalHeadConfig(n_angles=4, n_torsions=6, width=16, n_harmonics=0)
    head = AroundOneFocus(awake(InternalHead(config, 6, 1, 3, 1)))
    features = torch.zeros(2, 6)
    internal = torch.tensor([1.1, 1.1]), torch.tensor([0.9, -0.3]), torch.tensor([1.0, -2.0])
    no = torch.zeros(2, dtype=torch.bool)
    with torch.no_grad():
        same = head.head.log_prob(features, torch.zeros(2, dtype=torch.int64), internal, (no, no), None)
        terms = head.head.divergence(features, torch.zeros(2, dtype=torch.int64), internal, (no, no), None)
    assert float(same[0]) == pytest.approx(float(same[1]))
    assert (terms["angle"] + terms["torsion"]).tolist() == pytest.approx([math.log(4 * math.pi)] * 2)
