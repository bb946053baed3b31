"""What every growth policy promises, and why a molecule may have no trajectory."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...molecule import Molecule
from ...randomness import fold_in, uniforms
from ...species import Species
from ..trajectories import Trajectories


class Fate(enum.IntEnum):
    """What became of a molecule that a policy was to grow; only those that are KEPT have a trajectory."""

    KEPT = 0
    NO_START = 1  # none of its atoms may be the first
    TOO_FAR = 2  # the atom drawn next lies farther from its focus than the policy allows
    APART = 3  # the atoms left have no neighbour among those placed
    CROWDED = 4  # an atom has more neighbours than the policy counts


LEFT_OUT = {
    Fate.NO_START: "no atom that may be the first",
    Fate.TOO_FAR: "an atom too far from the others",
    Fate.APART: "in pieces by the policy's rule for neighbours",
    Fate.CROWDED: "an atom of too many neighbours",
}
"""Why a molecule teaches nothing, in words."""


def words(fates: Mapping[Fate, int]) -> str:
    """Return how many molecules are left out for which reason, e.g. "in pieces by the policy's rule ...: 3"."""
    return "; ".join(f"{reason}: {fates[fate]:,}" for fate, reason in LEFT_OUT.items() if fates.get(fate))


class Policy(ABC):
    """Turns molecules into orders in which they could have grown.

    Args:
        species: the element vocabulary of the trajectories.
    """

    def __init__(self, species: Species) -> None:
        self.species = species

    def n_draws(self, n_atoms: int) -> int:
        """Return how many uniform numbers a molecule of `n_atoms` needs; the first of them serve a smaller one."""
        return n_atoms

    @abstractmethod
    def start_candidates(self, species: NDArray, present: NDArray) -> NDArray:
        """Return the atoms that may be the first, each as likely as the others; (n_molecules, n_atoms) bool.

        Args:
            species: (n_molecules, n_atoms) species indices, anything beyond a molecule's last atom.
            present: (n_molecules, n_atoms) bool, False beyond the last atom.
        """

    @abstractmethod
    def grow(
        self, species: NDArray, positions: NDArray, n_atoms: NDArray, uniforms: NDArray
    ) -> tuple[Trajectories, NDArray]:
        """Draw one trajectory a molecule; a pure function of the arguments, molecule by molecule.

        Args:
            species: (n_molecules, n_atoms) int64 species indices in storage order.
            positions: (n_molecules, n_atoms, 3) float, Å.
            n_atoms: (n_molecules,) how many of the atoms are real.
            uniforms: (n_molecules, at least `n_draws(n_atoms)`) float64 in (0, 1), what the draws are made of.

        Returns:
            The trajectories of the molecules that are kept, in the order given, with the start atom at the origin;
            and the `Fate` of every molecule, (n_molecules,) int64.
        """

    def grow_molecules(
        self,
        molecules: Sequence[Molecule],
        seed: int = 0,
        streams: NDArray | None = None,
        repeats: NDArray | None = None,
    ) -> tuple[Trajectories, NDArray]:
        """Draw one trajectory a molecule, as `grow`.

        Args:
            molecules: the batch.
            seed: names the random numbers.
            streams: (n_molecules,) the stream of `seed` that each molecule draws from; None gives molecule i stream i.
            repeats: (n_molecules,) how many trajectories its stream has drawn before; None is none.

        Raises:
            InputError: if an element is not in the vocabulary.
        """
        n_atoms = np.array([len(molecule) for molecule in molecules], np.int64)
        width = n_atoms.max(initial=1)
        species = np.zeros((len(molecules), width), np.int64)
        positions = np.zeros((len(molecules), width, 3))
        for row, molecule in enumerate(molecules):
            species[row, : len(molecule)] = self.species.indices(molecule.numbers)
            positions[row, : len(molecule)] = molecule.positions
        streams = np.arange(len(molecules)) if streams is None else streams
        repeats = np.zeros_like(streams) if repeats is None else repeats
        draws = uniforms(fold_in(seed, "policy"), streams, repeats, self.n_draws(int(width)))
        return self.grow(species, positions, n_atoms, draws)


def draw_start(candidates: NDArray, uniform: NDArray) -> NDArray:
    """Draw the first atom of each molecule, all its candidates alike; (n_molecules,) int64, 0 where there are none.

    Args:
        candidates: (n_molecules, n_atoms) bool.
        uniform: (n_molecules,) numbers in (0, 1).
    """
    count = candidates.sum(1)
    # A float just below 1 times a large count may round up to the count itself.
    rank = np.minimum((uniform * count).astype(np.int64), np.maximum(count - 1, 0))
    return (np.where(candidates, candidates.cumsum(1) - 1, -1) == rank[:, None]).argmax(1)
