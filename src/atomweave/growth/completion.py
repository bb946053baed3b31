"""Completing given fragments, with any model that can grow: what is given stays where it is, new atoms follow it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..chemistry.radii import bonded_pairs
from ..errors import UsageError
from ..molecule import Molecule
from .grower import Grown, grow
from .starts import Given

if TYPE_CHECKING:
    from ..models.base import Model


def complete(
    model: Model | str | Path,
    fragments: Molecule | Sequence[Molecule],
    n: int = 1,
    seed: int = 0,
    *,
    sites: Sequence[int] | Sequence[Sequence[int]] | None = None,
    remove_hydrogens: bool = False,
    **options: Any,
) -> Grown:
    """Grow `n` molecules from each fragment.

    The given atoms come first in every molecule, in the order and at the positions given, to the last bit. Before it
    grows, a fragment is put into an order that the model's policy could have grown (`starts`), so that the order in
    which its atoms are given does not matter.

    Args:
        model: a model, or the name or path of weights.
        fragments: one or several.
        n: attempts on each: the first `n` are of the first fragment.
        seed: names the random numbers.
        sites: indices, from 0, of the atoms that may get new neighbours, for all fragments alike or a list for each;
            None leaves it to the model. Atoms that are no sites have ended; a model that ends molecules instead of
            atoms (Symphony) is conditioned on never choosing them as its focus, about which it was taught nothing.
        remove_hydrogens: remove the hydrogens bonded to the sites first, so that there is room.
        options: as of `grow`: temperatures, conditions, max_atoms, block, slots, device, workers, threads, executor,
            progress.

    Returns:
        The attempts. Their molecules carry, beside what `grow` tells of them, the number of the `fragment` from 0, how
        many `given_atoms` come first and, where asked for, their `sites` among these and how many hydrogens were
        removed before (`removed_hydrogens`).

    Raises:
        UsageError: if an option does not fit, there is no fragment, or a site cannot be one.
        InputError: if a fragment holds an element that the model does not know.
    """
    fragments = [fragments] if isinstance(fragments, Molecule) else list(fragments)
    if not fragments:
        raise UsageError("fragments: got none, wanted at least one molecule.")
    if n < 1:
        raise UsageError(f"n: got {n}, wanted at least 1.")
    if remove_hydrogens and sites is None:
        raise UsageError("remove_hydrogens: wants sites, whose hydrogens it removes.")
    each = zip(fragments, _sites_of_each(sites, len(fragments)), strict=True)
    given = [_given(place, *one, len(fragments), remove_hydrogens) for place, one in enumerate(each)]
    return grow(model, n * len(given), seed, start=given, **options)


def _sites_of_each(
    sites: Sequence[int] | Sequence[Sequence[int]] | None, n_fragments: int
) -> list[tuple[int, ...] | None]:
    if sites is None:
        return [None] * n_fragments
    numbers = [int(site) for site in sites if isinstance(site, (int, np.integer))]
    if len(numbers) == len(sites):
        return [tuple(numbers)] * n_fragments
    if len(sites) != n_fragments:
        raise UsageError(f"sites: got lists for {len(sites)} fragments, wanted one list for each of {n_fragments}.")
    return [tuple(int(site) for site in chosen) for chosen in sites]  # type: ignore[union-attr] # lists of numbers


def _given(
    place: int, molecule: Molecule, sites: tuple[int, ...] | None, n_fragments: int, remove_hydrogens: bool
) -> Given:
    """Return fragment number `place` with its checked sites, without their hydrogens where that is asked for."""
    told: dict[str, Any] = {"fragment": place}
    if sites is None:
        return Given(molecule, None, told | {"given_atoms": len(molecule)})
    where = f"fragment {place} (counted from 0): " if n_fragments > 1 else ""
    if not sites:
        raise UsageError(f"{where}sites: got none, wanted at least one atom (None leaves it to the model).")
    for site in sites:
        if not 0 <= site < len(molecule):
            raise UsageError(f"{where}sites: there is no atom {site}, wanted an index from 0 to {len(molecule) - 1}.")
    reduced = molecule
    if remove_hydrogens:
        reduced, sites = without_hydrogens(molecule, sites)
        told["removed_hydrogens"] = len(molecule) - len(reduced)
    return Given(reduced, sites, told | {"given_atoms": len(reduced), "sites": " ".join(map(str, sites))})


def without_hydrogens(molecule: Molecule, sites: Sequence[int]) -> tuple[Molecule, tuple[int, ...]]:
    """Return a molecule without the hydrogens bonded to `sites`, and where the sites then are.

    Raises:
        UsageError: if a site is itself one of those hydrogens.
    """
    pairs = bonded_pairs(molecule.numbers, molecule.positions)
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    neighbours = pairs[np.isin(pairs[:, 0], sites), 1]
    kept = np.ones(len(molecule), bool)
    kept[neighbours[molecule.numbers[neighbours] == 1]] = False
    lost = [site for site in sites if not kept[site]]
    if lost:
        raise UsageError(f"sites: atom {lost[0]} (counted from 0) is a hydrogen that would be removed.")
    renumbered = np.cumsum(kept) - 1
    reduced = Molecule(molecule.numbers[kept], molecule.positions[kept], molecule.properties)
    return reduced, tuple(int(renumbered[site]) for site in sites)
