from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from toy_model import ToyModel

import atomweave
from atomweave.chemistry.radii import bonded_pairs
from atomweave.errors import InputError, UsageError
from atomweave.growth.completion import complete, without_hydrogens
from atomweave.growth.grower import grow
from atomweave.growth.policies import BreadthFirstConfig, NearestConfig, PrimConfig
from atomweave.growth.starts import DISTANCE_DECIMALS, Given, Start
from atomweave.growth.trajectories import UNKNOWN, Decision
from atomweave.models.symphony import Symphony, SymphonyConfig
from atomweave.models.weaver import Weaver, WeaverConfig
from atomweave.molecule import Molecule
from reference.molecules import qm9_molecules
from reference.prim import last_first, spanning_tree
from reference.worked_molecules import embedded

SMALL_SYMPHONY = {
    "focus_embedder": {"kind": "e3schnet", "channels": 4, "lmax": 1, "n_layers": 1},
    "position_embedder": {"kind": "e3schnet", "channels": 4, "lmax": 1, "n_layers": 1},
    "position_head": {"radius": "bins", "n_radii": 4, "angular": {"n_polar_drawing": 20, "n_azimuth_drawing": 20}},
}
SMALL_WEAVER = {"width": 16, "n_heads": 2, "n_encoder_layers": 1, "n_decoder_layers": 1, "pair_features": 4}


def models() -> dict:
    torch.manual_seed(0)
    found = {
        "symphony": Symphony(SymphonyConfig.model_validate(SMALL_SYMPHONY)),
        "weaver": Weaver(WeaverConfig.model_validate(SMALL_WEAVER)),
        "prim": Symphony(SymphonyConfig.model_validate(SMALL_SYMPHONY)),
        "last": Symphony(SymphonyConfig.model_validate(SMALL_SYMPHONY)),
    }
    found["prim"].policy, found["last"].policy = PrimConfig(), PrimConfig(order="last")
    return found


PROPANOL = embedded("CCCO")


def shuffled(molecule: Molecule, seed: int = 3) -> tuple[Molecule, np.ndarray]:
    """Return the molecule in another order, and which atom stands where."""
    order = np.random.default_rng(seed).permutation(len(molecule))
    return Molecule(molecule.numbers[order], molecule.positions[order]), order


def what_grew(grown, n_given: int) -> list[tuple]:
    """Everything about the attempts but the given atoms."""
    return [
        (a.molecule.numbers[n_given:].tolist(), a.molecule.positions[n_given:].tobytes(), a.finished, a.log_prob)
        for a in grown.attempts
    ]


