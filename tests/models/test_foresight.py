"""What a choice of an atom would leave behind, on fragments counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from atomweave.errors import UsageError
from atomweave.models.embedders.unsaturation import Unsaturation
from atomweave.models.heads.foresight import GAIN, N_AWAITED, N_FREE, N_HEAVY, N_SHORT, N_STUCK, Foresight
from atomweave.species import Species
from atomweave.training.config import load_config

SPECIES = Species(("H", "C", "N", "O", "F"))
H, C, N, O, F = range(5)
MOST = 4
CHOICES = {
    "H": (H, 1),
    "F": (F, 1),
    "=O": (O, 1),
    "-O-": (O, 2),
    "=N": (N, 1),
    "=N-": (N, 2),
    "C3": (C, 3),
    "C4": (C, 4),
}


def behind(numbers, positions, awaits, focus) -> dict[str, tuple[int, int, int, int]]:
    """Return, for each choice, what is left over, what of it for good, what is awaited, and how many heavy atoms."""
    species, prefix = torch.tensor([numbers]), torch.tensor([[len(numbers)]])
    awaits, foci = torch.tensor([[awaits]], dtype=torch.int8), torch.tensor([[focus]])
    where = torch.tensor(np.array([positions]), dtype=torch.float32)
    found = Unsaturation(SPECIES, MOST, 1).unpaired(species, where, prefix, awaits, foci)
    foresight = Foresight(SPECIES, MOST)
    n_rest, n_size = len(foresight.of_rest.weight), len(foresight.of_size.weight)
    cases = {}
    for name, n_rows in (("of_rest", n_rest), ("of_size", n_size)):
        with torch.no_grad():
            for table in (foresight.of_rest, foresight.of_size):
                table.weight.zero_()
            getattr(foresight, name).weight[:, 0] = torch.arange(n_rows) / GAIN
        cases[name] = foresight(found, species, prefix, awaits)[0, 0].long()
    counts = {}
    for choice, (element, degree) in CHOICES.items():
        index = element * MOST + degree - 1
        rest = np.unravel_index(int(cases["of_rest"][index]), (len(SPECIES) * MOST, N_FREE, N_STUCK, N_AWAITED))
        size = np.unravel_index(int(cases["of_size"][index]), (len(SPECIES) * MOST, N_FREE, N_SHORT, N_HEAVY))
        assert rest[0] == size[0] == index
        assert rest[1] == size[1]
        assert (size[2] > 0) == (rest[1] > 0)
        assert size[2] <= rest[1]
        counts[choice] = (int(rest[1]), int(rest[2]), int(rest[3]), int(size[3]))
    return counts


def test_the_last_neighbour_of_a_double_bond():
    # CH2 that said three neighbours: the third shares a double bond with it or leaves it a radical, for good.
    positions = [[0, 0, 0], [0.94, 0.59, 0], [-0.94, 0.59, 0]]
    assert behind([C, H, H], positions, [1, 0, 0], 0) == {
        "H": (1, 1, 0, 1),
        "F": (1, 1, 0, 2),
        "=O": (0, 0, 0, 2),
        "-O-": (1, 1, 1, 2),
        "=N": (1, 1, 0, 2),
        "=N-": (0, 0, 1, 2),
        "C3": (0, 0, 2, 2),
        "C4": (1, 1, 3, 2),
    }


def test_an_atom_that_awaits_another_neighbour_is_not_left_for_good():
    # The same atom with one hydrogen: after this neighbour it awaits a further one.
    positions = [[0, 0, 0], [0.94, 0.59, 0]]
    found = behind([C, H], positions, [2, 0], 0)
    assert found["H"] == (1, 0, 1, 1)
    assert found["=O"] == (0, 0, 1, 2)
    assert found["=N"] == (1, 1, 1, 2)  # of the two bonds that the nitrogen lacks, the carbon shares one
    assert found["C3"] == (0, 0, 3, 2)


def test_who_awaits_elsewhere_does_not_help_an_atom_without_neighbours_to_come():
    # H2C-CH(awaits 1): the first said three neighbours and has the next to come, the second said four.
    positions = [[0, 0, 0], [1.5, 0, 0], [-0.5, 0.94, 0], [2.0, 0.94, 0.3], [2.0, -0.5, 0.8]]
    found = behind([C, C, H, H, H], positions, [1, 1, 0, 0, 0], 0)
    assert found["H"] == (1, 1, 1, 2)
    assert found["C3"] == (0, 0, 3, 3)


def test_all_tables_begin_at_zero_and_need_the_matchings():
    assert not any(weight.any() for weight in Foresight(SPECIES, MOST).parameters())
    with pytest.raises(UsageError, match="foresight needs matching: true"):
        load_config("weaver-small", ["model.matching=false", "model.foresight=true"])


def test_a_ring_that_closes_is_judged_by_what_it_leaves():
    # A chain of three carbons that say two, two and three neighbours. The first awaits one, the last two; a fourth atom
    # beside the last may close a ring of four with the first.
    species = torch.tensor([[C, C, C]])
    positions = torch.tensor([[[-1.2, 0.8, 0.0], [0.0, 0.0, 0.0], [1.2, 0.8, 0.0]]])
    prefix, focus = torch.tensor([[3]]), torch.tensor([[2]])
    awaits = torch.tensor([[[1, 0, 2]]], dtype=torch.int8)
    found = Unsaturation(SPECIES, MOST, 1).unpaired(species, positions, prefix, awaits, focus)
    assert found.lacks[0, 0].tolist() == [2, 2, 1]  # of atoms that say 2, 2 and 3 neighbours
    foresight = Foresight(SPECIES, MOST)
    with torch.no_grad():
        foresight.of_closure.weight[:, 0] = torch.arange(len(foresight.of_closure.weight)) / GAIN
    may, row = torch.tensor([[True, False, False]]), torch.zeros(1, dtype=torch.int64)

    def of(element: int, degree: int) -> dict[str, tuple[int, ...]]:
        choice = torch.tensor([element * MOST + degree - 1])
        logits = foresight.of_closures(found, (row, row), focus[0], prefix[0], awaits[0], choice, may)[0]
        assert logits[1:3].tolist() == [0, 0]
        shape = (2, N_FREE, N_STUCK, N_AWAITED)
        read = [tuple(map(int, np.unravel_index(int(logits[place]), shape))) for place in (0, 3)]
        assert [is_none for is_none, *_ in read] == [0, 1]
        return {"closes": read[0][1:], "open": read[1][1:]}

    # Of seven bonds that are lacking one is left over, whoever it is: the last atom's next neighbour does not help.
    assert of(C, 2) == {"closes": (1, 1, 1), "open": (1, 0, 3)}
    assert of(C, 3) == {"closes": (0, 0, 2), "open": (0, 0, 4)}
    assert of(C, 4) == {"closes": (1, 0, 3), "open": (1, 0, 5)}
