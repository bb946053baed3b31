"""References made of data: what the data themselves reach, kept beside them, and never a wrong one taken for right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atomweave.data.store import MoleculeStore
from atomweave.errors import InputError, RefusedFileError, UsageError
from atomweave.evaluation import building
from atomweave.evaluation.building import CACHED, ReferenceData, Work, build_reference, find_reference
from atomweave.evaluation.metrics.novelty import Novelty
from atomweave.evaluation.metrics.rings import Rings
from atomweave.evaluation.metrics.shares import Validity
from atomweave.evaluation.reference import Reference
from atomweave.io import write
from evaluation.small_set import molecules

WORK = Work(workers=1)
METRICS = (Validity(), Novelty(), Rings())


@pytest.fixture
def store(tmp_path: Path) -> Path:
    splits = {"edm/train": np.arange(40), "edm/test": np.arange(40, 60)}
    path = tmp_path / "data.safetensors"
    replace(MoleculeStore.from_molecules(molecules()), splits=splits).write(path)
    return path


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The metrics of each reference that was really made."""
    made: list[list[str]] = []
    real = building.build_reference

    def counting(data, metrics, *arguments, **further):
        made.append([metric.name for metric in metrics])
        return real(data, metrics, *arguments, **further)

    monkeypatch.setattr(building, "build_reference", counting)
    return made


def same(one: Reference, other: Reference) -> bool:
    fields = ("name", "values", "totals", "counts", "metrics", "n_molecules", "data", "tools")
    equal = all(getattr(one, field) == getattr(other, field) for field in fields)
    return equal and {k: a.tolist() for k, a in one.arrays.items()} == {k: a.tolist() for k, a in other.arrays.items()}


