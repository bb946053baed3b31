"""How likely a molecule is under a model: a lower bound on log p(M), by importance sampling over orders of growth.

A model gives the density of a trajectory tau, a molecule M in one order of growth. The molecule's own density is the
sum over all of them, and with orders drawn by the growth policy, which says how likely each draw is,

    log p(M) >= log sum_tau p(M, tau) >= E log 1/K sum_k p(M, tau_k) / q(tau_k | M),    tau_k ~ q(. | M)

(Burda, Grosse, Salakhutdinov, ICLR 2016, eq. 8): the right side never falls with K, and reaches the middle one, the sum
over the policy's orders, as K grows. The left step is lost for good: a model may also grow M in orders that the policy
never draws.

What is counted once. M is a set of atoms (element, position): atoms of one element have no names, and every sequence
in which they can be placed is an order of its own, so no factor n! is missing. Positions are relative to the first
atom; changing which atom that is has a Jacobian of 1, so densities of different orders may be added. They are per Å^3
for each atom but the first, with the molecule's orientation uniform over rotations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..growth.grower import computing
from ..growth.policies import Fate, Policy, build_policy, whole_molecules

if TYPE_CHECKING:
    from ..molecule import Molecule
    from .base import Model

BATCH = 128
"""Orders at a time: enough to fill the arrays, and some 0.5 GB for the largest models that ship."""

LEFT_OUT = {
    Fate.NO_START: "none of its atoms may be the first",
    Fate.TOO_FAR: "an atom lies too far from the others for the growth policy",
    Fate.APART: "its atoms do not hang together for the growth policy",
    Fate.CROWDED: "an atom has more neighbours than the growth policy counts",
}
"""Why a growth policy has no order for a molecule."""


@dataclass(frozen=True)
class LogLikelihood:
    """A lower bound on the log-density of one molecule, and how far the orders agree on it.

    Attributes:
        bound: nats, positions per Å^3; -inf where `reason` says why.
        standard_error: of the bound, nats, by the jackknife over orders; NaN for a single order, infinite where all
            orders but one count for nothing.
        effective_orders: how many equally weighted orders say as much, between 1 and `n_orders`; 0 where `bound` is
            -inf. Near 1 the bound is loose.
        n_orders: K, how many orders were drawn; bounds of different K do not compare.
        n_atoms: of the molecule.
        reason: why there is no density; empty where there is one.
    """

    bound: float
    standard_error: float
    effective_orders: float
    n_orders: int
    n_atoms: int
    reason: str = ""

    @property
    def per_atom(self) -> float:
        """The bound divided by the number of atoms, nats."""
        return self.bound / self.n_atoms


def log_likelihood(
    model: Model | str | Path,
    molecules: Sequence[Molecule],
    n_orders: int = 16,
    seed: int = 0,
    batch: int = BATCH,
    progress: Callable[[int, int], None] | None = None,
) -> list[LogLikelihood]:
    """Return a lower bound on the log-density of each molecule.

    Order k of molecule i is a function of (seed, i, k): neither `batch` nor the other molecules change it, and the
    first orders of many are those of few. A molecule has the density zero, and the bound -inf with a reason, if it
    holds an element that the model lacks, if the growth policy has no order for it, or if the model gives no density
    to any order drawn. An order that the policy begins and gives up counts as one of density zero.

    Args:
        model: a model, or the name or path of weights.
        molecules: whole molecules, with all hydrogens if the model learnt from such.
        n_orders: K, how many orders to draw for each.
        seed: names the random numbers.
        batch: orders that the model sees at a time; changes nothing but speed, memory and the last digits.
        progress: called now and then with the number of molecules that are done, and how many there are.

    Raises:
        UsageError: if `n_orders` or `batch` is not at least 1, or the model's growth policy does not say how likely its
            orders are.
    """
    for name, value in {"n_orders": n_orders, "batch": batch}.items():
        if value < 1:
            raise UsageError(f"{name}: got {value}, wanted at least 1.")
    if isinstance(model, (str, Path)):
        from .weights import load_model

        model = load_model(model)
    molecules = list(molecules)  # those of a store are made when they are asked for
    policy = build_policy(whole_molecules(model.policy), model.species)
    reasons = [_unknown_elements(molecule, model) for molecule in molecules]
    known = [index for index, reason in enumerate(reasons) if not reason]
    known.sort(key=lambda index: len(molecules[index]))  # a batch of one size computes little padding
    rows = np.repeat(np.array(known, np.int64), n_orders)
    orders = np.tile(np.arange(n_orders), len(known))
    log_weights = np.full((len(molecules), n_orders), -np.inf)
    fates = np.full((len(molecules), n_orders), Fate.KEPT, np.int64)
    with computing(model, torch.get_num_threads()):
        for first in range(0, len(rows), batch):
            row, order = rows[first : first + batch], orders[first : first + batch]
            here = [molecules[index] for index in row]
            log_weights[row, order], fates[row, order] = _weigh(model, policy, here, seed, row, order)
            if progress is not None:
                progress((first + len(row)) // n_orders, len(known))
    return [
        _summary(weights, len(molecule), reason or _no_density(fate))
        for molecule, weights, fate, reason in zip(molecules, log_weights, fates, reasons, strict=True)
    ]


def _weigh(
    model: Model, policy: Policy, molecules: Sequence[Molecule], seed: int, streams: NDArray, repeats: NDArray
) -> tuple[NDArray, NDArray]:
    """Return log p(M, tau) / q(tau | M) of one order a molecule, (n_molecules,) float64, and each one's `Fate`."""
    trajectories, fate = policy.grow_molecules(molecules, seed, streams, repeats)
    log_weights = np.full(len(molecules), -np.inf)
    if trajectories.log_q is None:
        raise UsageError(
            f"the growth policy {trajectories.policy!r} does not say how likely its orders are, so the likelihood of a "
            "molecule has no bound; take a model that another policy teaches."
        )
    if len(trajectories.n_atoms):
        precise = replace(trajectories, positions=trajectories.positions.to(model.start_log_probs.dtype))
        log_p = model.log_prob(precise.to(model.device)).double().cpu()
        log_weights[fate == Fate.KEPT] = (log_p - trajectories.log_q).numpy()
    return log_weights, fate


