"""Prim's policy: its order against a heap, what atoms await, where it begins, what it leaves out."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from atomweave.data.store import MoleculeStore
from atomweave.geometry.rotations import random_rotation
from atomweave.growth.loader import Batches
from atomweave.growth.policies import Fate, PolicyConfig, PrimConfig, PrimPolicy, build_policy, whole_molecules
from atomweave.growth.trajectories import Decision, Trajectories, focus_species_targets
from atomweave.models.likelihood import log_likelihood
from atomweave.models.symphony import Symphony, SymphonyConfig
from atomweave.molecule import Molecule
from atomweave.species import Species
from reference.molecules import qm9_molecules
from reference.prim import first_carbon, last_first, neighbour_sets, spanning_tree
from reference.weaver import special_molecules

SPECIES = Species(["H", "C", "N", "O", "F"])
H, C, N, O, F = range(5)
MOLECULES = qm9_molecules() | special_molecules()
STORED = 1e-5
"""Å; coordinates around the first atom in float32."""

TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / math.sqrt(3)
METHANE = Molecule(["C"] + ["H"] * 4, np.concatenate([np.zeros((1, 3)), 1.09 * TETRAHEDRON]))


def grow(molecules: list[Molecule], seed: int = 0, **options) -> tuple[Trajectories, np.ndarray]:
    return build_policy(PrimConfig(**options), SPECIES).grow_molecules(molecules, seed)


def atoms_of(t: Trajectories, row: int, molecule: Molecule) -> list[int]:
    """Return the molecule's atoms in the order in which the trajectory places them."""
    x = t.positions[row, : len(molecule)].double().numpy()
    for root in range(len(molecule)):
        near = np.abs(x[:, None] - (molecule.positions - molecule.positions[root])).max(2) < STORED
        if (near.sum(1) == 1).all():
            return near.argmax(1).tolist()
    raise AssertionError("the trajectory holds other positions than the molecule")


def edges(t: Trajectories, row: int, molecule: Molecule) -> list[tuple[int, int]]:
    """Return (focus, new atom) of each placement, by storage index, with all that repeats them checked."""
    n, order = len(molecule), atoms_of(t, row, molecule)
    assert t.species[row, :n].tolist() == SPECIES.indices(molecule.numbers[order]).tolist()
    assert t.kind[row, :n].tolist() == [Decision.PLACE] * (n - 1) + [Decision.STOP]
    assert t.prefix[row, :n].tolist() == list(range(1, n + 1))
    assert t.target[row, :n].tolist() == [*range(1, n), -1]
    assert (t.kind[row, n:] == Decision.PADDING).all()
    assert not t.prefix[row, n:].any()
    assert not t.focus[row, n - 1 :].any()
    here = t.alternative_molecule == row
    assert t.alternative_decision[here].tolist() == list(range(n - 1))
    assert t.alternative_focus[here].tolist() == t.focus[row, : n - 1].tolist()
    assert t.alternative_target[here].tolist() == list(range(1, n))
    return [(order[f], a) for f, a in zip(t.focus[row].tolist(), order[1:], strict=False)]


def awaited(molecule: Molecule, order: list[int]) -> list[list[int]]:
    """Return what the placed atoms await before each decision, read off the bonds."""
    neighbours = neighbour_sets(molecule)
    return [[len(neighbours[a] - set(order[:k])) for a in order[:k]] for k in range(1, len(order) + 1)]


def test_real_molecules_grow_as_the_heap_says():
    molecules = list(MOLECULES.values())
    t, fate = grow(molecules)
    assert (fate == Fate.KEPT).all()
    assert t.policy == "prim"
    assert t.log_q.tolist() == [0.0] * len(molecules), "nothing is drawn"
    for row, molecule in enumerate(molecules):
        expected = spanning_tree(molecule, first_carbon(molecule))
        assert edges(t, row, molecule) == expected
        order = [first_carbon(molecule), *(atom for _, atom in expected)]
        n = len(molecule)
        assert [a[:k].tolist() for k, a in enumerate(t.awaits[row, :n], start=1)] == awaited(molecule, order)
        assert not t.awaits[row, n:].any()
        assert not np.triu(t.awaits[row].numpy(), 1).any(), "an atom that is not placed awaits nothing"
    assert t.degree is None
    assert t.count is None
    assert t.closure is None


def test_real_molecules_follow_the_atom_placed_last():
    molecules = list(MOLECULES.values())
    t, fate = grow(molecules, order="last")
    assert (fate == Fate.KEPT).all()
    for row, molecule in enumerate(molecules):
        expected = last_first(molecule, first_carbon(molecule))
        assert edges(t, row, molecule) == expected
        placing = t.kind[row] == Decision.PLACE
        open_heavy = (t.awaits[row] > 0) & (t.species[row] != H)
        newest = torch.where(open_heavy, torch.arange(t.species.shape[1]), -1).amax(1)
        assert torch.equal(newest[placing], t.focus[row][placing])
        assert not t.awaits[row, len(molecule) - 1].any(), "whoever awaits nothing when the molecule stops is whole"


