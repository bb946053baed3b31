from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_model import DyingModel, ToyModel

from atomweave.errors import AtomweaveError, InputError, UsageError
from atomweave.growth.grower import Grown, grow
from atomweave.growth.trajectories import UNKNOWN, Decision, Proposals
from atomweave.models.base import Temperatures
from atomweave.models.weights import Card
from atomweave.molecule import Molecule
from atomweave.randomness import fold_in, uniforms

COINCIDENT_DISTANCE = 1e-3  # Å


def fingerprint(grown: Grown) -> bytes:
    """Everything that was grown, as bytes."""
    parts = []
    for attempt in grown.attempts:
        parts += [attempt.molecule.numbers.tobytes(), attempt.molecule.positions.tobytes()]
        parts += [repr((attempt.index, attempt.finished, attempt.reason, attempt.log_prob)).encode()]
        parts += [repr(sorted(attempt.molecule.properties.items())).encode()]
    return b"".join(parts)


class Scripted(ToyModel):
    """Says what the test tells it to: `decide(n_atoms)` gives kind, focus, species and position of every fragment."""

    def __init__(self, decide) -> None:
        super().__init__()
        self.decide = decide

    def propose(self, fragments, uniforms, temperatures):
        self.batches.append(fragments)
        rows = [self.decide(int(n)) for n in fragments.n_atoms]
        kind, focus, species, positions = (list(column) for column in zip(*rows, strict=True))
        log_prob = torch.full((len(rows),), -0.5)
        return Proposals(
            torch.tensor(kind), torch.tensor(focus), torch.tensor(species), torch.tensor(positions), log_prob
        )


def chain(n_atoms: int, stop_at: int = 100) -> tuple:
    """Place hydrogens in a row, 1 Å apart, and stop at `stop_at` atoms."""
    kind = Decision.STOP if n_atoms >= stop_at else Decision.PLACE
    return int(kind), n_atoms - 1, 0, (float(n_atoms), 0.0, 0.0)


def test_same_seed_same_bytes_another_seed_other_molecules():
    assert fingerprint(grow(ToyModel(), 40, seed=3)) == fingerprint(grow(ToyModel(), 40, seed=3))
    assert fingerprint(grow(ToyModel(), 40, seed=3)) != fingerprint(grow(ToyModel(), 40, seed=4))


@pytest.mark.parametrize("workers", [2, 3])
def test_processes_change_no_byte(workers):
    alone = grow(ToyModel(), 50, seed=1, block=16, slots=4)
    assert fingerprint(grow(ToyModel(), 50, seed=1, block=16, slots=4, workers=workers)) == fingerprint(alone)


@pytest.mark.parametrize("workers", [1, 2])
def test_molecules_are_protected_wherever_they_grew(workers):
    for molecule in grow(ToyModel(), 4, block=2, workers=workers).molecules:
        with pytest.raises(ValueError, match="read-only"):
            molecule.positions[0] = 0


@pytest.mark.parametrize(("block", "slots"), [(16, 1), (16, 3), (16, 16), (7, 5), (512, 512)])
def test_blocks_and_slots_change_no_draw(block, slots):
    alone = grow(ToyModel(end=0.2), 50, seed=1)
    assert fingerprint(grow(ToyModel(end=0.2), 50, seed=1, block=block, slots=slots)) == fingerprint(alone)


def test_fewer_molecules_are_the_first_of_more():
    few, many = grow(ToyModel(), 10, seed=5), grow(ToyModel(), 30, seed=5)
    assert fingerprint(few) == fingerprint(Grown(many.attempts[:10]))


def test_each_molecule_draws_from_its_own_stream():
    model = ToyModel(stop=0.0)
    grow(model, 3, seed=7, max_atoms=4, slots=2)
    key = fold_in(7, "grow")
    wanted = {tuple(uniforms(key, [i], [step], model.n_draws)[0]) for i in range(3) for step in range(1, 5)}
    assert {tuple(row) for draws in model.draws for row in draws.tolist()} == wanted
    assert sum(len(draws) for draws in model.draws) == len(wanted)


