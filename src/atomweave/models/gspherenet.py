"""G-SphereNet (Luo and Ji, ICLR 2022): flows for type, distance, angle and torsion, given invariant features.

    fragment -> embedder -> features h of its atoms
    h -> focus, or STOP                                            (heads.focal)
    h of the focus, attention over all -> type of the next atom    (heads.atom_type)
    h times the embedding of that type -> d, theta, phi            (heads.spherical)

The defaults are the published model; every repair and every ablation is a choice in the configuration. Molecules grow
in Prim's order (`growth.policies.prim`), so that teaching knows one trajectory of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from ..chemistry.radii import reach
from ..config import Config
from ..geometry.references import from_spherical, has_azimuth, reference_atoms, reference_positions, to_spherical
from ..growth.policies import PrimConfig
from ..growth.trajectories import Decision, Fragments, Proposals, Trajectories
from ..species import Species
from .base import Model, Temperatures
from .embedders.invariant import InvariantEmbedderConfig, build_invariant_embedder
from .embedders.spherenet import SphereNetConfig
from .heads.angular import draw_index
from .heads.atom_type import DequantisedConfig, DequantisedType, SoftmaxConfig, SoftmaxType
from .heads.focal import ClassifierConfig, FocalConfig, build_focal_head
from .heads.spherical import Around, Condition, Features, Placement, SphericalConfig, SphericalHead
from .noise import normal, uniform

NARROW = 32
"""Rows or columns below which a matrix belongs to logits or to few numbers that are read: Adam moves it."""


class AugmentationConfig(Config):
    """What is done to molecules while they teach; nothing, as published."""

    noise: float = Field(
        0.0, ge=0, description="Å; standard deviation on every coordinate read; what is to be placed stays exact"
    )
    mirror: bool = Field(False, description="every other molecule is reflected, at random")


class GSphereNetConfig(Config):
    """The parts of G-SphereNet; the defaults are the published model."""

    kind: Literal["gspherenet"] = "gspherenet"
    species: tuple[str, ...] = Field(("H", "C", "N", "O", "F"), min_length=1, description="elements, in index order")
    policy: PrimConfig = PrimConfig()
    embedder: InvariantEmbedderConfig = SphereNetConfig()
    features: Features = Field("both", description="what heads read: features of focus and references, of all, or both")
    n_heads: int = Field(4, ge=1, description="attention heads over the fragment's atoms")
    focus: FocalConfig = ClassifierConfig()
    atom_type: Annotated[DequantisedConfig | SoftmaxConfig, Field(discriminator="kind")] = DequantisedConfig()
    position: SphericalConfig = SphericalConfig()
    references: Literal["nearest", "bonded"] = Field(
        "nearest", description="atoms that angle and torsion are measured from: the nearest, as published, or bonded"
    )
    objective: Literal["means", "likelihood"] = Field(
        "means",
        description="means: each factor's mean over what it describes, as published; likelihood: their sums, so that "
        "the loss is the mean negative log-density of a decision",
    )
    augmentation: AugmentationConfig = AugmentationConfig()

    @field_validator("species")
    @classmethod
    def _known(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        Species(symbols)
        return symbols


@dataclass(frozen=True)
class _Reading:
    """The fragments of some decisions, as the embedder sees them."""

    features: Tensor  # (n_rows, n_atoms, width)
    placed: Tensor  # (n_rows, n_atoms) bool
    heavy: Tensor  # (n_rows, n_atoms) bool
    molecule: Tensor  # (n_rows,)
    decision: Tensor  # (n_rows,)


@dataclass(frozen=True)
class _Placed:
    """The placements among some decisions."""

    row: Tensor  # (n_placements,) into the reading
    species: Tensor  # (n_placements,) of the new atom
    condition: Tensor  # (n_placements, width), what its type is drawn from
    placement: Placement
    internal: tuple[Tensor, Tensor, Tensor]  # (n_placements,) each: distance, angle, torsion


class GSphereNet(Model):
    """The wiring of the model: see the module's docstring."""

    config: GSphereNetConfig
    is_heavy: Tensor  # (n_species,) bool
    reach: Tensor  # (n_species,) Å, see `chemistry.radii.reach`

    def __init__(self, config: GSphereNetConfig) -> None:
        super().__init__(Species(config.species))
        self.config, self.policy = config, config.policy
        n_species = len(self.species)
        self.embedder = build_invariant_embedder(config.embedder, n_species)
        width = self.embedder.width
        self.focus = build_focal_head(config.focus, width)
        self.around_focus = Condition(1, width, config.n_heads, config.features)
        self.atom_type: DequantisedType | SoftmaxType
        if isinstance(config.atom_type, SoftmaxConfig):
            self.atom_type = SoftmaxType(config.atom_type, self.around_focus.width, n_species)
        else:
            self.atom_type = DequantisedType(config.atom_type, self.around_focus.width, n_species)
        self.position = SphericalHead(config.position, width, config.n_heads, config.features)
        self.n_draws = 1 + self.position.n_draws + self.atom_type.n_draws
        numbers = torch.tensor(self.species.numbers)
        self.register_buffer("is_heavy", numbers != 1, persistent=False)
        self.register_buffer("reach", torch.from_numpy(reach(self.species.numbers)), persistent=False)

    def hidden_matrices(self) -> Iterator[Tensor]:
        """Return the wide weights inside; see `Model.hidden_matrices`."""
        for module in self.modules():
            # What leads from a few numbers, or to a few, is no hidden matrix.
            if isinstance(module, nn.Linear) and min(module.weight.shape) >= NARROW:
                yield module.weight

    def loss(self, trajectories: Trajectories, rng: torch.Generator | None) -> dict[str, Tensor]:
        """Return the terms of equation 1, and the focal classifier's; see `Model.loss`.

        Every term is a mean over decisions. The published loss adds five other means (F: of the type over steps and its
        dimensions, of each coordinate over the steps that have it, of the classifier over atoms), with `means`.
        """
        t = trajectories
        assert t.awaits is not None, "Prim's order tells what every atom awaits"
        clean, positions = self._augmented(t, rng)
        taught = (t.kind == Decision.PLACE) | (self.focus.finished & (t.kind == Decision.STOP))
        read = self._read(t, positions, taught)
        placing = t.kind[read.molecule, read.decision] == Decision.PLACE
        target = torch.where(placing, t.focus[read.molecule, read.decision], -1)
        awaits = t.awaits[read.molecule, read.decision, : read.placed.shape[1]]
        sums = {"focus": self.focus.divergence(self.focus(read.features), read.placed, target, awaits)}
        p = self._placements(t, read, clean)
        noise = None if rng is None else uniform(t, (t.kind.shape[1], self.atom_type.numbers_per_row), rng)
        own = None if noise is None else noise[read.molecule[p.row], read.decision[p.row]]
        types = self.atom_type.divergence(p.condition, p.species, own)
        sums["species"] = types.sum(), types.new_tensor(len(types) * self.atom_type.numbers_per_row)
        for name, log_p in p.placement.terms(*p.internal).items():
            # What lies beyond the interval of a mixture cannot be taught.
            sums[name] = -torch.where(log_p.isfinite(), log_p, 0.0).sum(), log_p.new_tensor(len(log_p))
        terms = {name: total / t.n_decisions for name, (total, _) in sums.items()}
        means = {name: total / count.clamp(min=1) for name, (total, count) in sums.items()}
        chosen = means if self.config.objective == "means" else terms
        return {"loss": torch.stack(list(chosen.values())).sum(), **terms}

    def log_prob(self, trajectories: Trajectories) -> Tensor:
        """Return (n_molecules,) joint log-densities, focus, STOP and start among them; see `Model.log_prob`."""
        t = trajectories
        read = self._read(t, t.positions, t.kind != Decision.PADDING)
        log_p = self.focus.log_probs(self.focus(read.features), read.placed, read.heavy)
        at = read.molecule, read.decision
        choice = torch.where(t.kind[at] == Decision.PLACE, t.focus[at] + 1, 0)
        total = self.start_log_probs[t.species[:, 0]].index_add(0, read.molecule, _at(log_p, choice))
        p = self._placements(t, read, t.positions)
        of_type = _at(self.atom_type.log_probs(p.condition), p.species)
        return total.index_add(0, read.molecule[p.row], of_type + p.placement.log_density(*p.internal))

    def log_prob_as_published(self, trajectories: Trajectories) -> Tensor:
        """Return (n_molecules,) what equation 12 sums, nats: types and coordinates alone, the Jacobian of equation 1.

        Neither start, focus nor STOP count; types as the mean log-density of noisy one-hot vectors; coordinates as
        densities in Å and radian, of one preimage. Compare it with nothing but itself.
        """
        t = trajectories
        read = self._read(t, t.positions, t.kind == Decision.PLACE)
        p = self._placements(t, read, t.positions)
        each = p.placement.log_density_as_published(*p.internal) - self.atom_type.divergence(
            p.condition, p.species, None
        )
        return torch.zeros_like(t.positions[:, 0, 0]).index_add(0, read.molecule[p.row], each)

    def propose(self, fragments: Fragments, uniforms: Tensor, temperatures: Temperatures) -> Proposals:
        """Draw one decision a fragment (algorithm 1): focus or STOP, then the type, then the position."""
        f = fragments
        every = torch.arange(len(f.n_atoms), device=f.n_atoms.device)
        read = self._embed(f.species, f.positions, f.n_atoms, every, f.n_atoms, every)
        may = read.placed & (f.awaits[:, : read.placed.shape[1]] != 0)
        logits = self.focus(read.features)
        log_p = self.focus.log_probs(logits, may, read.heavy)
        t = temperatures
        drawing = self.focus.log_probs(logits, may, read.heavy, t.focus, t.focus_threshold)
        choice = draw_index(drawing.exp(), uniforms[:, 0])
        log_prob = _at(log_p, choice)
        placed = (choice > 0).nonzero()[:, 0]
        kind = torch.where(choice > 0, int(Decision.PLACE), int(Decision.STOP))
        focus, species = (choice - 1).clamp(min=0), torch.zeros_like(choice)
        positions = f.positions.new_zeros(len(choice), 3)
        if len(placed):
            features, here = read.features[placed], read.placed[placed]
            of_focus = focus[placed]
            condition = self.around_focus(features, here, [of_focus])
            n_types = self.atom_type.n_draws
            new = self.atom_type.draw(condition, uniforms[placed, 1 : 1 + n_types], t.species or t.focus)
            around, points = self._around(
                f.species, f.positions, placed, of_focus, f.n_atoms[placed], features, here, new
            )
            placement = self.position(around)
            internal = placement.draw(uniforms[placed, 1 + n_types :], t)
            distance, angle, torsion = (x.to(positions) for x in internal)
            positions[placed] = from_spherical(distance, angle, torsion, *points)
            species[placed] = new
            # Measured from where the atom stands: its coordinates name one of several ways to it.
            of_position = placement.log_density(*to_spherical(positions[placed], *points))
            log_prob[placed] += _at(self.atom_type.log_probs(condition), new) + of_position
        return Proposals(kind, focus, species, positions, log_prob)

    def _augmented(self, t: Trajectories, rng: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return positions (n_molecules, n_atoms, 3) as they are to be predicted, and as they are read."""
        augmentation, positions = self.config.augmentation, t.positions
        if rng is None:
            return positions, positions
        if augmentation.mirror:
            mirrored = uniform(t, (1, 1), rng) < 0.5
            positions = torch.where(mirrored, -positions, positions)
        if not augmentation.noise:
            return positions, positions
        return positions, positions + augmentation.noise * normal(t, positions.shape[1:], rng)

    def _read(self, t: Trajectories, positions: Tensor, wanted: Tensor) -> _Reading:
        """Return what is seen at the decisions `wanted` (n_molecules, n_decisions) of molecules at `positions`."""
        molecule, decision = wanted.nonzero(as_tuple=True)
        return self._embed(t.species, positions, t.n_atoms, molecule, t.prefix[molecule, decision], decision)

    def _embed(
        self, species: Tensor, positions: Tensor, n_atoms: Tensor, molecule: Tensor, size: Tensor, decision: Tensor
    ) -> _Reading:
        features = self.embedder(species, positions, n_atoms, molecule, size)
        index = torch.arange(features.shape[1], device=size.device)
        heavy = self.is_heavy[species[molecule, : len(index)]]
        return _Reading(features, index < size[:, None], heavy, molecule, decision)

    def _placements(self, t: Trajectories, read: _Reading, positions: Tensor) -> _Placed:
        """Return the placements among the decisions that were read, with coordinates from `positions`."""
        row = (t.kind[read.molecule, read.decision] == Decision.PLACE).nonzero()[:, 0]
        molecule, decision = read.molecule[row], read.decision[row]
        # Where every decision places an atom, as in published teaching, nothing is copied.
        everything = len(row) == len(read.molecule)
        features, here = (x if everything else x[row] for x in (read.features, read.placed))
        focus, target = t.focus[molecule, decision], t.target[molecule, decision]
        species, prefix = t.species[molecule, target], t.prefix[molecule, decision]
        condition = self.around_focus(features, here, [focus])
        around, points = self._around(t.species, positions, molecule, focus, prefix, features, here, species)
        internal = to_spherical(positions[molecule, target], *points)
        return _Placed(row, species, condition, self.position(around), internal)

    def _around(
        self,
        species: Tensor,
        positions: Tensor,
        molecule: Tensor,
        focus: Tensor,
        prefix: Tensor,
        features: Tensor,
        placed: Tensor,
        new: Tensor,
    ) -> tuple[Around, tuple[Tensor, Tensor, Tensor]]:
        """Return what the position of new atoms is drawn from, and what it is measured from.

        Args:
            species: (n_molecules, n_atoms).
            positions: (n_molecules, n_atoms, 3) Å.
            molecule: (n_rows,) row of the two.
            focus: (n_rows,) growth index.
            prefix: (n_rows,) how many atoms are placed.
            features: (n_rows, n_atoms, width).
            placed: (n_rows, n_atoms) bool.
            new: (n_rows,) species of the new atoms.

        Returns:
            That, and positions of focus, second and third reference, (n_rows, 3) each.
        """
        bonded = self._bonded(species, positions) if self.config.references == "bonded" else None
        second, third = reference_atoms(positions, molecule, focus, prefix, bonded)
        points = reference_positions(positions, molecule, focus, second, third)
        # Every atom hears which type comes, through the embedding that the encoder begins with.
        told = features * self.embedder.atom(new)[:, None]
        azimuth = has_azimuth(*points) & (third >= 0)
        return Around(told, placed, focus, second, third, azimuth), points

    def _bonded(self, species: Tensor, positions: Tensor) -> Tensor:
        """Return (n_molecules, n_atoms, n_atoms) bool, by the rule of `chemistry.radii`; padding counts for nothing."""
        square = (positions[:, :, None] - positions[:, None]).square().sum(-1)
        radius = self.reach[species]
        return square.sqrt() <= radius[:, :, None] + radius[:, None, :]


def _at(values: Tensor, index: Tensor) -> Tensor:
    """Return the entries (n_rows,) of `values` (n_rows, n) at `index` (n_rows,)."""
    return values.gather(1, index[:, None])[:, 0]
