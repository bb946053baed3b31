"""The page of an evaluation: what it says, what it draws, and that nothing in the data can do harm."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from atomweave.evaluation.evaluation import Evaluation, PublishedRow, Scored, Suite
from atomweave.evaluation.measure import number, share
from atomweave.evaluation.metric import Result
from atomweave.evaluation.metrics.angles import Angles
from atomweave.evaluation.metrics.bispectra import Bispectra
from atomweave.evaluation.metrics.bond_lengths import BondLengths
from atomweave.evaluation.metrics.composition import Composition
from atomweave.evaluation.metrics.environments import Environments
from atomweave.evaluation.metrics.groups import Groups
from atomweave.evaluation.metrics.rings import Rings
from atomweave.evaluation.metrics.torsions import Torsions
from atomweave.evaluation.reference import Reference
from atomweave.evaluation.report import write_evaluation_report
from atomweave.evaluation.report.contents import wall_records
from atomweave.evaluation.sample import Sample
from atomweave.evaluation.validity import assess
from atomweave.molecule import Molecule
from reference import worked_molecules as worked

HOSTILE = (
    "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\"><!--\x00'&{{7*7}}"
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
METRICS = (BondLengths(), Angles(), Torsions(), Bispectra(), Environments(), Composition(), Rings(), Groups())
REAL = (
    worked.methane, worked.water, worked.carbon_dioxide, worked.hydrogen_cyanide, worked.benzene, worked.ammonia,
    worked.formaldehyde, worked.bicyclopentane, worked.glycine_zwitterion,
)  # fmt: skip
RELAXED = ("CCO", "CC(=O)C", "C1CC1", "C1CCOC1", "CCN", "CC#N")


class Page(HTMLParser):
    """Elements with their attributes, what stands in scripts, and the rest of the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.text += data


def molecules():
    return [make() for make in REAL] + [worked.embedded(smiles) for smiles in RELAXED]


def sample(name, extra=(), finished=(), reasons=()):
    found = [*molecules(), *extra]
    done = [True] * (len(found) - len(finished)) + list(finished)
    said = [""] * (len(found) - len(reasons)) + list(reasons)
    return Sample(name, tuple(assess(found, done, said)), f"{name}.xyz")


def reference_of(data):
    arrays, counts, values = {}, {}, {"valid": 0.9999, "strict": 0.9963, "unique": 0.9988}
    for metric in METRICS:
        kept = metric.describe(data)
        arrays |= kept.arrays
        counts |= kept.counts
    reference = Reference("QM9", arrays=arrays, counts=counts, n_molecules=len(data), data="sha256:of-the-tests")
    for metric in METRICS:
        values |= {one.name: one.value for one in metric.measure(data, reference).measures if one.kind == "share"}
    return replace(reference, values=values)


def scored(one, reference, n_valid=None, better="high"):
    n, valid = len(one), len(one.valid) if n_valid is None else n_valid
    made_up = (
        share("valid", "xyz2mol-valid", valid, n, "attempts", better=better),
        share("strict", "connected and neutral", valid - 1, n, "attempts", better=better),
        share("unique", "unique", valid, valid, "valid", interval=False, better=better),
        share("novel", "novel", valid - 2, valid, "valid", note="of a training split made up here"),
    )
    novel = one.over_valid([index % 2 == 0 for index in range(len(one.valid))])
    columns = {"novel": novel, HOSTILE: [HOSTILE] * n, "energy": [float("nan"), 1.23456789, *[None] * (n - 2)]}
    results = {metric.name: metric.measure(one, reference) for metric in METRICS}
    results["made up"] = Result(made_up, columns)
    return Scored(one.name, (one,), (results,), {m.name: m for found in results.values() for m in found.measures})


def evaluation_of(sets, reference, **further):
    published = (
        PublishedRow("QM9 itself", "all molecules", "thesis, table 5.1", {"valid": 0.9999, "unique": 0.9984}),
        PublishedRow("Symphony", "10,000 molecules", "thesis, table 5.1", {"valid": 0.8350, "unique": 0.9798}),
        PublishedRow("EDM", "10,000 molecules", "thesis, table 5.1", {"valid": 0.8674, "unique": 0.9916}),
        PublishedRow(HOSTILE, HOSTILE, HOSTILE, {"valid": 0.2692, "unique": 0.2169}, {"valid": 0.01}),
    )
    suite = Suite(
        "synthetic",
        f"Table {HOSTILE}",
        (),
        ("valid", "strict", "unique", "novel", "bond_w1/", "groups/"),
        published,
        HOSTILE,
    )
    made = {
        "command": HOSTILE, "files": {one.name: [f"{one.name}.xyz"] for one in sets},
        "sha256": {one.name: ["0f"] for one in sets}, "seconds": 1.5,
    }  # fmt: skip
    return Evaluation(tuple(sets), reference, (suite,), made, **further)


@pytest.fixture(scope="module")
def evaluation():
    hostile = Molecule(worked.water().numbers, worked.water().positions, {"name": HOSTILE})
    first = sample(HOSTILE, [hostile, worked.garbage(), worked.argon(), None, worked.methane()], [False], [HOSTILE])
    second = sample("second set", [worked.methane_and_water()])
    reference = reference_of(sample("QM9"))
    return evaluation_of([scored(first, reference), scored(second, reference)], reference)


@pytest.fixture(scope="module")
def path(evaluation, tmp_path_factory):
    found = tmp_path_factory.mktemp("page") / "report.html"
    write_evaluation_report(found, evaluation)
    return found


