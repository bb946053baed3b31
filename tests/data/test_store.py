"""The store: what goes in comes out, the file is one and the same, and anything tampered with is refused."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from atomweave import Molecule
from atomweave.columns import TextColumn, column_of
from atomweave.data import MoleculeStore
from atomweave.data.summary import describe
from atomweave.errors import InputError, RefusedFileError


def molecules() -> list[Molecule]:
    water = Molecule(
        ["O", "H", "H"], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], {"gap": 7.5, "name": "wäter", "n": 1}
    )
    return [water, Molecule(["He"], [[1, 2, 3]], {"gap": 20.0, "n": 2, "axis": np.array([1.0, 2.0])})]


def example() -> MoleculeStore:
    store = MoleculeStore.from_molecules(molecules(), units={"gap": "eV", "not there": "eV"})
    splits = {"mine/train": np.array([1]), "mine/test": np.array([0])}
    return MoleculeStore(
        store.numbers, store.positions, store.offsets, store.properties, store.units, splits, "A. Uthor"
    )


def test_molecules_come_back_from_the_file(tmp_path: Path) -> None:
    example().write(tmp_path / "a.safetensors")
    store = MoleculeStore.open(tmp_path / "a.safetensors")
    assert len(store) == 2
    for molecule, back in zip(molecules(), store, strict=True):
        assert back.symbols == molecule.symbols
        assert np.array_equal(back.positions.astype(np.float32), molecule.positions.astype(np.float32))
        assert set(back.properties) == set(molecule.properties)  # what a molecule lacks is not made up
    assert store[0].properties == {"gap": 7.5, "name": "wäter", "n": 1}
    assert store[-1].properties["axis"].tolist() == [1, 2]
    assert store.units == {"gap": "eV"}
    assert store.citation == "A. Uthor"
    assert store.elements == ("H", "He", "O")
    assert store.sizes.tolist() == [3, 1]
    assert store.split("mine/train").tolist() == [1]
    assert store.sha256 == example().sha256


def test_the_file_is_mapped_and_cannot_be_changed_through_it(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    example().write(path)
    before = path.read_bytes()
    store = MoleculeStore.open(path)
    assert store.positions.base is not None
    store.positions[:] = 0  # torch wants arrays that may be written
    assert path.read_bytes() == before


def test_same_store_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        example().write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_unknown_split_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="did you mean 'mine/train'"):
        example().split("mine/trian")
    with pytest.raises(InputError, match="has no splits"):
        MoleculeStore.from_molecules(molecules()).split("train")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=8))
def test_text_comes_back(strings: list[str]) -> None:
    column = TextColumn.of(strings)
    assert list(column) == strings
    assert list(column[::-1]) == strings[::-1]
    assert list(column[np.arange(len(strings))]) == strings


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], np.array([1, 2])),
        ([True, False], np.array([True, False])),
        ([1, 2.5], np.array([1, 2.5])),
        ([1, None], np.array([1, np.nan])),
        ([None, True], np.array([np.nan, 1])),
        ([np.array([1.0, 2.0]), None], np.array([[1, 2], [np.nan, np.nan]])),
        (["a", None], ["a", ""]),
        (["a", 5], ["a", "5"]),
        ([[1], [1, 2]], ["[1]", "[1, 2]"]),
        ([{"a": 1}, None], ['{"a": 1}', ""]),
    ],
)
def test_columns_take_the_narrowest_type_that_holds_all(values: list[object], expected: object) -> None:
    column = column_of(values)
    if isinstance(expected, np.ndarray):
        assert column.dtype == expected.dtype
        assert np.array_equal(column, expected, equal_nan=expected.dtype.kind == "f")
    else:
        assert list(column) == expected


def change(name: str, **fields: object) -> object:
    return pytest.param(fields, id=name)


@pytest.mark.parametrize(
    "fields",
    [
        change("numbers as int64", numbers=np.array([8, 1, 1, 2])),
        change("unknown element", numbers=np.array([8, 1, 1, 119], np.uint8)),
        change("element 0", numbers=np.array([8, 1, 1, 0], np.uint8)),
        change("positions as float64", positions=np.zeros((4, 3))),
        change("positions flat", positions=np.zeros(12, np.float32)),
        change("one position too few", positions=np.zeros((3, 3), np.float32)),
        change("offsets fall", offsets=np.array([0, 3, 2, 4])),
        change("offsets start late", offsets=np.array([1, 3, 4])),
        change("offsets end early", offsets=np.array([0, 3])),
        change("empty molecule", offsets=np.array([0, 0, 4])),
        change("no molecules", offsets=np.array([4])),
        change("offsets as int32", offsets=np.array([0, 3, 4], np.int32)),
        change("short column", properties={"gap": np.zeros(1)}, units={}),
        change("unit of nothing", units={"nothing": "eV"}),
        change("split beyond", splits={"a": np.array([2])}),
        change("split below", splits={"a": np.array([-1])}),
        change("split of floats", splits={"a": np.array([0.0])}),
    ],
)
def test_parts_that_do_not_fit_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InputError):
        replace(example(), **fields)


def test_positions_beyond_single_precision_are_refused() -> None:
    with pytest.raises(InputError, match="molecule 0: a coordinate is 1e"):
        MoleculeStore.from_molecules([Molecule(["H"], [[1e6, 0, 0]])])
    with pytest.raises(InputError, match="at least one molecule"):
        MoleculeStore.from_molecules([])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    example().write(tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


def refuse(path: Path, verify: bool = True) -> str:
    with pytest.raises(RefusedFileError) as caught:
        MoleculeStore.open(path, verify)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_every_flipped_bit_is_noticed(path: Path) -> None:
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.permutation(len(whole))[:300]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            store = MoleculeStore.open(path)
        except RefusedFileError:
            continue
        # Padding of the header is not content; anything else is.
        assert store.sha256 == example().sha256
        assert whole[place : place + 1] == b" "


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_truncated_file_is_refused_even_unverified(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "not a whole safetensors file" in refuse(path, verify=False)


def test_longer_file_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")
    refuse(path, verify=False)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))


def test_a_pickle_is_never_unpickled(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    path.write_bytes(pickle.dumps(Bomb()))
    refuse(path)
    assert not (path.parent / "exploded").exists()


def test_a_folder_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    assert "there is no such file" in refuse(tmp_path / "none")
    refuse(tmp_path)


def retold(path: Path, change_header: dict[str, object] | None = None, **tensors: np.ndarray | None) -> None:
    """Write the store once more with other tensors or another header, as someone with safetensors could."""
    arrays = load_file(path)
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8:start])["__metadata__"]["atomweave"])
    arrays = {name: array for name, array in (arrays | tensors).items() if array is not None}
    save_file(arrays, path, {"atomweave": json.dumps(header | (change_header or {}))})


def test_other_contents_do_not_match_the_hash(path: Path) -> None:
    retold(path)
    assert MoleculeStore.open(path).sha256 == example().sha256  # retelling it unchanged is no change
    retold(path, positions=np.zeros((4, 3), np.float32))
    assert "do not match their sha256" in refuse(path)
    assert len(MoleculeStore.open(path, verify=False)) == 2


@pytest.mark.parametrize("header", [{"units": {"gap": "Hartree"}}, {"citation": "someone else"}, {"sha256": "0" * 64}])
def test_other_units_or_citation_do_not_match_the_hash(path: Path, header: dict[str, object]) -> None:
    retold(path, header)
    assert "do not match their sha256" in refuse(path)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"kind": "weights"}, "holds 'weights', wanted a molecule store"),
        ({"version": 99}, "store version 99"),
        ({"units": 5}, "metadata lack units"),
        ({"units": {"nothing": "eV"}}, "no such property"),
        ({"sha256": None}, "metadata lack units, citation or sha256"),
    ],
)
def test_headers_of_another_kind_are_refused(path: Path, header: dict[str, object], reason: str) -> None:
    retold(path, header)
    assert reason in refuse(path, verify=False)


@pytest.mark.parametrize(
    "tensors",
    [
        {"numbers": None},
        {"offsets": None},
        {"text_offsets/name": None},
        {"positions": np.zeros((4, 2), np.float32)},
        {"positions": np.zeros(12, np.float32)},
        {"numbers": np.zeros(4, np.uint8)},
        {"offsets": np.array([0, 2**62, 4])},
        {"text_offsets/name": np.array([0, 2**62, 6])},
        {"property/gap": np.zeros(3)},
        {"property/gap": np.array(5.0)},
        {"split/mine/train": np.array([7])},
        {"split/mine/train": np.array([[0]])},
    ],
)
def test_tensors_of_wrong_shape_are_refused_even_unverified(path: Path, tensors: dict[str, np.ndarray | None]) -> None:
    retold(path, None, **tensors)
    assert "store" in refuse(path, verify=False)


def test_safetensors_of_others_are_refused(tmp_path: Path) -> None:
    save_file({"weight": np.zeros(3)}, tmp_path / "a.safetensors")
    assert "not written by Atomweave" in refuse(tmp_path / "a.safetensors")


def test_header_that_points_outside_is_refused(path: Path) -> None:
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["numbers"]["data_offsets"] = [0, 10**15]
    told = json.dumps(header).encode()
    path.write_bytes(len(told).to_bytes(8, "little") + told + content[start:])
    assert "not a whole safetensors file" in refuse(path, verify=False)


def test_positions_that_are_not_finite_are_refused(path: Path) -> None:
    store = replace(example(), positions=np.full((4, 3), np.nan, np.float32))
    store.write(path)
    assert "a position is not finite" in refuse(path)


def test_summary_shows_what_is_missing() -> None:
    lines = "\n".join(describe(example()))
    for expected in (
        "molecules   2",
        "gap (eV): float64, 7.5 to 20, mean 13.75",
        "axis: float64 (2,)",
        "missing in 1",
        "A. Uthor",
    ):
        assert expected in lines


def test_a_store_with_coincident_atoms_is_refused_whatever_its_hash(tmp_path: Path) -> None:
    store = example()
    positions = store.positions.copy()
    positions[1] = positions[0]
    MoleculeStore(store.numbers, positions, store.offsets).write(tmp_path / "a.safetensors")
    with pytest.raises(RefusedFileError, match="molecule 0: atoms 0 and 1 coincide"):
        MoleculeStore.open(tmp_path / "a.safetensors")


def test_offsets_whose_differences_overflow_are_refused() -> None:
    offsets = np.array([0, 2**62, -(2**63), -(2**61), 4])
    with pytest.raises(InputError, match="do not rise"):
        MoleculeStore(np.ones(4, np.uint8), np.zeros((4, 3), np.float32), offsets)


def test_numbers_beyond_64_bits_are_kept_as_text() -> None:
    assert list(column_of([2**63, 1])) == ["9223372036854775808", "1"]
