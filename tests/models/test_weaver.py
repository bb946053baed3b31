"""Weaver against one fragment at a time; prefixes that lack an axis or a third atom; teaching and growing."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from atomweave.data.store import MoleculeStore
from atomweave.geometry.frames import local_frames, to_internal, turn_towards
from atomweave.growth.grower import grow
from atomweave.growth.loader import Batches
from atomweave.growth.policies import build_policy
from atomweave.growth.trajectories import UNKNOWN, Decision, Fragments, Trajectories
from atomweave.models.base import Temperatures
from atomweave.models.heads.torsion import CLEARANCE
from atomweave.models.registry import build_model
from atomweave.models.weaver import Weaver, WeaverConfig
from atomweave.models.weaver_density import _told
from atomweave.models.weights import n_parameters
from atomweave.molecule import Molecule
from atomweave.training.config import RunConfig, load_config
from atomweave.training.loop import train
from reference.molecules import qm9_molecules
from reference.weaver import CYCLOPROPANE, SMALL, awake, special_molecules

MOLECULES = (
    special_molecules()
    | {name: qm9_molecules()[name] for name in ("CH4O", "CHN", "C2H6")}
    | {"cyclopropane": CYCLOPROPANE}
)


def small(**changes) -> Weaver:
    torch.manual_seed(0)
    return awake(Weaver(WeaverConfig.model_validate(SMALL | changes)))


def grown(model: Weaver, molecule: Molecule, seed: int, dtype: torch.dtype = torch.float64) -> Trajectories:
    t, _ = build_policy(model.policy, model.species).grow_molecules([molecule], seed)
    assert len(t.n_atoms) == 1
    return replace(t, positions=t.positions.to(dtype))


def alone(model: Weaver, t: Trajectories, decision: int) -> float:
    """Return the log-density of one decision, from a fragment that holds its prefix and nothing else."""
    k, focus = int(t.prefix[0, decision]), int(t.focus[0, decision])
    fragment = Fragments(
        t.species[:, :k], t.positions[:, :k], torch.tensor([k]), t.awaits[:, decision, :k], "breadth_first",
        t.degree[:, :k],
    )  # fmt: skip
    read = model._recall(fragment, torch.tensor([focus]))
    placed, counted = (log_p[0, 0] for log_p in model._choice_log_probs(read))
    if int(t.kind[0, decision]) in {Decision.END, Decision.COUNT}:
        return float(counted[t.count[0, decision]])
    target = int(t.target[0, decision])
    at = torch.tensor([0]), torch.tensor([0])
    axes, known = model._frame_of_focus(read.frames, fragment.positions, at, torch.tensor([k]))
    internal = to_internal((t.positions[0, target] - t.positions[0, focus])[None], axes)
    species, degree = t.species[0, target][None], t.degree[0, target][None]
    label, second = model._labels(species, degree), t.closure[0, target][None]
    around = model._surroundings(
        read, at, at[1], torch.tensor([focus]), torch.tensor([k]), second, fragment.species, label
    )
    head, closes = model.position_head, int(second) >= 0
    if closes:  # the frame in which it is measured points to the second neighbour
        neighbour = fragment.positions[0, second] - fragment.positions[0, focus]
        axes = turn_towards(axes @ neighbour[0]) @ axes
        internal = to_internal((t.positions[0, target] - t.positions[0, focus])[None], axes)
    log_p = model._closure_log_probs(read, at, at[1], torch.tensor([focus]), torch.tensor([k]), label)
    distance = (fragment.positions[0, second] - fragment.positions[0, focus]).norm(dim=-1)
    closure = model._closure(read, at, at[1], second, distance) if closes else None
    position = head.log_prob(read.decisions[0], label, internal, known, around, closure)
    return float(placed[model._choice(species, degree)] + log_p[0, second if closes else -1] + position)


@pytest.mark.parametrize("fragment_share", [0.0, 1.0])
@pytest.mark.parametrize("name", MOLECULES)
def test_log_prob_is_that_of_its_fragments_alone(name, fragment_share):
    model = small(policy={"kind": "breadth_first", "fragment_share": fragment_share}).double()
    with torch.no_grad():
        for seed in range(4):
            t = grown(model, MOLECULES[name], seed)
            real = (t.kind[0] != Decision.PADDING).nonzero()[:, 0].tolist()
            start = float(model.start_log_probs[t.species[0, 0]])
            assert float(model.log_prob(t)) == pytest.approx(start + sum(alone(model, t, d) for d in real), rel=1e-9)


@pytest.mark.parametrize("name", MOLECULES)
def test_loss_reads_only_the_prefix(name):
    """Cut behind the atom to be placed, the molecule gives the same terms for the decisions that are left."""
    model = small().double()
    t = grown(model, MOLECULES[name], 3)
    for k in range(1, int(t.n_atoms)):
        here = t.prefix[0] == k
        whole = replace(
            t,
            **{name: getattr(t, name)[:, here] for name in ("kind", "prefix", "focus", "target", "awaits", "count")},
            **_alternatives(t, here),
        )
        cut = replace(
            whole,
            species=t.species[:, : k + 1],
            positions=t.positions[:, : k + 1],
            n_atoms=torch.tensor([k + 1]),
            degree=t.degree[:, : k + 1],
            awaits=whole.awaits[:, :, : k + 1],
            closure=t.closure[:, : k + 1],
            # Which of several equal atoms could have come next is the policy's to say, not the fragment's.
            alternative_target=whole.alternative_target.clamp(max=k),
        )
        with torch.no_grad():
            expected, got = model.loss(whole, None), model.loss(cut, None)
        for term in ("distance", "angle", "torsion"):
            assert float(got[term]) == pytest.approx(float(expected[term]), rel=1e-9)


def test_a_linear_chain_gets_its_frames_with_the_first_atom_off_the_axis():
    model = small()
    t = grown(model, MOLECULES["pentadiyne"], 0)
    references = local_frames(t.positions, t.n_atoms).references
    on_axis = t.positions[0, :, :2].norm(dim=1) < 1e-3
    first_off = int((~on_axis).nonzero()[0])
    assert (references.azimuth_from[0, :first_off][on_axis[:first_off]] == first_off + 1).all()


def test_who_is_not_to_be_bonded_is_kept_a_bond_away():
    model, n_closures = small(), 0
    t = grown(model, CYCLOPROPANE, 0, torch.float32)
    degree, awaits, _, second = _told(t)
    read = model._read(t, t.positions, degree, awaits)
    decision = (t.kind == Decision.PLACE).nonzero(as_tuple=True)
    focus, prefix, target = t.focus[decision], t.prefix[decision], t.target[decision]
    label, second = model._labels(t.species, degree)[0, target], second[0, target]
    around = model._surroundings(read, decision, focus, focus, prefix, second, t.species, label)
    for row, clearance in enumerate(around.clearance):
        bond = model.reach[t.species[0, target[row]]] + model.reach[t.species[0]]
        bonded = {int(focus[row]), int(second[row])}
        n_closures += int(second[row]) >= 0
        for atom in range(int(prefix[row])):
            waits = int(awaits[0, decision[1][row], atom]) != 0 and int(second[row]) >= 0
            expected = CLEARANCE if atom in bonded or waits else float(bond[atom])
            assert float(clearance[atom]) == pytest.approx(expected)
    assert n_closures == 1


def test_every_molecule_is_refused_an_atom_beyond_the_longest_bond():
    model = small().double()
    t = grown(model, MOLECULES["water"], 0)
    far = replace(t, positions=t.positions * 3)
    assert torch.isneginf(model.log_prob(far)).all()


def test_same_seed_grows_the_same_bytes():
    model = small()

    def fingerprint(seed: int) -> list[bytes]:
        return [a.molecule.positions.tobytes() + repr(a.log_prob).encode() for a in grow(model, 30, seed).attempts]

    assert fingerprint(1) == fingerprint(1)
    assert fingerprint(1) != fingerprint(2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_remembered_changes_no_decision(dtype):
    model = small().to(dtype)
    t = grown(model, MOLECULES["pentadiyne"], 0, dtype)
    rng = torch.Generator().manual_seed(1)
    memory = model.remember(3, 12)
    with torch.no_grad():
        # Sizes jump, one fragment stands still, and a row that is not asked about keeps what it has.
        for sizes, rows in (((1, 3, 2), (0, 1, 2)), ((2, 3), (0, 1)), ((5, 4), (1, 2)), ((9, 8, 7), (0, 1, 2))):
            n = max(sizes)
            awaits = torch.full((len(rows), n), UNKNOWN, dtype=torch.int8)
            awaits[-1, 0] = 0 if n > 4 else 2
            same = [x[:, :n].expand(len(rows), *x[:, :n].shape[1:]) for x in (t.species, t.positions, t.degree)]
            fragments = Fragments(same[0], same[1], torch.tensor(sizes), awaits, "breadth_first", same[2])
            uniforms = torch.rand(len(rows), model.n_draws, generator=rng, dtype=torch.float64)
            fresh = model.propose(fragments, uniforms, Temperatures())
            known = replace(fragments, memory=memory.of(torch.tensor(rows)))
            recalled = model.propose(known, uniforms, Temperatures())
            assert torch.equal(recalled.kind, fresh.kind)
            assert torch.equal(recalled.species, fresh.species)
            tolerance = 1e-4 if dtype == torch.float32 else 1e-10
            assert (recalled.positions - fresh.positions).abs().max() < tolerance
            assert (recalled.log_prob - fresh.log_prob).abs().max() < tolerance * 10


def test_a_grown_molecule_ends_when_no_atom_awaits_another():
    model = small()
    with torch.no_grad():
        model.choice[2].bias[model.n_choices + 2] += 50.0  # the first atom has two neighbours
        model.choice[2].bias[model._choice(torch.tensor(0), torch.tensor(1))] += 50.0  # hydrogens, which have one
    attempts = grow(model, 20, seed=0, start="O").attempts
    assert all(attempt.finished and attempt.molecule.numbers.tolist() == [8, 1, 1] for attempt in attempts)


def test_cold_growth_repeats_itself():
    # Within a bin of 40 mÅ places still differ, and with them who is near enough to be bonded: nothing may read that.
    model = small(matching=False, foresight=False)
    with torch.no_grad():
        model.choice[2].bias[model.n_choices] -= 50.0  # no neighbour at all is all but impossible
    cold = Temperatures(focus=1e-3, position=1e-3)
    first, second = (grow(model, 1, seed, temperatures=cold, start="C", max_atoms=6).molecules[0] for seed in (1, 2))
    assert np.array_equal(first.numbers, second.numbers)
    # A chain of two has nothing left to draw but its place in space.
    lengths = [np.linalg.norm(m.positions[1] - m.positions[0]) for m in (first, second)]
    assert lengths[0] == pytest.approx(lengths[1], abs=0.05)


def test_teaching_lowers_the_loss():
    store = MoleculeStore.from_molecules([m for m in qm9_molecules().values() if len(m) < 15] * 4)
    model = small()
    batches = Batches(store, np.arange(len(store)), model.species, model.policy, 16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for step in range(40):
        rng = torch.Generator().manual_seed(step)
        loss = model.loss(batches.batch(step), rng)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 1.0


@pytest.mark.parametrize(
    ("threads", "abreast", "optimizer"), [(1, 1, "adam"), (2, 1, "adam"), (2, 2, "muon")], ids=["one", "two", "abreast"]
)
def test_a_resumed_run_ends_with_the_same_bytes(threads, abreast, optimizer, tmp_path, monkeypatch):
    molecules = [m for m in qm9_molecules().values() if len(m) < 15] * 4
    order = np.arange(len(molecules))
    store = MoleculeStore.from_molecules(molecules)
    store = replace(store, splits={"edm/train": order, "edm/valid": order[:8]})
    training = {
        "n_steps": 6, "molecules_per_batch": 16, "samples_every": None, "checkpoint_every": 2, "clip_norm": 1.0,
        "autocast": "bfloat16", "device": "cpu", "threads": threads, "abreast": abreast,
        "optimizer": {"kind": optimizer},
    }  # fmt: skip
    config = RunConfig.model_validate({"model": SMALL, "training": training})
    before = torch.get_num_threads()
    try:
        assert train(config, store, tmp_path / "a" / "run").finished
        whole_loss, calls = Weaver.loss, []

        def interrupted_loss(self, trajectories, rng):
            calls.append(rng)
            if len([rng for rng in calls if rng is not None]) == 2 * abreast + 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return whole_loss(self, trajectories, rng)

        with monkeypatch.context() as patch:
            patch.setattr(Weaver, "loss", interrupted_loss)
            assert train(config, store, tmp_path / "b" / "run").step == 3
        assert train(config, store, tmp_path / "b" / "run").finished
    finally:
        torch.set_num_threads(before)
    whole, parts = ((tmp_path / x / "run" / "last.safetensors").read_bytes() for x in "ab")
    assert whole == parts


def test_the_preset_has_the_size_it_says():
    model = build_model(load_config("weaver-small").model)
    assert 2.2e6 < n_parameters(model) < 2.6e6


def _alternatives(t: Trajectories, here: torch.Tensor) -> dict[str, torch.Tensor]:
    column = here.cumsum(0) - 1
    stays = here[t.alternative_decision]
    names = ("alternative_molecule", "alternative_focus", "alternative_target")
    kept = {name: getattr(t, name)[stays] for name in names}
    return kept | {"alternative_decision": column[t.alternative_decision[stays]]}