@pytest.fixture(scope="module")
def page(path):
    return Page(path.read_text(encoding="utf-8"))


def test_nothing_in_the_data_becomes_markup(page):
    assert len(page.scripts) == 3  # data, viewer, behaviour
    assert "</script" not in page.scripts[0]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert not [attributes for tag, attributes in page.tags if tag == "img" and attributes.get("src")]
    assert "{{7*7}}" in page.text
    assert "49" not in page.text.split("{{7*7}}")[0]
    assert page.text.count("<!--") > 10  # set, table, note, system, source, command, reason: shown as text


def test_nothing_is_fetched_and_only_our_scripts_run(page):
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in re.search(r"script-src ([^;]*)", policy)[1]
    links = [a.get(name) for _, a in page.tags for name in ("href", "src", "xlink:href", "action") if a.get(name)]
    assert links
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)


def test_every_link_has_its_target(page):
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    targets = {a["href"][1:] for tag, a in page.tags if tag == "a"}
    assert len(ids) == len(set(ids))
    assert targets <= set(ids)


def test_every_part_of_the_page_is_there(page):
    ids = {attributes.get("id") for _, attributes in page.tags}
    sections = {f"section-{key}" for key in ("bonds", "angles", "composition", "groups", "environments", "curve")}
    assert {"glance", "table-1", "molecules-wall", "invalid", "provenance", *sections} <= ids
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(drawings) > 20
    assert all(drawing["aria-label"] and drawing["role"] == "img" for drawing in drawings)
    assert "second set.xyz" in page.text
    assert "sha256:of-the-tests" in page.text


def test_the_wall_knows_sets_rings_and_columns(page):
    facts = json.loads(page.scripts[0])
    assert [fact["set_index"] for fact in facts] == [0] * 20 + [1] * 16
    assert facts[0]["set"] == HOSTILE
    assert facts[4]["formula"] == "C6H6"
    assert facts[4]["rings"] == [6]
    assert facts[1]["columns"]["energy"] == 1.2346
    assert "energy" not in facts[0]["columns"]  # NaN
    assert facts[1]["columns"]["novel"] is False
    assert "novel" not in facts[16]["columns"]
    assert facts[19]["reason"] == HOSTILE


def test_the_wall_shares_its_room_between_the_sets(evaluation):
    def shown(room):
        places = [record["set_index"] for record in wall_records(evaluation, room)]
        return [places.count(0), places.count(1)]

    assert shown(6) == [3, 3]
    assert shown(7) == [4, 3]
    assert shown(33) == [17, 16]
    assert shown(100) == [20, 16]
    assert shown(0) == [0, 0]


def test_a_set_without_valid_molecules_and_no_reference_still_make_a_page(tmp_path):
    empty = Sample("nothing", tuple(assess([worked.garbage(), None])))
    none = Reference()
    one = Scored("nothing", (empty,), ({},), {"valid": share("valid", "xyz2mol-valid", 0, 2, "attempts")})
    write_evaluation_report(tmp_path / "a.html", Evaluation((one,), none, ()))
    text = Page((tmp_path / "a.html").read_text()).text
    assert "2 of 2 attempts" in text
    assert "0.00 %" in text
    write_evaluation_report(tmp_path / "b.html", evaluation_of([one], reference_of(sample("QM9"))))
    assert "none" in (tmp_path / "b.html").read_text()


def test_ten_thousand_attempts_make_a_page_of_less_than_eight_megabytes(evaluation, tmp_path):
    one = evaluation.sets[1]
    many = replace(one.sample, verdicts=(one.sample.verdicts * 625)[:10_000])
    column = {"energy": number("energy", "energy", 1.0, 10_000, "attempts")}
    whole = Scored("many", (many,), ({},), one.measures | column)
    write_evaluation_report(tmp_path / "many.html", replace(evaluation, sets=(whole,)))
    assert (tmp_path / "many.html").stat().st_size < 8_000_000
    assert "500 of 10,000 attempts" in Page((tmp_path / "many.html").read_text()).text


def browse(url, folder):
    options = [
        "--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
        "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}",
        "--virtual-time-budget=8000", "--window-size=1300,1600",
    ]  # fmt: skip
    done = subprocess.run(
        [CHROMIUM, *options, "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "HOME": str(folder)},
    )
    return Page(done.stdout)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("", set(range(36))),
        ("#set=1&ring=6&verdict=novel&element=H&search=c6h6", {24}),
        ("#reason=no+bonds&verdict=invalid&sort=large", {17}),
    ],
)
def test_filters_in_a_browser_without_network(path, tmp_path, view, expected):
    drawn = browse(path.as_uri() + view, tmp_path)
    cards = [a for tag, a in drawn.tags if tag == "article" and (a.get("id") or "").startswith("molecule-")]
    order = [f"molecule-0-{index}" for index in range(20)] + [f"molecule-1-{index}" for index in range(16)]
    assert {order.index(card["id"]) for card in cards if "hidden" not in card} == expected
    assert f"{len(expected)} of 36 shown" in drawn.text
    assert next(a for tag, a in drawn.tags if tag == "html").get("data-webgl") == "yes"
    assert "Atomweave" in drawn.text
    assert not [a for tag, a in drawn.tags if tag == "title" and a]
    assert not [a for tag, a in drawn.tags if tag == "img" and a.get("src") == "x"]
