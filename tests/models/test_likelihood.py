"""The bound on a molecule's log-density against the sum over all of its orders, enumerated."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import atomweave
from atomweave.errors import UsageError
from atomweave.geometry.rotations import random_rotation
from atomweave.growth.policies import Fate, NearestPolicy, build_policy, whole_molecules
from atomweave.models import likelihood
from atomweave.models.base import Model
from atomweave.models.likelihood import LogLikelihood, log_likelihood
from atomweave.models.symphony import Symphony, SymphonyConfig
from atomweave.models.weaver import Weaver, WeaverConfig
from atomweave.molecule import Molecule
from reference.molecules import qm9_molecules
from reference.weaver import SMALL, awake, special_molecules

MOLECULES = special_molecules() | qm9_molecules()
WATER, METHANE, METHANOL = MOLECULES["H2O"], MOLECULES["CH4"], MOLECULES["CH4O"]
FORMALDEHYDE = MOLECULES["CH2O"]
SYMPHONY = {
    "kind": "symphony",
    "focus_embedder": {"kind": "e3schnet", "channels": 4, "lmax": 1, "n_layers": 1},
    "position_embedder": {"kind": "e3schnet", "channels": 4, "lmax": 1, "n_layers": 1},
    "position_head": {"radius": "bins", "n_radii": 8, "angular": {"n_polar_drawing": 20, "n_azimuth_drawing": 20}},
}
SINGLE_PRECISION = 1e-4
"""Relative; a sum of some ten log-densities in float32."""


def weaver(**policy) -> Weaver:
    torch.manual_seed(0)
    policy = {"kind": "breadth_first", "fragment_share": 0.5} | policy
    return awake(Weaver(WeaverConfig.model_validate(SMALL | {"policy": policy})))


def symphony(**policy) -> Symphony:
    torch.manual_seed(0)
    return awake(Symphony(SymphonyConfig.model_validate(SYMPHONY | {"policy": {"kind": "nearest"} | policy})))


BOTH = pytest.mark.parametrize("build", [weaver, symphony])


def sum_over_orders(model: Model, molecule: Molecule) -> tuple[float, int]:
    """Return the logarithm of the density summed over all orders of the policy, and how many there are.

    Orders are drawn until they are complete: their probabilities under the policy sum to 1.
    """
    policy = build_policy(whole_molecules(model.policy), model.species)
    t, _ = policy.grow_molecules([molecule] * 1500, seed=1)
    names = [(str(x.tolist()), str(f.tolist())) for x, f in zip(t.positions, t.focus, strict=True)]
    rows = [names.index(name) for name in sorted(set(names))]
    assert t.log_q is not None
    assert float(t.log_q[rows].exp().sum()) == pytest.approx(1, abs=1e-12)
    with torch.no_grad():
        log_p = model.log_prob(t)[rows].double()
    return float(log_p.logsumexp(0)), len(rows)


def bounds(model: Model, molecule: Molecule, n_orders: int, n_repeats: int) -> np.ndarray:
    return np.array([found.bound for found in log_likelihood(model, [molecule] * n_repeats, n_orders, batch=500)])


def moved(molecule: Molecule) -> Molecule:
    rotation = random_rotation(torch.Generator().manual_seed(3)).numpy()
    return Molecule(molecule.numbers, molecule.positions @ rotation.T + [0.3, -1.7, 2.1])


@pytest.mark.parametrize(
    ("build", "molecule", "n_orders"),
    [
        (weaver, WATER, 2),
        (weaver, METHANE, 24),
        (weaver, METHANOL, 12),
        (symphony, WATER, 4),
        (symphony, METHANE, 48),
        (symphony, FORMALDEHYDE, None),
    ],
)
def test_many_orders_lead_to_the_sum_over_all_of_them(build, molecule, n_orders):
    model = build()
    exact, found = sum_over_orders(model, molecule)
    assert n_orders in {None, found}
    (estimate,) = log_likelihood(model, [molecule], 2000, batch=500)
    assert estimate.standard_error < 0.2
    assert abs(estimate.bound - exact) < 4 * estimate.standard_error + SINGLE_PRECISION * abs(exact)
    assert estimate.reason == ""
    assert (estimate.n_orders, estimate.n_atoms) == (2000, len(molecule))


@BOTH
def test_it_is_a_lower_bound_that_rises_with_the_orders(build):
    model, n_repeats = build(), 300
    exact, _ = sum_over_orders(model, METHANOL if build is weaver else FORMALDEHYDE)
    molecule = METHANOL if build is weaver else FORMALDEHYDE
    found = {n: bounds(model, molecule, n, n_repeats) for n in (1, 2, 8)}
    means = {n: x.mean() for n, x in found.items()}
    assert means[1] < means[2] < means[8]
    slack = found[8].std() / math.sqrt(n_repeats)
    assert means[8] < exact + 4 * slack
    # What is unbiased is the density itself.
    ratio = np.exp(found[1] - exact)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / math.sqrt(n_repeats)


def test_the_standard_error_is_the_spread_of_the_bound():
    scores = log_likelihood(weaver(), [METHANOL] * 200, 32, batch=500)
    told = np.mean([score.standard_error for score in scores])
    assert told == pytest.approx(np.std([score.bound for score in scores]), rel=0.25)


@BOTH
@pytest.mark.parametrize("change", ["moved", "shuffled"])
def test_the_sum_depends_on_neither_place_nor_storage_order(build, change):
    molecule = METHANOL if build is weaver else FORMALDEHYDE
    order = np.random.default_rng(4).permutation(len(molecule))
    same = moved(molecule) if change == "moved" else Molecule(molecule.numbers[order], molecule.positions[order])
    model = build()
    assert sum_over_orders(model, same)[0] == pytest.approx(sum_over_orders(model, molecule)[0], rel=SINGLE_PRECISION)
    one, other = (log_likelihood(model, [m], 500, batch=500)[0] for m in (molecule, same))
    if change == "moved":  # draws the same orders
        assert one.bound == pytest.approx(other.bound, rel=SINGLE_PRECISION)
    else:
        assert abs(one.bound - other.bound) < 5 * math.hypot(one.standard_error, other.standard_error)


@BOTH
def test_a_score_depends_neither_on_the_batch_nor_on_the_other_molecules(build):
    model = build()
    molecules = [METHANOL, WATER, MOLECULES["C2H6"], METHANE]
    together = log_likelihood(model, molecules, 5, seed=3, batch=64)
    for others in (log_likelihood(model, molecules, 5, seed=3, batch=3), log_likelihood(model, molecules[:2], 5, 3)):
        for found, expected in zip(others, together, strict=False):
            assert found.bound == pytest.approx(expected.bound, rel=SINGLE_PRECISION)
    assert log_likelihood(model, molecules, 5, seed=4)[0].bound != together[0].bound
    assert model.log_likelihood(METHANOL, 5, seed=3).bound == pytest.approx(together[0].bound, rel=SINGLE_PRECISION)
    assert atomweave.log_likelihood is log_likelihood


def test_the_first_orders_of_many_are_those_of_few():
    model = weaver()
    singles = np.array([log_likelihood(model, [METHANOL], n)[0].bound + math.log(n) for n in range(1, 7)])
    # The logarithm of the sum of the weights, to which every further order adds its own.
    assert (np.diff(singles) > -1e-3).all()


@pytest.mark.parametrize(
    ("build", "molecule", "reason"),
    [
        (weaver, Molecule(["C", "C"], np.array([[0, 0, 0], [0, 0, 3.0]])), "do not hang together"),
        (symphony, Molecule(["C", "C"], np.array([[0, 0, 0], [0, 0, 6.0]])), "do not hang together"),
        (symphony, Molecule(["C", "C"], np.array([[0, 0, 0], [0, 0, 2.5]])), "too far"),
        (lambda: symphony(start="C"), WATER, "none of its atoms may be the first"),
        (lambda: weaver(max_degree=2), MOLECULES["CH2O"], "more neighbours than the growth policy counts"),
        (weaver, Molecule(["S", "H", "H"], WATER.positions), "elements S are not among"),
        (weaver, Molecule(["O", "H"], np.array([[0, 0, 0], [0, 0, 0.7]])), "no density"),  # its bins begin at 0.8 Å
    ],
)
def test_what_has_no_density_says_why_and_leaves_the_others_alone(build, molecule, reason):
    model = build()
    other = METHANE if model.policy.start == "C" else WATER
    nothing, sound = log_likelihood(model, [molecule, other], 4)
    assert nothing.bound == nothing.per_atom == -math.inf
    assert nothing.effective_orders == 0
    assert math.isnan(nothing.standard_error)
    assert reason in nothing.reason
    assert math.isfinite(sound.bound)
    assert sound.reason == ""


def test_every_fate_but_being_kept_has_its_reason():
    assert set(likelihood.LEFT_OUT) == set(Fate) - {Fate.KEPT}


def test_orders_that_the_policy_gives_up_count_as_nothing():
    # F-C is 1.3 Å, N-F 2.0 Å and N-C 2.1 Å: too far, yet within the tolerance of N-F. So half of all draws are lost.
    molecule = Molecule(["N", "F", "C"], np.array([[0, 0, 0], [0, 0, 2.0], [0, 1.2, 1.72]]))
    model = symphony()
    policy = build_policy(model.policy, model.species)
    t, fate = policy.grow_molecules([molecule] * 500, seed=1)
    assert 0.4 < (fate == Fate.KEPT).mean() < 0.6
    assert t.log_q is not None
    names = [str(x.tolist()) for x in t.positions]
    rows = [names.index(name) for name in sorted(set(names))]
    assert t.log_q[rows].exp().tolist() == pytest.approx([1 / 6] * 3)
    with torch.no_grad():
        exact = float(model.log_prob(t)[rows].double().logsumexp(0))
    (found,) = log_likelihood(model, [molecule], 2000, batch=500)
    assert abs(found.bound - exact) < 4 * found.standard_error


def test_a_single_order_has_no_spread_and_a_lonely_one_an_infinite_one():
    (one,) = log_likelihood(weaver(), [METHANOL], 1)
    assert math.isnan(one.standard_error)
    assert one.effective_orders == 1
    lonely = likelihood._summary(np.array([-np.inf, -700.0, -np.inf]), 2, "")
    assert lonely == LogLikelihood(pytest.approx(-700 - math.log(3)), math.inf, 1.0, 3, 2)


def test_the_jackknife_leaves_out_one_order_at_a_time():
    weights = np.exp(np.random.default_rng(0).normal(size=7))
    logs = np.array([np.log(np.delete(weights, k).mean()) for k in range(7)])
    expected = math.sqrt(6 / 7 * ((logs - logs.mean()) ** 2).sum())
    assert likelihood._jackknife(weights) == pytest.approx(expected)


@pytest.mark.parametrize("wrong", [{"n_orders": 0}, {"batch": 0}])
def test_numbers_below_one_are_refused(wrong):
    with pytest.raises(UsageError, match=f"{next(iter(wrong))}: got 0, wanted at least 1"):
        log_likelihood(weaver(), [WATER], **wrong)


def test_a_policy_that_does_not_say_how_likely_its_orders_are_is_refused(monkeypatch):
    grow = NearestPolicy.grow

    def silent(self, *arguments):
        trajectories, fate = grow(self, *arguments)
        return replace(trajectories, log_q=None), fate

    monkeypatch.setattr(NearestPolicy, "grow", silent)
    with pytest.raises(UsageError, match="'nearest' does not say how likely its orders are"):
        log_likelihood(symphony(), [WATER], 2)


def test_progress_ends_at_all_molecules():
    told: list[tuple[int, int]] = []
    log_likelihood(weaver(), [WATER, METHANE, METHANOL], 4, batch=5, progress=lambda *x: told.append(x))
    assert told == [(1, 3), (2, 3), (3, 3)]
