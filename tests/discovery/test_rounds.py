from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atomweave.chemistry.bonds import perceive
from atomweave.discovery import rounds, teaching
from atomweave.discovery.drawn import Drawn
from atomweave.discovery.measured import Measured
from atomweave.discovery.minima import ANOTHER, NO_MINIMUM
from atomweave.discovery.novelty import Seen
from atomweave.discovery.plan import Plan
from atomweave.discovery.provenance import DROPPED, FAILED, INVALID, PASSED_OVER, PICKED, RANDOM, SCORED, Entry
from atomweave.discovery.rounds import calibrated, picked, pursued
from atomweave.discovery.select import TRAIN, VALID, select
from atomweave.discovery.sense import Sense
from atomweave.discovery.teaching import FOUND, UNCONFIRMED, elite, sensible
from atomweave.discovery.work import Work
from atomweave.evaluation.metrics.novelty import smiles_hashes
from atomweave.evaluation.validity import assess
from atomweave.properties.scoring import Score
from reference import worked_molecules as worked

PLAN = Plan(
    target="gap", direction="minimize", threshold=4.5, model="m", model_sha256="", data_sha256="", budget=5, elite=5
)
GOOD = ("C", "CC", "CCC", "CCCC", "CO", "CCO", "CCCO", "CN", "CCN", "C=O")


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """Ten closed shells, a copy of the first, one in two pieces, one invalid, one unfinished."""
    molecules = [worked.embedded(smiles) for smiles in (*GOOD, "C")]
    molecules += [worked.methane_and_water(), worked.argon(), worked.water()]
    finished = [True] * 13 + [False]
    return Drawn("round 1", tuple(assess(molecules, finished, workers=1)), 7, "w", Path("molecules.sdf"))


@pytest.fixture
def screen_by_size(monkeypatch):
    """The screen finds 10 eV less an eighth of an electronvolt an atom, and the checks find fault with propanol."""

    def score(molecules, properties, method, **options):
        return [Score({properties[0]: 10 - len(molecule) / 8}) for molecule in molecules]

    propanol = perceive(worked.embedded("CCCO")).smiles

    def check(perceptions, hardest, work):
        return [Sense("bent" if one.smiles == propanol else "", 2.0) for one in perceptions]

    monkeypatch.setattr("atomweave.properties.scoring.score", score)
    for module in (rounds, teaching):
        monkeypatch.setattr(module, "check", check)


def pick(drawn: Drawn, tmp_path, known=frozenset(), seen=None, plan=PLAN) -> list[Entry]:
    begun = pursued(drawn, 1, known, plan, seen or Seen())
    return picked(drawn, begun, None, tmp_path, plan, Work(workers=1))


def test_every_attempt_has_a_row_with_its_fate_and_reason(drawn, tmp_path, screen_by_size):
    found = pick(drawn, tmp_path)
    assert [entry.index for entry in found] == list(range(14))
    assert [found[index].fate for index in (12, 13)] == [INVALID, INVALID]
    assert all(entry.reason or entry.drawn for entry in found)
    assert all((entry.weights, entry.seed, entry.round) == ("w", 7, 1) for entry in found)


def test_the_budget_is_kept_and_a_fifth_of_it_goes_by_lot(drawn, tmp_path, screen_by_size):
    found = pick(drawn, tmp_path)
    assert sum(entry.drawn == RANDOM for entry in found) == 1
    assert sum(entry.drawn == PICKED for entry in found) == 4


def test_the_picked_are_the_best_by_the_screen_among_the_sensible(drawn, tmp_path, screen_by_size):
    found = pick(drawn, tmp_path)
    lot = set(drawn.lot(1).tolist())
    sensible = [index for index in range(10) if index not in lot and GOOD[index] != "CCCO"]
    largest = sorted(sensible, key=lambda index: -len(drawn.verdicts[index].molecule))[:4]
    assert {entry.index for entry in found if entry.drawn == PICKED} == set(largest)
    passed_over = [entry for entry in found if entry.fate == PASSED_OVER and not entry.drawn]
    assert passed_over
    assert {entry.reason for entry in passed_over} == {"others promise more"}
    assert all(entry.screened is not None for entry in passed_over)


def test_what_is_dropped_says_why(drawn, tmp_path, screen_by_size):
    smiles = [verdict.smiles for verdict in drawn.verdicts]
    training = Seen(np.sort(smiles_hashes([smiles[1]])))
    found = pick(drawn, tmp_path, known={smiles[2]}, seen=training)
    lot = set(drawn.lot(1).tolist())
    wanted = {1: "in the training data", 2: "drawn before", 10: "drawn before", 11: "in pieces", 6: "bent"}
    for index, reason in wanted.items():
        if index not in lot:
            assert (found[index].fate, found[index].reason) == (DROPPED, reason)
    assert found[1].novel is False
    assert found[3].novel is True


def test_a_lot_that_falls_on_no_closed_shell_is_a_failure(drawn, tmp_path, screen_by_size):
    everything = PLAN.model_copy(update={"budget": 5 * len(drawn.valid)})
    found = pick(drawn, tmp_path, plan=everything)
    assert (found[11].drawn, found[11].fate, found[11].reason) == (RANDOM, FAILED, "in pieces")