def test_batches_stay_full_until_the_block_runs_out_and_hold_fragments_of_like_size():
    model = ToyModel(stop=0.15)
    grow(model, 200, seed=0, block=100, slots=8)
    sizes = [len(batch.n_atoms) for batch in model.batches]
    second_block = next(i for i in range(1, len(sizes)) if sizes[i] > sizes[i - 1])
    for block in (sizes[:second_block], sizes[second_block:]):
        full = [size == 8 for size in block]
        assert full == sorted(full, reverse=True), "a slot stood empty while molecules waited"
        assert sum(full) > 50
    spread = [int(batch.n_atoms.max() - batch.n_atoms.min()) for batch in model.batches]
    assert np.mean([s <= 1 for s in spread]) > 0.9
    assert all(batch.species.shape[1] == int(batch.n_atoms.max()) for batch in model.batches)


def test_nothing_is_known_of_what_stands_beyond_a_fragment():
    model = ToyModel(end=0.2)
    grow(model, 60, seed=0, slots=16)
    for batch in model.batches:
        padding = torch.arange(batch.species.shape[1]) >= batch.n_atoms[:, None]
        assert not batch.species[padding].any()
        assert not batch.positions[padding].any()
        assert (batch.awaits[padding] == UNKNOWN).all()
        assert not batch.degree[padding].any()


def test_unfinished_molecules_are_counted_and_kept_with_their_reason():
    grown = grow(ToyModel(stop=0.1), 100, seed=0, max_atoms=6)
    unfinished = [attempt for attempt in grown.attempts if not attempt.finished]
    assert len(grown.attempts) == len(grown.molecules) == 100
    assert 10 < len(unfinished) < 90
    for attempt in unfinished:
        assert attempt.reason == "no STOP after 6 atoms"
        assert len(attempt.molecule) == 6
        assert attempt.molecule.properties["finished"] is False
        assert attempt.molecule.properties["reason"] == attempt.reason
    assert grown.reasons == {"no STOP after 6 atoms": len(unfinished)}


@pytest.mark.parametrize(("largest", "limit"), [(0, 35), (29, 35), (181, 218)])
def test_growing_ends_a_fifth_beyond_the_largest_molecule_that_taught(largest, limit):
    model = Scripted(lambda n: chain(n, stop_at=1000))
    model.card = Card(largest=largest)
    (attempt,) = grow(model, 1).attempts
    assert (attempt.finished, len(attempt.molecule)) == (False, limit)


def test_a_molecule_of_max_atoms_may_still_stop():
    grown = grow(Scripted(lambda n: chain(n, stop_at=5)), 1, max_atoms=5)
    assert grown.attempts[0].finished
    assert len(grown.attempts[0].molecule) == 5


@pytest.mark.parametrize(
    ("position", "reason"),
    [
        ((float("nan"), 0.0, 0.0), "a position was not finite"),
        ((0.0, float("inf"), 0.0), "a position was not finite"),
        ((1.0, 0.0, COINCIDENT_DISTANCE / 2), "an atom was placed on another"),
    ],
)
def test_an_impossible_placement_ends_the_attempt(position, reason):
    grown = grow(Scripted(lambda n: (*chain(n)[:3], position) if n == 3 else chain(n)), 2, start="H")
    for attempt in grown.attempts:
        assert (attempt.finished, attempt.reason, len(attempt.molecule)) == (False, reason, 3)
        assert attempt.log_prob == pytest.approx(-1.0), "the refused placement is no part of the trajectory"


def test_ended_atoms_are_told_to_the_model():
    def decide(n_atoms):
        ending = n_atoms == 3 and len(model.batches) == 3
        return (int(Decision.END), 1, 0, (0.0, 0.0, 0.0)) if ending else chain(n_atoms, stop_at=5)

    model = Scripted(decide)
    grown = grow(model, 1)
    assert [(batch.awaits == 0).sum().item() for batch in model.batches] == [0, 0, 0, 1, 1, 1]
    assert model.batches[-1].awaits[0].tolist() == [UNKNOWN, 0, UNKNOWN, UNKNOWN, UNKNOWN]
    assert grown.attempts[0].finished


def test_a_model_that_ends_one_atom_for_ever_is_stopped():
    grown = grow(Scripted(lambda n: (int(Decision.END), 0, 0, (0.0, 0.0, 0.0))), 1)
    assert grown.attempts[0].reason == "an atom was ended twice"