@st.composite
def clouds(draw: st.DrawFn) -> Molecule:
    """Atoms on a lattice, where distances tie exactly, or moved off it at random."""
    n_atoms = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    lattice = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), -1).reshape(-1, 3)
    moved = draw(st.sampled_from([0.0, 0.3])) * rng.uniform(-1, 1, (n_atoms, 3))
    return Molecule(rng.choice([1, 6, 7, 8, 9], n_atoms), rng.permutation(lattice)[:n_atoms] + moved)


@given(
    molecules=st.lists(clouds(), min_size=1, max_size=5),
    order=st.sampled_from(["published", "last"]),
    start=st.sampled_from(["first_carbon", "data", "C", "H"]),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=150)
def test_random_molecules_grow_as_the_heap_says(molecules, order, start, seed):
    t, fate = grow(molecules, seed, order=order, start=start)
    kept = [molecule for molecule, fate in zip(molecules, fate, strict=True) if fate == Fate.KEPT]
    assert t.n_atoms.tolist() == [len(molecule) for molecule in kept]
    for row, molecule in enumerate(kept):
        root = atoms_of(t, row, molecule)[0]
        assert root in starts(molecule, start)
        assert float(t.log_q[row]) == pytest.approx(-math.log(len(starts(molecule, start))))
        assert edges(t, row, molecule) == (last_first if order == "last" else spanning_tree)(molecule, root)
    for molecule, why in zip(molecules, fate, strict=True):
        assert (why == Fate.NO_START) == (not starts(molecule, start))
        if why == Fate.APART:
            assert order == "last"
            assert min(len(last_first(molecule, root)) for root in starts(molecule, start)) < len(molecule) - 1


def starts(molecule: Molecule, rule: str) -> list[int]:
    """Return the atoms that may be the first."""
    if rule == "first_carbon":
        return [first_carbon(molecule)]
    if rule == "data":
        return np.flatnonzero(molecule.numbers != 1).tolist() or list(range(len(molecule)))
    return [atom for atom, symbol in enumerate(molecule.symbols) if symbol == rule]


def test_equal_distances_go_to_the_older_focus_and_then_by_storage():
    # A square of nitrogens around the carbon at the corner: from atom 1 and atom 2 the fourth is equally far.
    square = Molecule(["N", "C", "N", "N"], [[0, 1, 0], [0, 0, 0], [1, 1, 0], [1, 0, 0]])
    t, _ = grow([square])
    assert edges(t, 0, square) == [(1, 0), (1, 3), (0, 2)]


@pytest.mark.parametrize("order", ["published", "last"])
def test_rounding_does_not_choose_among_the_atoms_of_a_symmetric_molecule(order):
    wanted = edges(grow([METHANE], order=order)[0], 0, METHANE)
    assert [atom for _, atom in wanted] == [1, 2, 3, 4]
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        turned = METHANE.positions @ random_rotation(generator).numpy().T
        molecule = Molecule(METHANE.numbers, turned + np.array([3.0, -1.0, 2.0]))
        assert edges(grow([molecule], order=order)[0], 0, molecule) == wanted


@pytest.mark.parametrize("order", ["published", "last"])
def test_the_order_is_that_of_the_geometry(order):
    rng = np.random.default_rng(0)
    for molecule in MOLECULES.values():
        wanted = edges(grow([molecule], order=order)[0], 0, molecule)
        turned = molecule.positions @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + rng.normal(size=3)
        again = Molecule(molecule.numbers, turned)
        assert edges(grow([again], order=order)[0], 0, again) == wanted


def test_methanol_by_hand():
    molecule = MOLECULES["CH4O"]
    t, _ = grow([molecule])
    told = [SPECIES.symbols[s] for s in t.species[0].tolist()]
    # Hydrogens of the carbon, then oxygen, then its hydrogen.
    assert told == ["C", "H", "H", "H", "O", "H"]
    assert t.focus.tolist() == [[0, 0, 0, 0, 4, 0]]
    awaits = [a[:k].tolist() for k, a in enumerate(t.awaits[0], start=1)]
    assert awaits == [[4], [3, 0], [2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0, 1], [0] * 6]
    assert t.awaits.dtype == torch.int8
    q = focus_species_targets(t, len(SPECIES))
    assert q[0, 4, 4, H] == 1
    assert q[0, 3, 0, O] == 1