def caches(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{CACHED}"))


def test_a_store_is_judged_once_and_its_statistics_lie_beside_it(store: Path, builds: list[list[str]]):
    first = find_reference(store, METRICS, WORK)
    assert builds == [["validity", "novelty", "rings"]]
    assert (first.name, first.n_molecules) == ("data", 60)
    assert first.data == MoleculeStore.open(store).sha256
    assert first.values["valid"] == 1
    assert first.counts["rings"]["3"] == 6
    assert len(first.arrays["novelty/smiles"]) == 40  # described on the training split
    assert (first.values["novel"], first.totals["novel"]) == (1, 20)  # and measured on what is held out
    (cache,) = caches(store.parent)
    assert first.data[:12] in cache.name
    assert same(find_reference(str(store), METRICS, WORK), first)
    assert len(builds) == 1


def test_further_metrics_are_added_to_what_is_known(store: Path, builds: list[list[str]]):
    find_reference(store, METRICS[:1], WORK)
    both = find_reference(store, METRICS[1:], WORK)
    assert builds == [["validity"], ["novelty", "rings"]]
    assert set(both.metrics) == {"validity", "novelty", "rings"}
    assert {"valid", "novel"} < set(both.values)
    assert same(find_reference(store, METRICS, WORK), both)
    assert len(builds) == 2
    assert len(caches(store.parent)) == 1


def test_a_changed_store_gets_a_reference_of_its_own(store: Path):
    first = find_reference(store, METRICS[:1], WORK)
    MoleculeStore.from_molecules(molecules()[:50]).write(store)
    second = find_reference(store, METRICS[:1], WORK)
    assert (first.n_molecules, second.n_molecules) == (60, 50)
    assert first.data != second.data
    assert len(caches(store.parent)) == 2


@pytest.mark.parametrize("harm", ["empty", "cut", "flipped", "text", "other version", "other data", "other tools"])
def test_a_cache_that_does_not_fit_is_made_anew(store: Path, harm: str, monkeypatch: pytest.MonkeyPatch):
    first = find_reference(store, METRICS[:1], WORK)
    (cache,) = caches(store.parent)
    content = cache.read_bytes()
    if harm == "other version":
        monkeypatch.setattr("atomweave.evaluation.reference.VERSION", 99)
        first.write(cache)
        monkeypatch.undo()
    elif harm.startswith("other"):
        replace(first, values={"valid": 0.0}, **({"data": "0"} if "data" in harm else {"tools": {"rdkit": "1"}})).write(
            cache
        )
    else:
        changed = bytearray(content)
        changed[-1] ^= 1
        cache.write_bytes({"empty": b"", "cut": content[:99], "flipped": bytes(changed), "text": b"hello"}[harm])
    assert same(find_reference(store, METRICS[:1], WORK), first)
    assert same(Reference.open(cache), first)


def test_versions_of_tools_that_decide_nothing_do_not_matter(store: Path, builds: list[list[str]]):
    first = find_reference(store, METRICS[:1], WORK)
    (cache,) = caches(store.parent)
    replace(first, tools={**first.tools, "python": "3.99", "numpy": "1", "unheard-of": "2"}).write(cache)
    find_reference(store, METRICS[:1], WORK)
    assert len(builds) == 1


def test_a_folder_that_cannot_be_written_to_costs_only_time(
    store: Path, builds: list[list[str]], monkeypatch: pytest.MonkeyPatch
):
    def refuse(self, path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Reference, "write", refuse)
    for _ in range(2):
        assert find_reference(store, METRICS[:1], WORK).n_molecules == 60
    assert len(builds) == 2
    assert not caches(store.parent)


def test_data_that_ship_need_no_making(store: Path, builds: list[list[str]], monkeypatch: pytest.MonkeyPatch):
    known = build_reference(ReferenceData.of_store(MoleculeStore.open(store), "known"), METRICS, WORK)
    folder = store.parent / "shipped"
    known.write(folder / "known.safetensors")
    monkeypatch.setattr("atomweave.evaluation.reference.SHIPPED", folder)
    assert find_reference("known", METRICS, WORK).n_molecules == 60
    assert find_reference(store, METRICS, WORK).name == "known"
    assert not builds
    with pytest.raises(UsageError, match="did you mean 'known'") as caught:
        find_reference("knwon", METRICS, WORK)
    assert "Known: known, none" in str(caught.value)


def test_files_and_folders_of_molecules_serve_too(tmp_path: Path, builds: list[list[str]]):
    folder = tmp_path / "many"
    folder.mkdir()
    for index, molecule in enumerate(molecules()[:6]):
        write(folder / f"{index}.xyz", [molecule])
    write(tmp_path / "one.sdf", molecules()[:6])
    for path in (folder, tmp_path / "one.sdf"):
        for _ in range(2):
            assert find_reference(path, METRICS[:1], WORK).n_molecules == 6
    assert len(builds) == 2
    assert [path.parent for path in caches(tmp_path)] == [tmp_path] * 2  # beside the folder, not in it


def test_a_written_reference_is_read_and_none_is_empty(tmp_path: Path):
    Reference("ours", {"valid": 0.5}, n_molecules=3).write(tmp_path / "ours.safetensors")
    assert find_reference(tmp_path / "ours.safetensors", METRICS, WORK).values == {"valid": 0.5}
    assert find_reference("none", METRICS, WORK).name == ""


def test_what_holds_no_molecules_is_refused(tmp_path: Path):
    (tmp_path / "a.safetensors").write_bytes(b"0123456789")
    with pytest.raises(RefusedFileError):
        find_reference(tmp_path / "a.safetensors", METRICS, WORK)
    (tmp_path / "a.xyz").write_text("1\n\nC nan 0 0\n")
    with pytest.raises(InputError, match="nothing to compare with"):
        find_reference(tmp_path / "a.xyz", METRICS, WORK)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        find_reference(tmp_path / "empty", METRICS, WORK)


def test_costly_metrics_are_measured_on_a_part_and_distances_to_oneself_left_out():
    from atomweave.evaluation.metrics.composition import Composition

    data = ReferenceData(molecules(), "ours", "abc")
    found = build_reference(data, (Validity(), Novelty(), Composition()), WORK, parts={"validity": 25})
    assert found.totals["valid"] == 25
    assert "novel" not in found.values  # nothing is held out
    assert "attempted" not in found.values
    assert not [name for name in found.values if name.startswith("jsd/")]
    again = build_reference(data, (Validity(), Novelty(), Composition()), WORK, parts={"validity": 25})
    assert same(found, again)
