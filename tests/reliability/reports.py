"""Reports in a browser."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from atomweave import Molecule
from atomweave.discovery.discover import Discovery
from atomweave.discovery.drawn import Drawn
from atomweave.discovery.measured import Measured
from atomweave.discovery.plan import Plan
from atomweave.discovery.provenance import RANDOM, SCORED, Entry
from atomweave.discovery.report import write_results
from atomweave.discovery.table2 import of_data
from atomweave.evaluation.evaluation import Evaluation, PublishedRow, Scored, Suite
from atomweave.evaluation.headline import summarise
from atomweave.evaluation.measure import number
from atomweave.evaluation.metric import Result
from atomweave.evaluation.reference import Reference
from atomweave.evaluation.report import write_evaluation_report, write_report
from atomweave.evaluation.sample import Sample
from atomweave.evaluation.validity import Verdict, assess
from reference import worked_molecules as worked

from .counts import Count, check

PAYLOADS = (
    "<script>RUN</script>", "</script><script>RUN</script>", "</SCRIPT ><ScRiPt>RUN</sCrIpT>",
    "<img src=x onerror=RUN>", "<svg onload=RUN>", "<svg><script>RUN</script></svg>", '"><img src=x onerror=RUN>',
    "'><img src=x onerror=RUN>", "--><script>RUN</script>", "<!--<script>RUN</script>", "]]><script>RUN</script>",
    "</title><script>RUN</script>", "</style><script>RUN</script>", "</textarea><script>RUN</script>",
    "</svg></math><script>RUN</script>", "<iframe srcdoc='<script>parent.RUN</script>'>",
    "<iframe src=javascript:RUN>", "<a href=javascript:RUN id=x autofocus onfocus=RUN>x</a>", "javascript:RUN//",
    "<details open ontoggle=RUN>x", "<input autofocus onfocus=RUN>",
    "<math><mtext></table><mglyph><style><img src=x onerror=RUN>", "{{constructor.constructor('RUN')()}}", "${RUN}",
    "');RUN//", '";RUN//', "\\u003cscript\\u003eRUN\\u003c/script\\u003e", "&lt;script&gt;RUN&lt;/script&gt;",
    "<base href=HOST><script src=a.js></script>",
    "<meta http-equiv=refresh content='0;url=HOST'><link rel=stylesheet href=HOST><img src=HOST>",
    "\u2028RUN\u2029//", "<body onload=RUN><template><script>RUN</script></template>",
)  # fmt: skip
"""What would run RUN, or ask HOST for something, were it ever taken for markup or script."""

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def payloads(n: int, host: str = "http://127.0.0.1:9/") -> list[str]:
    """Return `n` payloads; payload i sets the attribute data-ran-i of the page when it runs."""
    texts = [PAYLOADS[i % len(PAYLOADS)] for i in range(n)]
    run = "document.documentElement.setAttribute('data-ran-{}','1')"
    return [text.replace("RUN", run.format(i)).replace("HOST", f"{host}{i}") for i, text in enumerate(texts)]


def write_pages(folder: Path, names: Sequence[str]) -> list[Path]:
    """Write the report of a sample, of an evaluation and of a discovery run, names wherever a name can stand."""
    folder.mkdir()
    water = worked.water()
    molecules = [Molecule(water.numbers, water.positions, {"name": name, name or "x": name}) for name in names]
    (sound,) = assess([water], workers=1)
    verdicts = [
        Verdict(molecule, True, dataclasses.replace(sound.perception, smiles=name, detail=name), reason, name)
        for molecule, name, reason in zip(
            molecules, names, [name if i % 3 == 0 else "" for i, name in enumerate(names)], strict=True
        )
    ]
    everything = " ".join(names)
    told = {name: name for name in names} | {"seed": everything}
    write_report(folder / "sample.html", verdicts, summarise(verdicts), everything, told)
    write_evaluation_report(folder / "evaluation.html", _evaluation(verdicts, names))
    write_results(_discovery(folder, verdicts, names))
    return [folder / "sample.html", folder / "evaluation.html", folder / "report.html"]


def _evaluation(verdicts: list[Verdict], names: Sequence[str]) -> Evaluation:
    everything = " ".join(names)
    sample = Sample(everything, tuple(verdicts), everything, tuple(names))
    measures = summarise(verdicts).measures
    rough = number("rough", names[0], 0.1, 2, names[1], names[2], better="low", floor=0.05, note=everything)
    columns: dict[str, list[Any]] = {name: [name] * len(names) for name in names}
    results = {"headline": Result(measures), "rough": Result((rough,), columns)}
    figures = {measure.name: measure for result in results.values() for measure in result.measures}
    scored = Scored(everything, (sample,), (results,), figures)
    published = PublishedRow(names[3], names[4], names[5], {"valid": 0.8}, {"valid": 0.01})
    suite = Suite(names[6], names[7], (), ("valid", "rough"), (published,), everything)
    reference = Reference(everything, {"valid": 0.99}, n_molecules=3, data=names[8])
    return Evaluation((scored,), reference, (suite,), {name: name for name in names}, {names[9]: names[10]})


def _discovery(folder: Path, verdicts: list[Verdict], names: Sequence[str]) -> Discovery:
    everything = " ".join(names)
    plan = Plan(
        target="gap", direction="minimize", threshold=4.5, model=everything.replace("/", "\\"),
        model_sha256=everything, data=everything, data_sha256=everything, split=everything,
        method=everything, recipe=everything, screen=names[0],
    )  # fmt: skip
    drawn = Drawn("fine-tuned", tuple(verdicts), 0, everything, folder / "molecules.sdf")
    entries = tuple(
        Entry("fine-tuned", 0, i, 0, name, name, name, drawn=RANDOM, fate=SCORED, value=3.0 + i / 10)
        if i % 2
        else Entry("fine-tuned", 0, i, 0, name, name, name, drawn=RANDOM, fate="failed", reason=name)
        for i, name in enumerate(names)
    )
    values = np.linspace(3.0, 11.0, 50)
    row = of_data(names[0], names[1], values, plan.objective)
    return Discovery(plan, folder, (row,) * 3, values, values[:9], None, Measured(drawn, entries, plan), (), None)


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes, and what stands in its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count an element."""
        self.elements[tag, tuple(sorted(name for name, _ in attrs))] += 1
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        """Keep what a script holds."""
        if self.cdata_elem == "script":
            self.scripts[-1] += data


