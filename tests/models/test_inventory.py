"""What decisions hear of counts: exact at any size, under autocast too, and silent before it has learnt."""

from __future__ import annotations

import pytest
import torch

from atomweave.growth.trajectories import UNKNOWN
from atomweave.models.embedders.inventory import N_COUNTS, RAMPS, Inventory
from atomweave.species import Species

SPECIES = Species(["H", "C", "N", "O", "Br"])
H, C, N, O, BR = range(5)


def read(part: str, species: list[int], prefix: list[int], awaits: list[list[int]]) -> torch.Tensor:
    """Return (n_decisions, ...) what one part of the inventory looks up, for one molecule."""
    inventory = Inventory(SPECIES, 1)
    with torch.no_grad():
        weight = getattr(inventory, part).weight
        weight.copy_(torch.arange(weight.numel(), dtype=torch.float32).view_as(weight))
        found = inventory(torch.tensor([species]), torch.tensor([prefix]), torch.tensor([awaits], dtype=torch.int8))
    return found[0, :, 0]


def test_begins_at_zero():
    inventory = Inventory(SPECIES, 7)
    found = inventory(torch.tensor([[C, H]]), torch.tensor([[1, 2]]), torch.zeros(1, 2, 2, dtype=torch.int8))
    assert found.shape == (1, 2, 7)
    assert not found.any()


def test_heavy_atoms_are_those_of_the_prefix():
    assert read("n_heavy", [C, N, H, BR], [1, 2, 3, 4], [[0] * 4] * 4).tolist() == [1, 2, 2, 3]


def test_what_is_awaited_is_summed_over_the_prefix_alone():
    awaits = [[4, 9, 9], [3, 2, 9], [2, 2, UNKNOWN]]
    assert read("n_awaited", [C, C, H], [1, 2, 3], awaits).tolist() == [4, 5, 4]


@pytest.mark.parametrize(
    ("species", "awaited", "parity"),
    [
        ([C], 4, 0),  # even as it is, even as methane
        ([N], 3, 2),  # odd as it is, even as ammonia
        ([N], 2, 3),  # odd either way: one hydrogen too few
        ([C], 3, 1),
        ([BR, C, H], 2, 0),
    ],
)
def test_parity_is_that_of_the_electrons(species, awaited, parity):
    awaits = [awaited, *[0] * (len(species) - 1)]
    assert read("electrons", species, [len(species)], [awaits]).tolist() == [parity]


def test_counts_beyond_the_table_share_its_last_row():
    n = N_COUNTS + 5
    assert read("n_heavy", [C] * n, [n], [[0] * n]).tolist() == [N_COUNTS - 1]


def test_autocast_rounds_no_count():
    """Bromine 35 times: 1,225 protons, an odd number that bfloat16 does not have."""
    inventory, species = Inventory(SPECIES, 1), torch.full((1, 35), BR)
    with torch.no_grad():
        inventory.electrons.weight.copy_(torch.arange(4.0)[:, None])
        with torch.autocast("cpu", torch.bfloat16):
            found = inventory(species, torch.tensor([[35]]), torch.zeros(1, 1, 35, dtype=torch.int8))
    assert float(found) == 3


def test_ramps_tell_elements_and_silent_atoms_apart():
    inventory = Inventory(SPECIES, 1)
    n_counts = len(SPECIES) + 3
    seen = []
    for column in range(n_counts):
        with torch.no_grad():
            inventory.ramps.weight.zero_()
            inventory.ramps.weight[0, column * len(RAMPS) + 1] = RAMPS[1]  # counts up to four as they are
            awaits = torch.tensor([[[2, UNKNOWN, 0]]], dtype=torch.int8)
            seen.append(float(inventory(torch.tensor([[C, O, H]]), torch.tensor([[3]]), awaits)))
    assert seen == [1, 1, 0, 1, 0, 2, 2, 1]  # H C N O Br, heavy, awaited, silent