def test_the_start_follows_the_models_own_distribution():
    grown = grow(ToyModel(stop=1.0), 4000, seed=0)
    share = np.bincount([molecule.numbers[0] for molecule in grown.molecules], minlength=9)[[1, 6, 8]] / 4000
    assert share == pytest.approx([0.5, 0.25, 0.25], abs=0.03)  # four standard errors


def test_log_prob_sums_the_trajectory_with_a_drawn_start_only():
    model = ToyModel()
    attempt = grow(model, 1, seed=2).attempts[0]
    decisions = -sum(float(draws[0, 6].float()) for draws in model.draws)
    start = {1: np.log(0.5)}.get(int(attempt.molecule.numbers[0]), np.log(0.25))
    assert attempt.log_prob == pytest.approx(decisions + start, abs=1e-6)
    given = grow(Scripted(lambda n: chain(n, stop_at=3)), 1, start="O").attempts[0]
    assert given.log_prob == pytest.approx(-1.5)
    assert given.molecule.numbers[0] == 8


def test_a_density_that_is_not_defined_is_none():
    class Silent(ToyModel):
        def propose(self, *arguments):
            proposals = super().propose(*arguments)
            proposals.log_prob.fill_(float("nan"))
            return proposals

    attempt = grow(Silent(), 1).attempts[0]
    assert attempt.log_prob is None
    assert "log_prob" not in attempt.molecule.properties


def test_a_start_fragment_comes_back_bit_for_bit_wherever_it_lies():
    rng = np.random.default_rng(0)
    positions = np.array([[0, 0, 0], [1.2, 0, 0], [0, 1.2, 0]]) + rng.normal(size=(3, 3)) * 0.1 + [1e4, -3e3, 1 / 3]
    fragment = Molecule(np.array([6, 8, 1]), positions)
    model = ToyModel()
    grown = grow(model, 20, seed=0, start=fragment)
    for molecule in grown.molecules:
        assert molecule.numbers[:3].tolist() == [6, 8, 1]
        assert molecule.positions[:3].tobytes() == fragment.positions.tobytes()
        distances = np.linalg.norm(molecule.positions[:, None] - molecule.positions[None], axis=-1)
        nearest_placed = [distances[i, :i].min() for i in range(3, len(molecule))]
        assert all(d < 1.4 + 1e-5 for d in nearest_placed), "new atoms lie in the fragment's own coordinates"
    assert float(model.batches[0].positions.abs().max()) < 3, "float32 needs small numbers"


def test_temperatures_reach_the_model():
    grown = grow(ToyModel(stop=0.3), 5, seed=0, temperatures=Temperatures(position=2.0))
    distances = [np.linalg.norm(m.positions[1] - m.positions[0]) for m in grown.molecules if len(m) > 1]
    assert distances == pytest.approx([2.8] * len(distances), abs=1e-5)


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_reaches_the_total(workers):
    seen = []
    grow(ToyModel(), 40, block=10, workers=workers, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (40, 40)
    assert seen == sorted(seen)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_in_the_callback_ends_growing_at_once(workers):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grow(ToyModel(), 10**5, workers=workers, progress=interrupt)


def test_a_process_that_dies_is_an_error_and_not_a_wait_for_ever():
    with pytest.raises(AtomweaveError, match="a growing process ended unexpectedly"):
        grow(DyingModel(), 4, block=2, workers=2)


def test_the_model_and_the_threads_are_left_as_they_were():
    model, threads = ToyModel().train(), torch.get_num_threads()
    grow(model, 2, threads=threads + 1)
    assert model.training
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"n_molecules": 0}, UsageError, "n_molecules: got 0"),
        ({"slots": 0}, UsageError, "slots: got 0"),
        ({"workers": -1}, UsageError, "workers: got -1"),
        ({"start": "Q"}, UsageError, "wanted an element symbol"),
        ({"start": "Fe"}, InputError, "not among this model's elements: H C O"),
        ({"start": Molecule(np.array([26]), np.zeros((1, 3)))}, InputError, "Fe are not among"),
        ({"start": Molecule(np.array([1, 1]), np.eye(3)[:2]), "max_atoms": 1}, UsageError, "2 atoms of the start"),
    ],
)
def test_wrong_options_are_one_sentence(options, error, sentence):
    with pytest.raises(error, match=sentence):
        grow(ToyModel(), **{"n_molecules": 1, **options})