def test_first_atoms_are_drawn_alike_where_they_are_drawn():
    molecule = MOLECULES["CH4O"]
    for start, expected in [("first_carbon", {C: 600}), ("data", {C: 300, O: 300}), ("C", {C: 600}), ("H", {H: 600})]:
        t, _ = grow([molecule] * 600, start=start)
        count = Counter(t.species[:, 0].tolist())
        assert set(count) == set(expected)
        assert all(abs(count[z] - n) < 80 for z, n in expected.items())
        assert t.log_q[0] == -math.log(len(starts(molecule, start)))
    roots = Counter(atoms_of(t, row, molecule)[0] for row in range(600))
    assert sorted(roots) == starts(molecule, "H"), "every hydrogen may be the first"
    t, _ = grow([MOLECULES["C2H6"]], start="H")
    assert t.species[0, :2].tolist() == [H, C], "a first hydrogen is the focus while no heavy atom is there"


def test_molecules_that_cannot_grow_are_left_out_and_told_apart():
    apart = Molecule(["C", "C"], [[0, 0, 0], [0, 0, 3.0]])
    water = MOLECULES["H2O"]
    assert grow([apart, water], start="C")[1].tolist() == [Fate.KEPT, Fate.NO_START], "a spanning tree needs no bonds"
    t, fate = grow([apart, water, METHANE], order="last")
    assert fate.tolist() == [Fate.APART, Fate.KEPT, Fate.KEPT]
    assert t.species.tolist() == [[O, H, H, 0, 0], [C, H, H, H, H]]
    assert t.alternative_molecule.tolist() == [0, 0, 1, 1, 1, 1]
    t, fate = grow([water], start="C")
    assert t.n_decisions == 0
    assert t.log_q.shape == (0,)


def test_a_hydrogen_between_two_atoms_is_a_focus_when_no_heavy_atom_is():
    bridged = Molecule(["O", "H", "O"], [[0, 0, 0], [0, 0, 1.15], [0, 0, 2.3]])
    assert edges(grow([bridged], order="last")[0], 0, bridged) == [(0, 1), (1, 2)]


def test_single_atoms_stop_at_once():
    for order in ("published", "last"):
        t, _ = grow([Molecule([8], [[1.0, 2.0, 3.0]])], order=order)
        assert t.kind.tolist() == [[Decision.STOP]]
        assert t.positions.tolist() == [[[0, 0, 0]]]
        assert t.awaits.tolist() == [[[0]]]


@pytest.mark.parametrize("order", ["published", "last"])
def test_companions_in_the_batch_change_nothing(order):
    names = ["CH4O", "H2O", "C2H6", "acetylene"]
    together, _ = grow([MOLECULES[name] for name in [*names, "C9H20"]], 3, order=order, start="data")
    apart, _ = grow([MOLECULES[name] for name in names], 3, order=order, start="data")
    n = apart.species.shape[1]
    for name in ("kind", "prefix", "focus", "target", "species", "positions"):
        assert torch.equal(getattr(together, name)[: len(names), :n], getattr(apart, name))
    assert torch.equal(together.awaits[: len(names), :n, :n], apart.awaits)


def test_batches_of_the_loader():
    store = MoleculeStore.from_molecules([MOLECULES[name] for name in ("CH4O", "H2O", "C2H6")])
    loader = Batches(store, np.arange(3), SPECIES, PrimConfig(), 3, decisions_per_molecule=2)
    assert loader.start_probabilities.tolist() == pytest.approx([0, 2 / 3, 0, 1 / 3, 0])
    t = loader.batch(0)
    assert t.kind.shape == (3, 2)
    assert t.awaits.shape == (3, 2, 8)
    whole = Batches(store, np.arange(3), SPECIES, PrimConfig(), 3).batch(0)
    for row in range(3):
        assert torch.equal(t.awaits[row], whole.awaits[row, t.prefix[row] - 1])
    assert loader.fates() == {"kept": 3, "no_start": 0, "too_far": 0, "apart": 0, "crowded": 0}


def test_the_likelihood_of_a_molecule_is_that_of_its_one_trajectory():
    small = {"kind": "e3schnet", "channels": 4, "lmax": 1, "n_layers": 1}
    head = {"radius": "bins", "n_radii": 4, "angular": {"n_polar_drawing": 20, "n_azimuth_drawing": 20}}
    torch.manual_seed(0)
    model = Symphony(
        SymphonyConfig.model_validate({"focus_embedder": small, "position_embedder": None, "position_head": head})
    )
    model.policy = PrimConfig()
    molecule = MOLECULES["CH4O"]
    with torch.no_grad():
        log_p = float(model.log_prob(grow([molecule])[0]))
    (found,) = log_likelihood(model, [molecule], n_orders=3)
    assert found.bound == pytest.approx(log_p, rel=1e-5)
    assert found.standard_error == pytest.approx(0, abs=1e-9)


def test_configuration():
    read = TypeAdapter(PolicyConfig).validate_python({"kind": "prim", "start": "data", "order": "last"})
    assert read == PrimConfig(start="data", order="last")
    assert isinstance(build_policy(read, SPECIES), PrimPolicy)
    assert whole_molecules(read) == read
    for wrong in ({"start": "N"}, {"order": "first"}, {"tolerance": 0.1}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            PrimConfig(**wrong)
