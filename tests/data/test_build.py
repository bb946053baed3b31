"""Stores of a user's own files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from atomweave import Molecule
from atomweave.data.build import build, is_connected, random_splits
from atomweave.errors import AtomweaveError, InputError, UsageError
from atomweave.io import write

H2 = Molecule(["H", "H"], [[0, 0, 0], [0, 0, 0.74]], {"gap": 1.0})
APART = Molecule(["Xe", "Xe"], [[0, 0, 0], [0, 0, 5]], {"gap": 2.0})
FAR = Molecule(["H", "H"], [[1e6, 0, 0], [1e6, 0, 0.74]])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two sound molecules in each of three files, and a broken frame in the first."""
    write(tmp_path / "a.extxyz", [H2, APART])
    with (tmp_path / "a.extxyz").open("a") as file:
        file.write("1\n\nH nan 0 0\n1\n\nH nan 0 0\n")
    write(tmp_path / "b.sdf", [H2, APART])
    write(tmp_path / "c.npz", [H2, APART])
    return [tmp_path / name for name in ("a.extxyz", "b.sdf", "c.npz")]


def test_files_of_several_formats_become_one_store(files: list[Path], tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []
    built = build(files, report=tmp_path / "refused.csv", progress=lambda i, share: seen.append((i, share)))
    assert [molecule.formula for molecule in built.store] == ["H2", "Xe2"] * 3
    assert built.store.properties["gap"].tolist() == [1, 2] * 3
    assert built.reasons == {"atom … …: position is not finite": 2}
    assert [i for i, share in seen if share == 1] == [0, 1, 2]
    with (tmp_path / "refused.csv").open() as report:
        rows = list(csv.DictReader(report))
    assert [(row["file"], row["frame"]) for row in rows] == [(str(files[0]), "2"), (str(files[0]), "3")]
    assert rows[0]["reason"] == "atom 0 (H): position is not finite"


def test_distance_policy_and_precision_are_reasons_too(tmp_path: Path) -> None:
    write(tmp_path / "a.extxyz", [H2, APART, FAR])
    built = build([tmp_path / "a.extxyz"], max_neighbour_distance=2.03)
    assert len(built.store) == 1
    assert [refusal.frame for refusal in built.refusals] == [1, 2]
    assert "do not hang together by steps shorter than 2.03" in built.refusals[0].reason
    assert "a coordinate is 1e+06" in built.refusals[1].reason


def test_elements_that_are_not_admitted_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a.extxyz", [H2, APART])
    built = build([tmp_path / "a.extxyz"], elements=["H", "C"])
    assert [molecule.formula for molecule in built.store] == ["H2"]
    assert built.refusals[0].reason == "elements that are not admitted: Xe"
    with pytest.raises(AtomweaveError, match="Hx"):
        build([tmp_path / "a.extxyz"], elements=["H", "Hx"])


def test_the_same_files_give_the_same_bytes(files: list[Path], tmp_path: Path) -> None:
    for name in ("x", "y"):
        build(files, splits={"train": 0.5, "test": 0.5}, seed=3).store.write(tmp_path / name)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_when_nothing_is_kept_the_report_is_written_all_the_same(tmp_path: Path) -> None:
    write(tmp_path / "a.xyz", [APART])
    with pytest.raises(InputError, match=r"none of 1 frames could be used; .*a\.xyz, frame 0: the atoms do"):
        build([tmp_path / "a.xyz"], max_neighbour_distance=1.0, report=tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_text().count("\n") == 2


def test_a_missing_file_stops_everything_before_anything_is_read(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        build([*files, tmp_path / "none.xyz"], report=tmp_path / "r.csv")
    assert not (tmp_path / "r.csv").exists()


@settings(max_examples=50)
@given(st.integers(1, 300), st.lists(st.floats(0.01, 0.33), min_size=1, max_size=3), st.integers(0, 9))
def test_splits_are_disjoint_and_of_the_size_asked_for(n: int, shares: list[float], seed: int) -> None:
    named = {f"s{i}": share for i, share in enumerate(shares)}
    try:
        splits = random_splits(n, named, seed)
    except InputError:
        assert min(shares) * n < 1
        return
    drawn = np.concatenate(list(splits.values()))
    assert len(np.unique(drawn)) == len(drawn)
    assert drawn.min() >= 0
    assert drawn.max() < n
    for name, share in named.items():
        assert abs(len(splits[name]) - share * n) <= 1
    assert all(
        np.array_equal(a, b) for a, b in zip(splits.values(), random_splits(n, named, seed).values(), strict=True)
    )


def test_splits_differ_by_seed_and_cover_all_when_asked() -> None:
    a, b = (random_splits(1000, {"train": 0.8, "valid": 0.1, "test": 0.1}, seed) for seed in (0, 1))
    assert not np.array_equal(a["train"], b["train"])
    assert np.array_equal(np.sort(np.concatenate(list(a.values()))), np.arange(1000))


@pytest.mark.parametrize("shares", [{"a": 0.0}, {"a": -0.1}, {"a": 0.9, "b": 0.2}, {"a": np.nan}, {"a": np.inf}])
def test_shares_that_make_no_sense_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="shares above 0"):
        random_splits(10, shares, 0)


@pytest.mark.parametrize("distance", [0.0, -1.0, float("nan")])
def test_distances_that_make_no_sense_are_refused(files: list[Path], distance: float) -> None:
    with pytest.raises(UsageError, match="wanted a distance"):
        build(files, max_neighbour_distance=distance)


@settings(max_examples=100)
@given(st.integers(1, 30), st.integers(0, 2**32), st.floats(0.3, 2.0))
def test_connected_means_what_scipy_means(n_atoms: int, seed: int, distance: float) -> None:
    positions = np.random.default_rng(seed).uniform(0, 2.5, (n_atoms, 3))
    expected = connected_components(cdist(positions, positions) < distance)[0] == 1
    assert is_connected(positions, distance) == expected
