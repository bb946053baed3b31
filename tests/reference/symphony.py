"""Naive Symphony: one fragment at a time, every density on the published grid of 180 x 359 directions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from atomweave.growth.trajectories import Decision, Trajectories
from atomweave.models.symphony import Symphony

from .conventions import Features, Graph, fragment_graph
from .e3schnet import NaiveE3SchNet
from .heads import NaiveFocusHead, NaivePositionHead, position_logits
from .losses import focus_loss, position_loss
from .nequip import NaiveNequip
from .sphere import Grid, product_grid


@dataclass(frozen=True)
class Lesson:
    """One fragment and what is taught about it."""

    graph: Graph
    q: Tensor  # (n_atoms, n_species), shares of the admissible (focus, species); 0 at STOP
    stop: bool
    focus: int
    species: int
    vector: Tensor  # (3,) Å, from the clean focus to the clean target


def lessons(trajectories: Trajectories, n_species: int, noise: Tensor | None = None) -> Iterator[Lesson]:
    """Take trajectories apart, decision by decision; `noise` (n_molecules, n_atoms, 3) moves what is read."""
    t = trajectories
    for molecule, decision in (t.kind != Decision.PADDING).nonzero().tolist():
        k, focus, target = (int(x[molecule, decision]) for x in (t.prefix, t.focus, t.target))
        here = (t.alternative_molecule == molecule) & (t.alternative_decision == decision)
        q = t.positions.new_zeros(k, n_species)
        for f, a in zip(t.alternative_focus[here].tolist(), t.alternative_target[here].tolist(), strict=True):
            q[f, t.species[molecule, a]] += 1 / int(here.sum())
        stop = bool(t.kind[molecule, decision] == Decision.STOP)
        positions = t.positions[molecule]
        yield Lesson(
            fragment_graph(t.species[molecule, :k], positions[:k], None if noise is None else noise[molecule, :k]),
            q,
            stop,
            focus,
            0 if stop else int(t.species[molecule, target]),
            positions.new_zeros(3) if stop else positions[target] - positions[focus],
        )


class NaiveSymphony(nn.Module):
    """The published model, at the sizes given."""

    def __init__(
        self,
        *,
        n_species: int = 5,
        schnet_channels: int = 64,
        schnet_lmax: int = 2,
        schnet_layers: int = 3,
        nequip_channels: int = 64,
        nequip_lmax: int = 5,
        nequip_layers: int = 3,
        head_width: int = 128,
        n_mixture: int = 2,
        n_radii: int = 64,
        grid: tuple[int, int] = (180, 359),
    ) -> None:
        super().__init__()
        self.n_species = n_species
        self.focus_embedder = NaiveE3SchNet(n_species, schnet_channels, schnet_lmax, schnet_layers)
        self.position_embedder = NaiveNequip(n_species, nequip_channels, nequip_lmax, nequip_layers)
        self.focus_head = NaiveFocusHead(n_species, schnet_channels, head_width)
        self.position_head = NaivePositionHead(n_species, nequip_channels, nequip_lmax, n_mixture, n_radii)
        self.grid: Grid = product_grid(*grid)

    def focus_logits(self, graph: Graph) -> Tensor:
        """Return (n_atoms, n_species) logits; that of STOP is 0."""
        return self.focus_head(self.focus_embedder(graph))

    def coefficients(self, graph: Graph, focus: int, species: int) -> Tensor:
        """Return (n_mixture, n_radii, n_harmonics) of the position around the focus."""
        features: Features = {l: x[focus] for l, x in self.position_embedder(graph).items()}
        return self.position_head(features, species)

    def losses(self, lesson: Lesson) -> tuple[Tensor, Tensor]:
        """Return the divergences of focus and position of one fragment, nats; the position's is 0 at STOP."""
        focus = focus_loss(self.focus_logits(lesson.graph), lesson.q, float(lesson.stop))
        if lesson.stop:
            return focus, torch.zeros_like(focus)
        coefficients = self.coefficients(lesson.graph, lesson.focus, lesson.species)
        radii = self.position_head.radii.to(coefficients)
        return focus, position_loss(coefficients, lesson.vector, radii, self.grid)

    def propose(self, species: Tensor, positions: Tensor, rng: torch.Generator) -> tuple[int, Tensor] | None:
        """Draw the next atom's species and position (3,) Å, or None for STOP; the whole grid at every step."""
        graph = fragment_graph(species, positions)
        logits = self.focus_logits(graph)
        choice = int(
            torch.multinomial(torch.cat([logits.new_zeros(1), logits.reshape(-1)]).softmax(0), 1, generator=rng)
        )
        if choice == 0:
            return None
        focus, kind = divmod(choice - 1, self.n_species)
        coefficients = self.coefficients(graph, focus, kind)
        lmax = math.isqrt(coefficients.shape[-1]) - 1
        on_grid = position_logits(coefficients, self.grid.harmonics(lmax).to(coefficients))
        mass = torch.exp(on_grid - on_grid.max()) * self.grid.weights.to(on_grid)
        shell = int(torch.multinomial(mass.sum(1), 1, generator=rng))
        point = int(torch.multinomial(mass[shell], 1, generator=rng))
        step = self.position_head.radii[shell] * self.grid.directions[point]
        return kind, positions[focus] + step.to(positions)

    def grow(self, start: int, rng: torch.Generator, max_atoms: int = 35) -> tuple[Tensor, Tensor]:
        """Grow one molecule from an atom of species `start`; returns species (n,) and positions (n, 3) in Å."""
        species, positions = torch.tensor([start]), torch.zeros(1, 3, dtype=next(self.parameters()).dtype)
        while len(species) < max_atoms and (atom := self.propose(species, positions, rng)) is not None:
            species = torch.cat([species, torch.tensor([atom[0]])])
            positions = torch.cat([positions, atom[1][None]])
        return species, positions