def test_the_draw_of_a_few_is_the_beginning_of_the_draw_of_many(drawn):
    assert drawn.lot(3).tolist() == drawn.lot(8)[:3].tolist()
    assert sorted(drawn.lot(None).tolist()) == drawn.valid.tolist()


def measured(drawn: Drawn, values: dict[int, float], **further) -> Measured:
    entries = [
        Entry("round 1", 1, index, 7, "w", "", verdict.smiles, INVALID if not verdict.valid else PASSED_OVER)
        for index, verdict in enumerate(drawn.verdicts)
    ]
    for index, value in values.items():
        entries[index] = replace(entries[index], fate=SCORED, drawn=PICKED, value=value, **further)
    return Measured(drawn, tuple(entries), PLAN)


def test_the_calibration_is_made_on_whatever_has_a_value(drawn, tmp_path, screen_by_size):
    sizes = {index: len(drawn.verdicts[index].molecule) for index in range(10)}
    truth = {index: 2 * (10 - size / 8) - 1.0 for index, size in sizes.items()}
    fit = calibrated([measured(drawn, truth)], tmp_path, PLAN, Work())
    assert fit.n == 10
    assert fit.error < 0.5
    assert calibrated([measured(drawn, {})], tmp_path, PLAN, Work()) is None


def test_the_best_of_data_and_run_are_taught_together(store, drawn, screen_by_size):
    selection = select(store, PLAN.objective, "edm/train", "edm/valid")  # 4.2, 3.4, 4.0, 3.9
    found = measured(drawn, {2: 3.0, 3: 4.1, 4: 4.9, 6: 2.0})  # 4.9 is not good, and propanol is bent
    by_lot = Measured(
        drawn, tuple(replace(entry, drawn=RANDOM if entry.drawn else "") for entry in found.entries), PLAN
    )
    pool = elite(selection, [by_lot], PLAN, Work())
    taught = pool.split(TRAIN)
    assert sorted(pool.properties["gap"][taught].tolist()) == [3.0, 3.4, 3.9, 4.0, 4.1]
    own = [pool[int(index)] for index in pool.split(FOUND)]
    assert sorted(one.properties["gap"] for one in own) == [3.0, 4.1]
    assert own[0].positions.tolist() == drawn.verdicts[2].molecule.positions.astype(np.float32).tolist()
    assert len(pool.split(VALID)) == len(selection.split(VALID))


def test_a_trusted_screen_may_teach_what_nobody_calculated(store, drawn, screen_by_size):
    selection = select(store, PLAN.objective, "edm/train", "edm/valid")
    found = measured(drawn, {2: 3.0, 4: 4.9})
    seen = {2: 2.0, 3: 3.2, 4: 2.5, 5: 4.6}  # what has a value keeps to it, and 4.6 is not good
    entries = [replace(entry, predicted=seen.get(entry.index)) for entry in found.entries]
    found = Measured(drawn, tuple(entries), PLAN)
    for plan, unconfirmed in ((PLAN, []), (PLAN.model_copy(update={"trust_screen": True}), [3.2])):
        pool = elite(selection, [found], plan, Work())
        assert pool.properties["gap"][pool.split(UNCONFIRMED)].tolist() == unconfirmed
        assert sorted(pool.properties["gap"][pool.split(FOUND)].tolist()) == [3.0, *unconfirmed]


def test_each_molecule_is_taught_once_and_none_that_the_data_hold(store, drawn, screen_by_size):
    selection = select(store, PLAN.objective, "edm/train", "edm/valid")
    once = measured(drawn, {0: 3.0, 10: 3.1})  # two draws of methane
    known = measured(drawn, {1: 3.0}, novel=False)
    pool = elite(selection, [once, known], PLAN, Work())
    assert pool.properties["gap"][pool.split(FOUND)].tolist() == [3.0]


def test_what_has_no_minimum_of_its_own_is_not_pursued(drawn, tmp_path, screen_by_size):
    lot = drawn.lot(1).tolist()[0]
    open_ = next(index for index in range(10) if index != lot)
    lost = {lot: ANOTHER, open_: NO_MINIMUM}
    begun = pursued(drawn, 1, set(), PLAN, Seen())
    found = picked(replace(drawn, lost=lost), begun, None, tmp_path, PLAN, Work(workers=1))
    assert (found[lot].drawn, found[lot].fate, found[lot].reason) == (RANDOM, FAILED, ANOTHER)
    assert (found[open_].drawn, found[open_].fate, found[open_].reason) == ("", DROPPED, NO_MINIMUM)
    assert sum(entry.drawn == PICKED for entry in found) == 4


def test_the_data_teach_what_passes_the_checks(store, monkeypatch):
    selection = select(store, PLAN.objective, "edm/train", "edm/valid")  # 4.2, 3.4, 4.0, 3.9
    asked = []

    def check(perceptions, hardest, work):
        asked.append(len(perceptions))
        return [Sense("bent" if one.smiles == glyoxal else "", 2.0) for one in perceptions]

    glyoxal = perceive(worked.embedded("O=CC=O")).smiles
    monkeypatch.setattr(teaching, "check", check)
    plan = PLAN.model_copy(update={"elite": 2})
    assert selection.properties["gap"][sensible(selection, plan, Work(workers=1))].tolist() == [3.9, 4.0]
    assert asked == [2, 2]  # the best two, of which one falls out, and the next two
