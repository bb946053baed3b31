from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from atomweave.evaluation.headline import summarise
from atomweave.evaluation.report import page as page_module
from atomweave.evaluation.report import write_report
from atomweave.evaluation.validity import assess
from atomweave.molecule import Molecule
from reference import worked_molecules as worked

HOSTILE = "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\"><!--"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ASSETS = Path(page_module.__file__).parent / "assets"


class Page(HTMLParser):
    """Counts elements and keeps what stands inside scripts and table cells."""

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


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    named = Molecule(worked.water().numbers, worked.water().positions, {"name": HOSTILE})
    molecules = [worked.benzene(), named, worked.methane_and_water(), worked.garbage(), worked.argon(), None]
    verdicts = assess([*molecules, worked.methane()], [True] * 5 + [False] * 2, [""] * 6 + [HOSTILE])
    path = tmp_path_factory.mktemp("report") / "molecules.html"
    write_report(path, verdicts, summarise(verdicts), HOSTILE, {"seed": 0, HOSTILE: HOSTILE})
    return path


@pytest.fixture(scope="module")
def parsed(report):
    return Page(report.read_text(encoding="utf-8"))


def records(parsed):
    return json.loads(parsed.scripts[0])


def test_the_page_holds_every_attempt_with_its_facts(parsed):
    facts = records(parsed)
    assert [fact["formula"] for fact in facts] == ["C6H6", "H2O", "CH6O", worked.garbage().formula, "Ar", "", "CH4"]
    assert [fact["valid"] for fact in facts] == [True, True, True, False, False, False, False]
    assert [fact["strict"] for fact in facts] == [True, True, False, False, False, False, False]
    assert facts[2]["n_fragments"] == 2
    assert facts[4]["reason"] == "no bonds"
    assert facts[1]["bonds"] == [0, 1, 1.0, 0, 2, 1.0]
    assert len(facts[0]["positions"]) == 36
    assert facts[0]["drawing"].startswith("data:image/svg+xml;base64,")


def test_hostile_names_stay_text(parsed):
    assert len(parsed.scripts) == 3  # data, viewer, behaviour: nothing else became a script
    assert not any(attribute.startswith("on") for _, attributes in parsed.tags for attribute in attributes)
    assert [attributes.get("src") for tag, attributes in parsed.tags if tag == "img"] == [None]
    assert records(parsed)[1]["name"] == HOSTILE
    assert records(parsed)[6]["reason"] == HOSTILE
    assert "</script" not in parsed.scripts[0]


def test_only_our_scripts_may_run_and_nothing_is_fetched(parsed):
    policy = next(a["content"] for tag, a in parsed.tags if tag == "meta" and "content" in a and "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in re.search(r"script-src ([^;]*)", policy)[1]
    assert not [a for tag, a in parsed.tags if tag == "link" or (tag == "script" and "src" in a)]


def test_the_table_stands_in_the_page(parsed):
    for expected in ("xyz2mol-valid", "3 of 7 attempts", "42.86 %", "95 % interval", "99.99 %"):
        assert expected in parsed.text


def test_the_wall_is_limited_but_the_table_is_not(tmp_path):
    verdicts = assess([worked.methane()] * 5)
    write_report(tmp_path / "few.html", verdicts, summarise(verdicts), "few", {}, max_molecules=2)
    parsed = Page((tmp_path / "few.html").read_text(encoding="utf-8"))
    assert len(records(parsed)) == 2
    assert "5 of 5 attempts" in parsed.text
    assert "2 of 5 attempts shown" in parsed.text


def test_the_viewer_is_the_published_one():
    viewer = (ASSETS / page_module.VIEWER).read_bytes()
    assert hashlib.sha256(viewer).hexdigest() in (ASSETS / "ORIGIN.md").read_text()
    assert b"University of Pittsburgh" in (ASSETS / "3Dmol-2.5.3-LICENSE.txt").read_bytes()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_a_browser_draws_the_molecules_and_runs_nothing_else(report, tmp_path):
    options = [
        "--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
        "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", f"--user-data-dir={tmp_path}", "--virtual-time-budget=10000", "--window-size=1300,1600",
    ]  # fmt: skip
    done = subprocess.run(
        [CHROMIUM, *options, "--dump-dom", report.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    drawn = Page(done.stdout)
    root = next(attributes for tag, attributes in drawn.tags if tag == "html")
    cards = [attributes for tag, attributes in drawn.tags if tag == "article" and "id" in attributes]
    assert root.get("data-webgl") == "yes"
    assert len(cards) == 7
    assert sum("data-painted" in card for card in cards) == 6  # all but the attempt without atoms
    assert sum(tag == "canvas" for tag, _ in drawn.tags) <= 7 + 1 + 2  # stills, the template's, two viewers
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1]
    assert title.startswith("&lt;/script&gt;")
    assert title.endswith("Atomweave")
    assert "7 of 7 shown" in drawn.text
