"""A reference comes back as it was, and nothing that is none is taken for one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from atomweave.arrayfile import write_arrays
from atomweave.errors import RefusedFileError
from atomweave.evaluation.reference import FORMAT, VERSION, Reference, is_reference

FIELDS = {
    "name": "QM9", "values": {"valid": 0.5}, "totals": {"valid": 7}, "counts": {"rings": {"5": 3}},
    "metrics": ["rings"], "n_molecules": 7, "data": "abc", "tools": {"rdkit": "1"},
}  # fmt: skip


def written(path: Path, told: object, arrays: dict[str, np.ndarray] | None = None, version: int = VERSION) -> Path:
    text = told if isinstance(told, str) else json.dumps(told)
    write_arrays(path, arrays or {}, {"format": FORMAT, "version": str(version), "reference": text})
    return path


@pytest.mark.parametrize(
    "dtype",
    ["bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"],
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (0, 15)])
def test_arrays_of_every_type_and_shape_come_back(tmp_path: Path, dtype: str, shape: tuple[int, ...]):
    array = (np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2).astype(dtype)
    Reference(arrays={"a/b": array}).write(tmp_path / "r.safetensors")
    found = Reference.open(tmp_path / "r.safetensors").arrays["a/b"]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)


def test_all_fields_come_back_and_the_same_reference_gives_the_same_bytes(tmp_path: Path):
    ours = Reference(
        "QM9é",
        {"valid": 1 / 3},
        {"valid": 3},
        {"jsd/a": np.arange(6)[::2], "b": np.ones(2)},
        {"rings": {"5": 2, "C: C2,H2": 1}},
        ("validity", "rings"),
        3,
        "abc",
        {"rdkit": "2026.9"},
    )
    for name in "ab":
        ours.write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found = Reference.open(tmp_path / "a")
    for field in ("name", "values", "totals", "counts", "metrics", "n_molecules", "data", "tools"):
        assert getattr(found, field) == getattr(ours, field)
    assert list(found.of_metric("jsd")) == ["a"]
    assert found.of_metric("jsd")["a"].tolist() == [0, 2, 4]
    assert is_reference(tmp_path / "a")


def test_a_file_that_torch_reads_has_the_same_hash(tmp_path: Path):
    from atomweave.tensorfile import read_tensors

    written(tmp_path / "r", FIELDS, {"a": np.arange(5, dtype=np.float16), "b": np.array([True])})
    _, tensors = read_tensors(tmp_path / "r", FORMAT, VERSION)
    assert tensors["a"].tolist() == [0, 1, 2, 3, 4]


def test_values_that_are_not_finite_are_not_written(tmp_path: Path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        Reference(values={"valid": float("nan")}).write(tmp_path / "r")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_off_is_refused(tmp_path: Path, place: float):
    path = written(tmp_path / "r.safetensors", FIELDS, {"a": np.arange(1000)})
    content = path.read_bytes()
    path.write_bytes(content[: int(place * len(content))])
    with pytest.raises(RefusedFileError, match="no whole safetensors file"):
        Reference.open(path)
    assert not is_reference(path)


def test_every_flipped_bit_is_refused(tmp_path: Path):
    path = written(tmp_path / "r.safetensors", FIELDS, {"a": np.arange(4)})
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(RefusedFileError):
            Reference.open(path)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"values": None}, "values"),
        ({"values": {"valid": "much"}}, "values/valid"),
        ({"values": {"valid": [1]}}, "values/valid"),
        ({"values": {"valid": float("nan")}}, "values/valid"),
        ({"values": {"valid": True}}, "values/valid"),
        ({"totals": {"valid": 0.5}}, "totals/valid"),
        ({"counts": {"rings": 3}}, "counts/rings"),
        ({"counts": {"rings": {"5": "three"}}}, "counts/rings/5"),
        ({"counts": []}, "counts"),
        ({"metrics": "rings"}, "metrics"),
        ({"metrics": [1]}, "metrics/0"),
        ({"n_molecules": "7"}, "n_molecules"),
        ({"name": 3}, "name"),
        ({"tools": {"rdkit": 3}}, "tools/rdkit"),
        ({"extra": 1}, "extra"),
    ],
)
def test_fields_of_a_wrong_type_are_refused(tmp_path: Path, changed: dict[str, object], where: str):
    path = written(tmp_path / "r", FIELDS | changed)
    with pytest.raises(RefusedFileError, match=r"fields do not fit \(") as caught:
        Reference.open(path)
    said = str(caught.value)
    assert f"({where}" in said
    assert "\n" not in said


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, "{}"])
def test_metadata_that_are_no_fields_are_refused(tmp_path: Path, text: str):
    with pytest.raises(RefusedFileError, match="fields do not fit"):
        Reference.open(written(tmp_path / "r", text))


def test_arrays_that_are_not_finite_are_refused(tmp_path: Path):
    for value in (np.nan, np.inf):
        with pytest.raises(RefusedFileError, match="array bispectra/x is not finite"):
            Reference.open(written(tmp_path / "r", FIELDS, {"bispectra/x": np.array([0, value], np.float16)}))


def test_another_version_another_kind_and_no_file_are_refused(tmp_path: Path):
    with pytest.raises(RefusedFileError, match=f"has version 99, this Atomweave reads version {VERSION}"):
        Reference.open(written(tmp_path / "r", FIELDS, version=99))
    write_arrays(tmp_path / "w", {"a": np.ones(2)}, {"format": "atomweave-weights", "version": "1"})
    assert not is_reference(tmp_path / "w")
    with pytest.raises(RefusedFileError, match="wanted 'atomweave-reference'"):
        Reference.open(tmp_path / "w")
    (tmp_path / "p.safetensors").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(RefusedFileError, match="pickle"):
        Reference.open(tmp_path / "p.safetensors")
    for path in (tmp_path / "absent", tmp_path):
        assert not is_reference(path)
        with pytest.raises(RefusedFileError):
            Reference.open(path)