def _summary(log_weights: NDArray, n_atoms: int, reason: str) -> LogLikelihood:
    """Return what (n_orders,) log-weights amount to; `reason` is kept only where they are all -inf."""
    n_orders, top = len(log_weights), log_weights.max()
    if top == -np.inf:
        return LogLikelihood(-math.inf, math.nan, 0.0, n_orders, n_atoms, reason)
    weights = np.exp(log_weights - top)  # the largest is 1
    total = weights.sum()
    return LogLikelihood(
        bound=float(top + np.log(total / n_orders)),
        standard_error=_jackknife(weights),
        effective_orders=float(total**2 / (weights**2).sum()),
        n_orders=n_orders,
        n_atoms=n_atoms,
    )


def _jackknife(weights: NDArray) -> float:
    """Return the standard error of the logarithm of a mean (B. Efron, C. Stein, Ann. Statist. 9, 586 (1981)).

    Args:
        weights: (n,), not negative, the largest 1.
    """
    n = len(weights)
    if n == 1:
        return math.nan
    # Summed from both ends: the total less the largest would lose what the small ones say.
    others = np.zeros(n)
    others[1:] += weights.cumsum()[:-1]
    others[:-1] += weights[::-1].cumsum()[::-1][1:]
    if others.min() == 0:
        return math.inf
    logs = np.log(others)
    return float(np.sqrt((n - 1) * logs.var()))


def _unknown_elements(molecule: Molecule, model: Model) -> str:
    try:
        model.species.indices(molecule.numbers)
    except InputError as error:
        return str(error).rstrip(".")
    return ""


def _no_density(fates: NDArray) -> str:
    """Return why a molecule that gets no density from any of its orders gets none."""
    if (fates == Fate.KEPT).any():
        return "the model gives no density to any order drawn"
    return LEFT_OUT[Fate(fates[0])]
