"""Counter-based randomness."""

import numpy as np
import pytest
import torch
from scipy import stats

from atomweave.randomness import _philox, fold_in, generator, uniforms

KNOWN_ANSWERS = [  # from the Random123 distribution's kat_vectors: counter, key, output
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "output"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter: tuple, key: tuple, output: tuple) -> None:
    words = _philox([np.array([word], np.uint64) for word in counter], *key)
    assert tuple(int(word[0]) for word in words) == output


def test_a_stream_depends_on_its_own_counters_alone() -> None:
    together = uniforms(fold_in(3, "grow"), np.arange(10), np.arange(10) % 4, 7)
    alone = uniforms(fold_in(3, "grow"), np.array([6]), np.array([6 % 4]), 7)
    assert np.array_equal(together[6:7], alone)
    fewer = uniforms(fold_in(3, "grow"), np.array([6]), np.array([6 % 4]), 3)
    assert np.array_equal(alone[:, :3], fewer)


def test_uniforms_are_uniform_and_open() -> None:
    drawn = uniforms(fold_in(0, "test"), np.arange(20_000), np.zeros(20_000), 5)
    assert (drawn > 0).all()
    assert (drawn < 1).all()
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 1e-6
    assert abs(np.corrcoef(drawn.T) - np.eye(5)).max() < 5 / 20_000**0.5


def test_the_largest_uniform_is_below_one() -> None:
    largest = (float(2**52 - 1) + 0.5) * 2.0**-52
    assert largest < 1.0


def test_streams_have_names() -> None:
    keys = {fold_in(0, "train", 1), fold_in(0, "train", 11), fold_in(0, "trai", "n", 1), fold_in(1, "train", 1)}
    assert len(keys) == 4
    assert fold_in(0, 1) != fold_in(0, "1")
    assert all(0 <= key < 2**63 for key in keys)
    first, second = (torch.rand(3, generator=generator(5, "noise", 2)) for _ in range(2))
    assert torch.equal(first, second)