def naive_copy(fast: Symphony, grid: tuple[int, int] = (180, 359)) -> NaiveSymphony:
    """Return a naive model of the sizes, dtype and weights of `fast`, made of the published kinds of parts."""
    config = fast.config
    schnet, nequip, head = config.focus_embedder, config.position_embedder, config.position_head
    naive = NaiveSymphony(
        n_species=len(config.species),
        schnet_channels=schnet.channels,
        schnet_lmax=schnet.lmax,
        schnet_layers=schnet.n_layers,
        nequip_channels=nequip.channels,
        nequip_lmax=nequip.lmax,
        nequip_layers=nequip.n_layers,
        head_width=config.focus_head.width,
        n_mixture=head.angular.channels,
        n_radii=head.n_radii,
        grid=grid,
    ).to(next(fast.parameters()).dtype)
    naive.load_state_dict(by_naive_name(dict(fast.named_parameters()), naive))
    return naive


def by_naive_name(values: dict[str, Tensor], naive: NaiveSymphony) -> dict[str, Tensor]:
    """Return the fast model's parameters, or their gradients, under the names and in the shapes of the naive model."""
    named = {_naive_name(name): value.detach() for name, value in values.items()}
    return {name: value.reshape(naive.get_parameter(name).shape) for name, value in named.items()}


NAMES = {
    # E3SchNet
    "linear_in.weights.0": "input",
    "linear_filter.weights": "reduce",
    "filter_hidden": "filter_1",
    "filter_out": "filter_2",
    "linear_mix.weights": "expand",
    "focus_embedder.layers.{}.linear_out.weights": "focus_embedder.layers.{}.update",
    # NequIP
    "linear_up.weights": "up",
    "radial_network.weights.0": "radial_1",
    "radial_network.weights.1": "radial_2",
    "radial_network.weights.2": "radial_3",
    "linear_down.weights": "down",
    "skip.weights": "skip",
    "position_embedder.layers.{}.linear_out.weights": "position_embedder.layers.{}.post",
    # heads
    "focus_head.network.weights": "focus_head.layers",
    "position_head.linear.weights": "position_head.linear",
}
"""What the naive model calls what the fast one calls otherwise; {} is any layer."""


def _naive_name(name: str) -> str:
    for fast, naive in NAMES.items():
        if "{}" not in fast:
            name = name.replace(fast, naive)
            continue
        head, tail = fast.split("{}")
        if name.startswith(head) and tail in name:
            name = name.replace(tail, naive.split("{}")[1])
    return name
