"""The documentation site has every page, builds without a warning, and refers to nothing outside of itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = re.compile(r"(?:https?:)?//")


def pages(nav: list | dict | str) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [page for entry in entries for page in pages(entry)]


def test_navigation_names_every_page_once():
    named = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert sorted(named) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


class Assets(HTMLParser):
    """Collects what a page loads by itself: links that a reader follows are none of it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag in {"script", "img", "iframe", "source", "video", "audio", "embed"}:
            self.found.append(attributes.get("src") or "")
        if tag == "link":
            self.found.append(attributes.get("href") or "")
        if tag == "object":
            self.found.append(attributes.get("data") or "")


def outside(site: Path) -> list[str]:
    """Return what pages and style sheets load from elsewhere."""
    loaded = [asset for page in site.rglob("*.html") for asset in Assets(page.read_text(encoding="utf-8")).found]
    for sheet in site.rglob("*.css"):
        loaded += re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s;]+)", sheet.read_text(encoding="utf-8"))
    return [asset for asset in loaded if OUTSIDE.match(asset)]


def test_what_a_page_loads_from_outside_is_seen(tmp_path):
    (tmp_path / "a.html").write_text('<link href="https://x/y.css"><a href="https://x">fine</a><img src="a.svg">')
    (tmp_path / "a.css").write_text("@import '//x/z.css'; a {background: url(b.png)}")
    assert outside(tmp_path) == ["https://x/y.css", "//x/z.css"]


@pytest.mark.long
def test_site_builds_without_warnings_and_loads_nothing_from_outside(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", tmp_path]
    built = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr + built.stdout
    assert (tmp_path / "index.html").exists()
    assert outside(tmp_path) == []
    formulas = (tmp_path / "likelihood.html").read_text(encoding="utf-8")
    assert "<math" in formulas
    assert "arithmatex" not in formulas