@check(unit="payloads", small=32, large=32)
def parsed_reports(size: int, seed: int, folder: Path) -> Count:
    """Hostile names, SMILES, reasons, labels and titles become no element, attribute or script of a report (of a
    sample, of an evaluation with its gallery, of a discovery run): the page has the elements that it has with plain
    names.
    """
    hostile, plain = payloads(size), [f"name {i}" for i in range(size)]
    failures = []
    for page, same in zip(write_pages(folder / "hostile", hostile), write_pages(folder / "plain", plain), strict=True):
        text = page.read_text(encoding="utf-8")
        found, wanted = Elements(text), Elements(same.read_text(encoding="utf-8"))
        differ = {**(found.elements - wanted.elements), **(wanted.elements - found.elements)}
        failures += [f"{page.name}: {n} elements {element} too many or too few" for element, n in differ.items()]
        failures += [] if found.scripts[1:] == wanted.scripts[1:] else [f"{page.name}: a script differs"]
        failures += [] if isinstance(json.loads(found.scripts[0]), list | dict) else [f"{page.name}: no data"]
        failures += [f"{page.name}: {name!r} as it is" for name in hostile if "<" in name and name in text]
    return Count(size, failures, {"pages": 3})


@check(unit="payloads", small=32, large=32)
def browsed_reports(size: int, seed: int, folder: Path) -> Count:
    """In Chromium without network none of these payloads runs and nothing is asked of any host, loopback included."""
    if CHROMIUM is None:
        return Count(0, ["there is no Chromium on this machine: apt-get install chromium"])
    asked: list[str] = []

    class Host(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server looks for
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        host = f"http://127.0.0.1:{server.server_port}/"
        pages = write_pages(folder / "hostile", payloads(size, host))
        caught = folder / "caught.html"  # the same without protection: what looks for payloads finds them
        caught.write_text(f"<!doctype html><html><body>{payloads(size, host)[3]}<img src={host}control></body></html>")
        failures = [f"{page.name}: {what}" for page in pages for what in _ran(page, folder)]
        failures += [f"{path} was asked for" for path in asked]
        if not _ran(caught, folder) or "/control" not in asked:
            failures.append("a page without protection ran nothing: this check sees nothing")
    finally:
        server.shutdown()
        server.server_close()
    return Count(size, failures, {"pages": len(pages)})


def _ran(page: Path, folder: Path) -> list[str]:
    """Open a page, also with payloads in its address, and return the payloads that ran."""
    options = [
        "--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
        "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=5000",
    ]  # fmt: skip
    address = f"{page.as_uri()}#search=<img src=x onerror=document.documentElement.setAttribute('data-ran-hash','1')>"
    done = subprocess.run(
        [str(CHROMIUM), *options, "--dump-dom", address],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        env={**os.environ, "HOME": str(folder)},
    )
    root = re.search(r"<html[^>]*>", done.stdout)
    drawn = page.name == "caught.html" or "data-webgl" in (root[0] if root else "")
    return re.findall(r"data-ran-\w+", root[0] if root else "") + (
        [] if drawn else ["the page's own scripts did not run"]
    )
