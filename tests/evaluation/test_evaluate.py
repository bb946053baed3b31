"""`atomweave.evaluate`: anything that holds molecules goes in, figures with their denominators come out."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from rdkit import Chem
from rdkit.Chem import rdDistGeom

import atomweave
from atomweave import Molecule, MoleculeStore
from atomweave.errors import InputError, UsageError
from atomweave.evaluation.building import Work
from atomweave.evaluation.evaluate import distinct
from atomweave.evaluation.evaluation import Evaluation
from atomweave.evaluation.intervals import wilson
from atomweave.evaluation.metrics.posebusters import PoseBusters
from atomweave.evaluation.reference import Reference
from atomweave.evaluation.suites import SUITES, Settings, suite_named
from atomweave.growth.grower import Attempt, Grown
from atomweave.io import write
from evaluation.judged import HOSTILE
from evaluation.small_set import molecules
from reference import worked_molecules as worked

WORK = Work(workers=1)


def judged(samples, reference=None, suite="edm", **further) -> Evaluation:
    return atomweave.evaluate(samples, reference, suite, work=WORK, **further)


def shares(evaluation: Evaluation) -> list[tuple[int, int]]:
    return [(one.measures["valid"].count, one.measures["valid"].total) for one in evaluation.sets]


def test_objects_of_every_package_are_attempts_and_none_is_a_failed_one():
    mol = Chem.AddHs(Chem.MolFromSmiles("CO"))
    rdDistGeom.EmbedMolecule(mol, randomSeed=0)
    found = judged([worked.methane(), Atoms("OH2", worked.water().positions), mol, None, worked.argon()])
    assert shares(found) == [(3, 5)]
    assert found.sets[0].name == "sample"
    assert found["valid"].interval == wilson(3, 5)
    assert [verdict.reason for verdict in found.sets[0].sample.verdicts] == ["", "", "", "no molecule", "no bonds"]


def test_one_alone_a_generator_and_a_store_will_do():
    assert shares(judged(worked.methane())) == [(1, 1)]
    assert shares(judged(Atoms("OH2", worked.water().positions))) == [(1, 1)]
    assert shares(judged(one for one in (worked.methane(), None))) == [(1, 2)]
    assert shares(judged(MoleculeStore.from_molecules(molecules()[:3]))) == [(3, 3)]


def test_what_was_grown_is_judged_with_its_unfinished_attempts():
    ended = replace(worked.methane(), properties={"finished": True})
    cut = replace(worked.water(), properties={"finished": False, "reason": "no STOP after 3 atoms"})
    grown = Grown([Attempt(0, ended, True, None, 0.0), Attempt(1, cut, False, "no STOP after 3 atoms", 0.0)])
    found = judged(grown)
    assert shares(found) == [(1, 2)]
    assert found["finished"].count == 1


def test_a_file_a_folder_and_a_set_of_files(tmp_path: Path):
    write(tmp_path / "a.sdf", molecules()[:4])
    write(tmp_path / "b.xyz", [*molecules()[4:6], worked.argon()])
    folder = tmp_path / "folder.d"
    folder.mkdir()
    for index, molecule in enumerate(molecules()[:3]):
        write(folder / f"{index}.xyz", [molecule])
    for path, name, n in ((tmp_path / "a.sdf", "a", 4), (str(folder), "folder", 3)):
        found = judged(path)
        assert (found.sets[0].name, shares(found)) == (name, [(n, n)])
    seeds = judged([tmp_path / "a.sdf", str(tmp_path / "b.xyz")])
    assert shares(seeds) == [(6, 7)]
    assert len(seeds.sets[0].samples) == len(seeds.sets[0].results) == 2
    valid = seeds["valid"]
    assert (valid.value, valid.interval) == (pytest.approx(6 / 7), wilson(6, 7))
    assert valid.spread is not None
    assert (valid.spread.n_parts, valid.spread.of) == (2, "files")
    assert valid.spread.deviation == pytest.approx(np.std([1, 2 / 3], ddof=1))
    assert seeds["unique"].value == 1
    assert seeds["attempted"].value_text == "7"
    assert seeds.made["attempts"] == {"a": [4, 3]}


def test_a_mapping_is_several_sets(tmp_path: Path):
    write(tmp_path / "a.sdf", molecules()[:4])
    found = judged({"one": molecules()[:2], "two": [tmp_path / "a.sdf"], 3: [None]})
    assert [one.name for one in found.sets] == ["one", "two", "3"]
    assert shares(found) == [(2, 2), (4, 4), (0, 1)]
    assert found["valid"].count == 2  # of the first
    assert set(found.made["sha256"]) == {"one", "two", "3"}
    assert all(re.fullmatch("[0-9a-f]{64}", one) for (one,) in found.made["sha256"].values())


@pytest.mark.parametrize(
    ("samples", "error", "said"),
    [
        ([], InputError, "sample: there is no attempt to judge"),
        ({"ours": []}, InputError, "ours: there is no attempt to judge"),
        ({}, UsageError, "got 0 sets of molecules and 1 suites"),
        ([worked.methane(), 3], UsageError, "entry 1 is a int"),
        ("absent.xyz", InputError, "absent.xyz"),
        (b"CCO", UsageError, "entry 0 is a bytes"),
    ],
)
def test_what_cannot_be_judged_is_refused(samples, error, said):
    with pytest.raises(error, match=said):
        judged(samples)


def test_a_set_of_failures_only_has_figures():
    found = judged([None, worked.argon()], suite=list(SUITES), settings=Settings(energies=2, relaxed=2, workers=1))
    assert (found["valid"].value, found["valid"].total) == (0, 2)
    assert found["unique"].value_text == "–"
    assert "invalid: no bonds 1; no molecule 1" in str(found)


@pytest.mark.parametrize("given", ["molecules", "store", "file", "reference"])
def test_references_of_every_kind(tmp_path: Path, given: str):
    data = molecules()[:30]
    store = MoleculeStore.from_molecules(data)
    if given == "file":
        store.write(tmp_path / "data.safetensors")
    reference = {
        "molecules": list(data),
        "store": store,
        "file": tmp_path / "data.safetensors",
        "reference": Reference("x", {"valid": 0.25}),
    }[given]
    found = judged(molecules()[30:40], reference)
    assert found.reference.values["valid"] == (0.25 if given == "reference" else 1)
    if given != "reference":
        assert (found["novel"].value, found["novel"].total) == (1, 10)
        assert judged(data, reference)["novel"].value == 0


def test_the_shipped_reference_serves_every_suite_and_is_the_default():
    found = atomweave.evaluate(molecules(), work=WORK)
    assert (found.reference.name, found.reference.n_molecules) == ("QM9", 130_831)
    assert found.reference.values["valid"] > 0.999
    assert found["bond_mmd/C-H-1"].floor is not None
    needed = {metric.name for metric in suite_named("full", Settings()).metrics}
    assert needed <= set(found.reference.metrics)


def test_without_a_reference_only_what_needs_none_is_measured():
    for reference in (None, "none"):
        found = judged(molecules()[:5], reference, "core")
        assert found.reference.name == ""
        assert found["valid"].value == 1
        assert not [
            name for name in found.sets[0].measures if name.startswith(("bond_w1", "bispectrum", "jsd", "novel"))
        ]


@pytest.mark.parametrize(
    ("reference", "said"),
    [("qm8", "there is no 'qm8'"), ([], "nothing to compare with"), ([None], "nothing"), (3, "is a int")],
)
def test_references_that_are_none_are_refused(reference, said):
    with pytest.raises((UsageError, InputError), match=said):
        judged(molecules()[:2], reference)


def test_unknown_names_come_with_a_suggestion():
    found = judged(molecules()[:2])
    with pytest.raises(UsageError, match=r"no figure 'vaild': did you mean 'valid'\?"):
        found["vaild"]
    with pytest.raises(UsageError, match=r"no suite 'emd': did you mean 'edm'\?"):
        judged(molecules()[:2], suite="emd")
    with pytest.raises(UsageError, match="0 suites"):
        judged(molecules()[:2], suite=[])


def test_what_suites_share_is_measured_once():
    settings = Settings()
    for names in (["edm", "symphony-table-5.1"], ["full", *SUITES], ["posebusters", "full"]):
        metrics = distinct([suite_named(name, settings) for name in names])
        assert len({metric.name for metric in metrics}) == len(metrics)
    first = distinct([suite_named(name, settings) for name in ("posebusters", "full")])[0]
    assert isinstance(first, PoseBusters)
    assert first.energies == settings.energies  # as the suite that was named first says
    assert len(judged(molecules()[:2], suite=["edm", "edm"]).suites) == 1


def test_settings_reach_the_metrics_and_change_nothing_else():
    few = judged(molecules()[:12], suite="energy", settings=Settings(relaxed=2, workers=1))
    assert few["xtb/graph_kept"].total == 2
    assert (
        judged(molecules()[:12], suite="energy", settings=Settings(relaxed=2, workers=1))["xtb/rmsd"] == few["xtb/rmsd"]
    )


def test_the_same_molecules_give_the_same_figures():
    reference = Reference()
    one, two = (judged([*molecules(), None], reference, "core") for _ in range(2))
    assert [str(measure) for measure in one.sets[0].measures.values()] == [
        str(measure) for measure in two.sets[0].measures.values()
    ]
    assert one.made["sha256"] == two.made["sha256"]


def test_progress_is_told(monkeypatch: pytest.MonkeyPatch):
    told: dict[str, list[tuple[int, int]]] = {}

    def progress(title):
        return lambda done, total: told.setdefault(title, []).append((done, total))

    atomweave.evaluate(molecules(), None, "edm", work=Work(1, 10.0, progress))
    assert told["bonds of sample"][-1] == (60, 60)


class Cells(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def test_printing_shows_the_tables_and_a_notebook_too():
    found = judged({"ours": molecules()[:9], HOSTILE: [worked.argon()]}, Reference("QM9", {"valid": 0.9999}))
    text, page = str(found), found._repr_html_()
    for shown in (text, page):
        assert "\x1b" not in shown
        assert "\\x1b[2J" in shown
        for told in ("xyz2mol-valid", "100.00 %", "99.99 %", "GeoLDM", "stability and validity by EDM"):
            assert told in shown
    assert max(map(len, text.splitlines())) <= 160
    parsed = Cells(page)
    assert parsed.tags == {"table", "caption", "tr", "th", "td", "p"}
    assert "100.00 % (70.09 – 100.00)" in parsed.cells
    assert repr(found) == f"Evaluation of ours, {HOSTILE} by edm".replace(HOSTILE, '=1+1"<script>\\x1b[2J\\n')
    assert len(repr(found.sets[0])) < 20_000


def test_molecules_are_not_changed():
    ours = Molecule(["C", *"HHHH"], worked.methane().positions, {"finished": True})
    before = ours.positions.copy()
    judged([ours], suite="core")
    np.testing.assert_array_equal(ours.positions, before)
    assert ours.properties == {"finished": True}