@pytest.mark.parametrize("name", ["symphony", "weaver", "prim", "last"])
def test_given_atoms_come_first_bit_for_bit_in_the_order_given(name):
    fragments = [shuffled(PROPANOL)[0], Molecule(["O", "H"], np.array([[1e3, 0, 1 / 3], [1e3, 0.96, 1 / 3]]))]
    grown = complete(models()[name], fragments, n=3, seed=1, max_atoms=13)
    assert len(grown.attempts) == 6
    for attempt in grown.attempts:
        fragment = fragments[attempt.index // 3]
        assert attempt.molecule.numbers[: len(fragment)].tolist() == fragment.numbers.tolist()
        assert attempt.molecule.positions[: len(fragment)].tobytes() == fragment.positions.tobytes()
        told = attempt.molecule.properties
        assert (told["fragment"], told["given_atoms"]) == (attempt.index // 3, len(fragment))
    assert any(len(a.molecule) > len(fragments[a.index // 3]) for a in grown.attempts)


@pytest.mark.parametrize("name", ["symphony", "weaver", "prim", "last"])
@pytest.mark.parametrize("sites", [None, [0], [0, 2]])
def test_shuffled_fragments_grow_the_same_molecules_to_the_last_bit(name, sites):
    model, fragment = models()[name], PROPANOL
    again, order = shuffled(fragment)
    places = None if sites is None else [int(np.flatnonzero(order == site)[0]) for site in sites]
    options = {"n": 6, "seed": 2, "max_atoms": 13}
    plain = complete(model, fragment, sites=sites, **options)
    other = complete(model, again, sites=places, **options)
    assert what_grew(other, len(fragment)) == what_grew(plain, len(fragment))
    assert any(numbers for numbers, *_ in what_grew(plain, len(fragment)))


def test_growing_from_a_fragment_is_completing_it():
    model = models()["weaver"]
    completed = complete(model, PROPANOL, n=4, seed=5, max_atoms=12)
    assert what_grew(grow(model, 4, 5, start=PROPANOL, max_atoms=12), 0) == what_grew(completed, 0)


def test_processes_change_no_byte():
    fragments = [part(i) for i in range(5)]
    options = {"n": 7, "seed": 1, "block": 4, "slots": 3}
    alone = complete(ToyModel(), fragments, **options)
    assert what_grew(complete(ToyModel(), fragments, workers=2, **options), 0) == what_grew(alone, 0)
    assert [a.molecule.properties["fragment"] for a in alone.attempts] == [i // 7 for i in range(35)]


def part(place: int) -> Molecule:
    """A few fragments that differ in size and place."""
    keep = np.arange(len(PROPANOL) - place)
    return Molecule(PROPANOL.numbers[keep], PROPANOL.positions[keep] + place)


def test_attempts_do_not_depend_on_the_fragments_beside_them():
    few = complete(ToyModel(), [part(0)], n=3, seed=4)
    many = complete(ToyModel(), [part(i) for i in range(3)], n=3, seed=4)
    assert what_grew(many, 0)[:3] == what_grew(few, 0)


@pytest.mark.parametrize("name", ["symphony", "weaver", "prim", "last"])
def test_only_sites_and_new_atoms_get_neighbours(name, monkeypatch):
    model, fragment, foci = models()[name], PROPANOL, set()
    propose = model.propose

    def recorded(fragments, uniforms, temperatures):
        proposals = propose(fragments, uniforms, temperatures)
        foci.update(proposals.focus[proposals.kind == Decision.PLACE].tolist())
        return proposals

    monkeypatch.setattr(model, "propose", recorded)
    site = int(np.flatnonzero(fragment.numbers == 8)[0])
    start = Start.of(Given(fragment, (site,)), model.policy)
    complete(model, fragment, n=10, seed=1, sites=[site], max_atoms=len(fragment) + 3)
    assert int(np.flatnonzero(start.order == site)[0]) in foci
    assert {focus for focus in foci if focus < len(fragment)} == {int(np.flatnonzero(start.order == site)[0])}


def test_an_order_breadth_first_has_its_focus_among_the_oldest():
    for seed in range(4):
        molecule, _ = shuffled(PROPANOL, seed)
        order = Start.of(Given(molecule), BreadthFirstConfig()).order
        assert sorted(order.tolist()) == list(range(len(molecule)))
        place = np.argsort(order)
        bonds = place[bonded_pairs(molecule.numbers, molecule.positions)]
        heavy = molecule.numbers[order] != 1
        assert heavy[0]
        parents = [min(int(b[b != atom][0]) for b in bonds if atom in b) for atom in range(1, len(order))]
        assert parents == sorted(parents), "the children of older atoms come first"
        for parent in set(parents):
            siblings = [heavy[atom] for atom in range(1, len(order)) if parents[atom - 1] == parent]
            assert siblings == sorted(siblings, reverse=True), "heavy ones before hydrogens"


def test_an_order_nearest_first_adds_the_nearest_atom():
    molecule, _ = shuffled(PROPANOL)
    x = molecule.positions[Start.of(Given(molecule), NearestConfig()).order]
    assert len(np.unique(x, axis=0)) == len(molecule)
    distances = np.linalg.norm(x[:, None] - x[None], axis=-1)
    for n in range(1, len(x)):
        assert distances[:n, n].min() == pytest.approx(distances[:n, n:].min(), abs=1e-12)


@pytest.mark.parametrize("start", ["first_carbon", "data", "C", "H"])
@pytest.mark.parametrize("rule", ["published", "last"])
def test_an_order_of_prim_is_one_that_prim_would_have_grown(rule, start):
    policy, reference = PrimConfig(start=start, order=rule), last_first if rule == "last" else spanning_tree
    for seed in range(4):
        for fragment in (PROPANOL, part(3), part(7)):
            molecule, _ = shuffled(fragment, seed)
            order = Start.of(Given(molecule), policy).order.tolist()
            assert sorted(order) == list(range(len(molecule)))
            assert molecule.symbols[order[0]] in {"data": "CO", "H": "H"}.get(start, "C")
            assert [atom for _, atom in reference(molecule, order[0])] == order[1:]


@pytest.mark.parametrize("rule", ["published", "last"])
def test_an_order_of_prim_begins_far_from_the_sites(rule):
    carbons, oxygen = np.flatnonzero(PROPANOL.numbers == 6).tolist(), int(np.flatnonzero(PROPANOL.numbers == 8)[0])
    policy = PrimConfig(order=rule)
    start = Start.of(Given(PROPANOL, (oxygen,)), policy)
    bonds = bonded_pairs(PROPANOL.numbers, PROPANOL.positions).tolist()
    beside = {a + b - oxygen for a, b in bonds if oxygen in (a, b)}
    assert start.order[0] not in beside
    assert start.awaits.tolist() == [UNKNOWN if atom == oxygen else 0 for atom in start.order]
    assert Start.of(Given(PROPANOL, (carbons[0],)), policy).order[0] != carbons[0]
    everywhere = Start.of(Given(PROPANOL), policy)
    heavy = PROPANOL.numbers[everywhere.order] != 1
    assert everywhere.awaits.tolist() == np.where(heavy, UNKNOWN, 0).tolist(), "a hydrogen has its neighbour"
    water = Molecule(["O", "H"], np.array([[0, 0, 0], [0, 0, 0.96]]))
    assert Start.of(Given(water), policy).order.tolist() == [0, 1], "without carbon, another heavy atom is the first"


POLICIES = [BreadthFirstConfig(), NearestConfig(), PrimConfig(), PrimConfig(start="H", order="last")]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.kind)
@drawn(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_order_is_that_of_the_geometry(policy, seed):
    rng = np.random.default_rng(seed)
    for molecule in (*qm9_molecules().values(), PROPANOL):
        wanted = Start.of(Given(molecule), policy).order.tolist()
        again, order = shuffled(molecule, seed)
        assert order[Start.of(Given(again), policy).order].tolist() == wanted, "also where symmetry leaves a choice"
        distances = np.sort(np.linalg.norm(molecule.positions - molecule.positions.mean(0), axis=1))
        if np.diff(distances).min() > 10.0**-DISTANCE_DECIMALS:
            rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            turned = Molecule(again.numbers, again.positions @ rotation + rng.normal(size=3))
            assert order[Start.of(Given(turned), policy).order].tolist() == wanted


def test_parts_that_are_not_connected_come_one_after_another():
    far = Molecule(
        np.concatenate([PROPANOL.numbers, [6, 1]]),
        np.concatenate([PROPANOL.positions, [[30.0, 0, 0], [31.0, 0, 0]]]),
    )
    for policy in (BreadthFirstConfig(), PrimConfig(order="last")):
        in_second = Start.of(Given(far), policy).order >= len(PROPANOL)
        assert (np.diff(in_second.astype(int)) != 0).sum() == 1


def test_sites_come_late_and_the_others_have_ended():
    site = int(np.flatnonzero(PROPANOL.numbers == 8)[0])
    start = Start.of(Given(PROPANOL, (site,)), BreadthFirstConfig())
    heavy = PROPANOL.numbers[start.order] != 1
    heavy_order = start.order[heavy]
    assert heavy_order[-1] == site, "the root is the far end of the chain"
    assert start.awaits.tolist() == [UNKNOWN if atom == site else 0 for atom in start.order]
    assert (Start.of(Given(PROPANOL, (site,)), NearestConfig()).awaits == 0).sum() == len(PROPANOL) - 1
    everywhere = Start.of(Given(PROPANOL), BreadthFirstConfig())
    asked = PROPANOL.numbers[everywhere.order] != 1
    assert everywhere.awaits.tolist() == np.where(asked, UNKNOWN, 0).tolist(), "a hydrogen has its neighbour"


def test_a_hydrogen_is_a_site_only_where_it_has_no_neighbour():
    hydrogen = int(np.flatnonzero(PROPANOL.numbers == 1)[0])
    for name in ("weaver", "prim", "last"):
        with pytest.raises(UsageError, match=f"atom {hydrogen} .* is a hydrogen, which gets no further neighbour"):
            complete(models()[name], PROPANOL, sites=[hydrogen])
    apart = Molecule(["H", "H"], np.array([[0, 0, 0], [7.4, 0, 0]]))
    for site in (0, 1):
        start = Start.of(Given(apart, (site,)), BreadthFirstConfig())
        assert start.awaits.tolist() == [UNKNOWN if atom == site else 0 for atom in start.order]


def test_hydrogens_of_the_sites_make_room():
    fragment, _ = shuffled(PROPANOL)
    oxygen = int(np.flatnonzero(fragment.numbers == 8)[0])
    reduced, sites = without_hydrogens(fragment, [oxygen])
    assert len(reduced) == len(fragment) - 1
    assert reduced.numbers[list(sites)].tolist() == [8]
    assert reduced.positions[sites[0]].tolist() == fragment.positions[oxygen].tolist()
    molecule = complete(ToyModel(), fragment, seed=1, sites=[oxygen], remove_hydrogens=True).molecules[0]
    assert molecule.properties["removed_hydrogens"] == 1
    assert molecule.properties["given_atoms"] == len(reduced)
    assert molecule.properties["sites"] == str(sites[0])
    assert molecule.positions[: len(reduced)].tobytes() == reduced.positions.tobytes()


def test_hydrogens_elsewhere_stay():
    carbon = int(np.flatnonzero(PROPANOL.numbers == 6)[0])
    reduced, _ = without_hydrogens(PROPANOL, [carbon])
    pairs = bonded_pairs(PROPANOL.numbers, PROPANOL.positions)
    others = [b if a == carbon else a for a, b in pairs.tolist() if carbon in (a, b)]
    n_hydrogens = int((PROPANOL.numbers[others] == 1).sum())
    assert 0 < n_hydrogens == len(PROPANOL) - len(reduced)


def test_a_large_fragment_has_room_by_default():
    line = Molecule(np.full(40, 6), np.arange(40)[:, None] * [1.5, 0, 0])
    attempt = complete(ToyModel(stop=0.0), line).attempts[0]
    assert len(attempt.molecule) == 60
    assert attempt.reason == "no STOP after 60 atoms"


def test_it_is_public():
    assert atomweave.complete is complete


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"fragments": []}, UsageError, "fragments: got none"),
        ({"n": 0}, UsageError, "n: got 0"),
        ({"sites": [99]}, UsageError, "there is no atom 99, wanted an index from 0 to 11"),
        ({"sites": [-1]}, UsageError, "there is no atom -1"),
        ({"sites": []}, UsageError, "sites: got none"),
        ({"sites": [[0], [1]]}, UsageError, "got lists for 2 fragments, wanted one list for each of 1"),
        ({"remove_hydrogens": True}, UsageError, "wants sites"),
        ({"max_atoms": 3}, UsageError, "max_atoms: got 3, wanted at least the 12 atoms"),
        ({"fragments": Molecule(["Fe"], np.zeros((1, 3)))}, InputError, "Fe are not among"),
        (
            {"fragments": [Molecule(["C"], np.zeros((1, 3))), Molecule(["Fe"], np.zeros((1, 3)))]},
            InputError,
            "fragment 1 .*Fe are not among",
        ),
    ],
)
def test_wrong_input_is_one_sentence(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        complete(ToyModel(), **{"fragments": PROPANOL, **arguments})
