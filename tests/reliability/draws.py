"""What is drawn, against the density."""

from __future__ import annotations

from pathlib import Path

import torch
from scipy.stats import kstest

from laws.position_head import LEAST_P, N_ROWS, PositionHeadLaws
from laws.test_spherical_head import TestAffine, TestAffineWithoutAnyOther, TestAffineWithoutThirdAtom, TestMixtures
from laws.test_symphony import (
    TestMixtureOfRadii,
    TestShells,
    TestShellsWithJitter,
    TestSplineOfRadii,
    TestSquaredLogits,
)
from laws.test_weaver import TestInternalHead, TestInternalHeadWithoutAxis, TestInternalHeadWithoutThirdAtom

from .counts import Count, check

HEADS: tuple[type[PositionHeadLaws], ...] = (
    TestInternalHead, TestInternalHeadWithoutAxis, TestInternalHeadWithoutThirdAtom, TestShells, TestShellsWithJitter,
    TestSquaredLogits, TestMixtureOfRadii, TestSplineOfRadii, TestAffine, TestAffineWithoutThirdAtom,
    TestAffineWithoutAnyOther, TestMixtures,
)  # fmt: skip
ENOUGH = 100_000
"""Draws from each head, with which a planted error of 2 % must be caught."""


@check(unit="draws from each head", small=0, large=ENOUGH)
def draws_follow_the_density(size: int, seed: int, folder: Path) -> Count:
    """Draws of every position head fall into cells of space as often as its own density says, by chi-square: each p
    above 1e-6, the p-values of all heads uniform by KS; with 2 % of the draws turned to another direction p is below.
    """
    failures, p_values = [], []
    for suite in HEADS:
        laws = suite()
        head = laws.head()
        drawn = laws.draws(head, size // N_ROWS)
        each, together = laws.p_values(head, drawn, n_nodes=8)
        p_values += each
        if not all(p > LEAST_P for p in (*each, together)):  # nan, of too few draws, is a failure
            failures.append(f"{suite.__name__}: p {min(*each, together):.2g}")
        n_wrong = drawn.shape[1] // 50
        elsewhere = drawn[:, :n_wrong].norm(dim=2, keepdim=True) * torch.tensor([0.0, 1.0, 0.0], dtype=drawn.dtype)
        _, together = laws.p_values(head, torch.cat([elsewhere, drawn[:, n_wrong:]], dim=1), n_nodes=8)
        if size >= ENOUGH and together >= LEAST_P:
            failures.append(f"{suite.__name__}: the planted error is not caught, p {together:.2g}")
    uniform = float(kstest(p_values, "uniform").pvalue)
    if not uniform > LEAST_P:
        failures.append(f"the p-values are not uniform, p {uniform:.2g}")
    notes = {
        "heads": len(HEADS),
        "densities": len(p_values),
        "least p": f"{min(p_values):.2g}",
        "KS p": round(uniform, 3),
    }
    return Count(size, failures, notes)
