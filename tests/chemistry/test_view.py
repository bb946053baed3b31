"""A molecule shows itself in a notebook: HTML that stands alone, turns in a browser, and runs nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from base64 import b64decode
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from atomweave.molecule import Molecule
from reference import worked_molecules as worked

BREAK = "document.title='broken'"
HOSTILE = f'</iframe></script><script>{BREAK}</script>"><img src=x onerror="{BREAK}">'
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Elements(HTMLParser):
    """Keeps every element with its attributes, and the text outside of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def only(self, tag):
        (attributes,) = [attributes for name, attributes in self.found if name == tag]
        return attributes


def named(name):
    return Molecule(worked.water().numbers, worked.water().positions, {"name": name})


def data_of(molecule):
    page = Elements(molecule._repr_html_()).only("iframe")["srcdoc"]
    return json.loads(re.search(r"= (\[\[.*\]\]);", page)[1])


def test_molecule_brings_a_still_picture_a_sandboxed_frame_and_a_caption():
    shown = Elements(worked.benzene()._repr_html_())
    kind, _, picture = shown.only("img")["src"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    svg = ET.fromstring(b64decode(picture))  # noqa: S314 - of this package's own making
    assert len(svg.findall(".//{*}circle")) == 12
    assert len(svg.findall(".//{*}line")) == 2 * 12
    frame = shown.only("iframe")
    assert frame["sandbox"] == "allow-scripts"
    assert "default-src 'none'" in Elements(frame["srcdoc"]).found[1][1]["content"]
    assert shown.text == "C6H6, 12 atoms"
    assert repr(worked.benzene()) == "Molecule(C6H6, 12 atoms)"


def test_nothing_is_loaded_from_elsewhere_and_outputs_stay_small():
    text = worked.benzene()._repr_html_()
    page = Elements(text).only("iframe")["srcdoc"].replace("http://www.w3.org/2000/svg", "")
    assert "//" not in page
    assert "id=" not in text.partition("<iframe")[0]  # several in a page do not meet
    assert len(text) < 20_000


def test_hostile_names_are_text():
    shown = Elements(named(HOSTILE)._repr_html_())
    assert [tag for tag, _ in shown.found] == ["div", "div", "img", "iframe", "div"]
    assert shown.text.startswith("</iframe></script><script>document")
    assert "broken" not in shown.only("iframe")["srcdoc"]
    assert "\x1b" not in named("\x1b")._repr_html_()


def test_long_names_are_cut():
    assert Elements(named("x" * 1000)._repr_html_()).text == f"{'x' * 80}…, H2O, 3 atoms"


def test_distances_and_handedness_are_those_of_the_molecule():
    positions = np.array([[0, 0, 0], [1.1, 0, 0], [-0.3, 1.4, 0], [-0.3, -0.5, 1.8], [-0.4, -0.6, -1.2]])
    for hand in (1, -1):
        molecule = Molecule(["C", "H", "F", "Cl", "O"], positions * [hand, 1, 1])
        drawn = np.array(data_of(molecule)[0]) / 100 * [1, -1, 1]  # y of the screen points down
        wanted = molecule.positions
        distances = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (drawn, wanted)]
        np.testing.assert_allclose(*distances, atol=0.02)
        volumes = [np.linalg.det(x[1:4] - x[0]) for x in (drawn, wanted)]
        np.testing.assert_allclose(*volumes, atol=0.1)


@pytest.mark.parametrize(
    ("molecule", "n_parts"),
    [
        (worked.argon(), 1),
        (Molecule(["N", "N"], [[0, 0, 0], [0, 0, 1.1]]), 4),
        (Molecule(["C", "C"], [[-9e7, 0, 0], [9e7, 0, 0]]), 2),
    ],
)
def test_atoms_alone_linear_and_far_apart_are_drawn(molecule, n_parts):
    assert len(data_of(molecule)[2]) == n_parts


def test_very_large_molecules_have_a_caption_only():
    side = np.arange(9) * 1.5
    grid = np.stack(np.meshgrid(side, side, side), -1).reshape(-1, 3)
    shown = Elements(Molecule(np.full(len(grid), 6), grid)._repr_html_())
    assert [tag for tag, _ in shown.found] == ["div", "div"]
    assert shown.text == "C729, 729 atoms, more than 500, not drawn"


TURN = """
<title>whole</title>
<script>
addEventListener("load", () => {
  const drawn = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument;
    const svg = page.querySelector("svg");
    const place = (ball) => [ball.getAttribute("cx"), ball.getAttribute("cy")].join();
    const places = () => [...svg.querySelectorAll("circle")].map(place).sort().join(" ");
    const before = places();
    const at = (type, x) => svg.dispatchEvent(new PointerEvent(type, { pointerId: 1, clientX: x, clientY: x }));
    svg.setPointerCapture = () => {};
    at("pointerdown", 100); at("pointermove", 140); at("pointerup", 140);
    const turned = places() !== before;
    at("pointermove", 200);
    svg.dispatchEvent(new MouseEvent("dblclick"));
    return [page.documentElement.dataset.drawn, turned, places() === before].join();
  });
  document.documentElement.dataset.result = drawn.join(";");
});
</script>
"""


def dumped(page, folder):
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    options += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder}"]
    options += ["--virtual-time-budget=5000", "--dump-dom"]
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(
        [CHROMIUM, *options, path.as_uri()], capture_output=True, text=True, timeout=120, check=True, env=environment
    )
    return Elements(done.stdout)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_a_browser_turns_several_in_a_page_and_runs_nothing_else(tmp_path):
    shown = worked.benzene()._repr_html_() + named(HOSTILE)._repr_html_()
    # The test looks into the frames, which their sandbox forbids; everything else is as in a notebook.
    opened = shown.replace('sandbox="allow-scripts"', 'sandbox="allow-scripts allow-same-origin"')
    page = dumped(TURN + opened, tmp_path)
    # Benzene: 12 atoms, 12 bonds in halves; water 3 and 2.
    assert page.only("html")["data-result"] == "36,true,true;7,true,true"
    assert "whole" in page.text
