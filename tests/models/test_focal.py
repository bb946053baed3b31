from __future__ import annotations

import itertools
import math

import pytest
import torch

from atomweave.models.heads.focal import ClassifierConfig, PointerConfig, build_focal_head

LOGITS = torch.tensor([[-1.2, 0.4, 2.0, -0.3, 0.9]], dtype=torch.float64)
MAY = torch.tensor([[True, True, True, True, False]])
HEAVY = torch.tensor([[True, True, False, True, True]])


def head(choice: str = "uniform"):
    return build_focal_head(ClassifierConfig(choice=choice, width=8), 4)


@pytest.mark.parametrize("choice", ["uniform", "last"])
def test_probabilities_are_those_of_all_sets_of_candidates(choice):
    """Atoms 0, 1 and 3 can be candidates: eight sets, each with its probability and its choice."""
    expected = torch.zeros(6, dtype=torch.float64)
    for members in itertools.product([False, True], repeat=3):
        chosen = [atom for atom, member in zip((0, 1, 3), members, strict=True) if member]
        full = torch.sigmoid(LOGITS[0, [0, 1, 3]])
        weight = torch.where(torch.tensor(members), 1 - full, full).prod()
        if not chosen:
            expected[0] += weight
        elif choice == "last":
            expected[1 + chosen[-1]] += weight
        else:
            expected[[1 + atom for atom in chosen]] += weight / len(chosen)
    torch.testing.assert_close(head(choice).log_probs(LOGITS, MAY, HEAVY).exp()[0], expected)


@pytest.mark.parametrize("n_atoms", [1, 2, 9, 60])
@pytest.mark.parametrize("choice", ["uniform", "last"])
def test_probabilities_sum_to_one(n_atoms, choice):
    logits = 3 * torch.randn(20, n_atoms, generator=torch.Generator().manual_seed(n_atoms), dtype=torch.float64)
    all_ = torch.ones(20, n_atoms, dtype=torch.bool)
    total = head(choice).log_probs(logits, all_, all_).exp().sum(1)
    torch.testing.assert_close(total, torch.ones_like(total))


@pytest.mark.parametrize(
    ("threshold", "uniform", "last"),
    [
        (0.5, [0, 0.5, 0, 0, 0.5, 0], [0, 0, 0, 0, 1, 0]),
        (0.7, [0, 1 / 3, 1 / 3, 0, 1 / 3, 0], [0, 0, 0, 0, 1, 0]),
        (0.1, [1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]),
    ],
)
def test_threshold_chooses_the_candidates_for_certain(threshold, uniform, last):
    for choice, expected in (("uniform", uniform), ("last", last)):
        p = head(choice).log_probs(LOGITS, MAY, HEAVY, 1.0, threshold).exp()
        torch.testing.assert_close(p[0], torch.tensor(expected, dtype=torch.float64))


def test_threshold_of_one_half_is_temperature_zero():
    head_ = head()
    cold = head_.log_probs(LOGITS, MAY, HEAVY, temperature=1e-4).exp()
    torch.testing.assert_close(cold, head_.log_probs(LOGITS, MAY, HEAVY, threshold=0.5).exp())


def test_where_nothing_may_be_the_focus_it_stops():
    nothing = torch.zeros_like(MAY)
    for config in (ClassifierConfig(), ClassifierConfig(choice="last"), PointerConfig()):
        p = build_focal_head(config, 4).log_probs(LOGITS, nothing, HEAVY).exp()
        torch.testing.assert_close(p[0], torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64))


def test_pointer_is_one_softmax_with_stop():
    pointer = build_focal_head(PointerConfig(width=8), 4)
    p = pointer.log_probs(LOGITS, MAY, HEAVY).exp()[0]
    total = 1 + sum(math.exp(x) for x in LOGITS[0, :4].tolist())
    assert p.tolist() == pytest.approx([1 / total, *(math.exp(x) / total for x in LOGITS[0, :4].tolist()), 0])
    loss, count = pointer.divergence(LOGITS, MAY, torch.tensor([-1]), torch.zeros(1, 5))
    assert (float(loss), int(count)) == (pytest.approx(math.log(total)), 1)


def test_classifier_is_taught_what_every_placed_atom_awaits():
    awaits = torch.tensor([[2, 0, 0, 1, 0]], dtype=torch.int8)
    loss, count = head().divergence(LOGITS, MAY, torch.tensor([0]), awaits)
    full = torch.sigmoid(LOGITS[0])
    assert int(count) == 4
    assert float(loss) == pytest.approx(-math.log((1 - full[0]) * full[1] * full[2] * (1 - full[3])))
