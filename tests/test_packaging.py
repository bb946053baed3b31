"""What is installed: the wheel holds all that the package needs and nothing else, and works in an empty environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import atomweave

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "atomweave"
SUFFIXES = {".py", ".c", ".h", ".yaml", ".safetensors", ".j2", ".js", ".css", ".html", ".txt", ".md", ".typed"}
SHIPPED = {
    "py.typed",
    "weights/weaver-qm9.safetensors",
    "weights/weaver-qm9-gap.safetensors",
    "weights/weaver-qm9-alpha.safetensors",
    "weights/weaver-drugs.safetensors",
    "weights/symphony-qm9.safetensors",
    "weights/gspherenet-plus-qm9.safetensors",
    "weights/gspherenet-qm9.safetensors",
    "presets/weaver-small.yaml",
    "kernels/fused.c",
    "kernels/sigmoid.h",
    "kernels/vector.h",
    "chemistry/view.html",
    "evaluation/references/qm9.safetensors",
    "evaluation/report/page.js",
    "evaluation/report/page.css",
    "evaluation/report/base.html.j2",
    "evaluation/report/assets/3Dmol-2.5.3-min.js",
    "evaluation/report/assets/3Dmol-2.5.3-LICENSE.txt",
    "discovery/discovery.html.j2",
}
TOP = {
    "src", "tests", "benchmarks", "examples", "docs", "scripts", "mkdocs.yml", "constraints.txt", "Makefile", "LICENSE",
    "CHANGELOG.md", "CITATION.cff", "README.md", "pyproject.toml", ".gitignore",
}  # fmt: skip
CACHES = {"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis", ".venv", ".ipynb_checkpoints"}


def planned(builder: WheelBuilder | SdistBuilder) -> set[str]:
    return {Path(file.distribution_path).as_posix() for file in builder.recurse_included_files()}


def test_wheel_holds_every_file_of_the_package_and_nothing_else():
    named = planned(WheelBuilder(str(ROOT)))
    there = {
        f"atomweave/{file.relative_to(SOURCE).as_posix()}"
        for file in SOURCE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert named == there
    assert {f"atomweave/{name}" for name in SHIPPED} <= named
    assert {Path(name).suffix or Path(name).name for name in named} <= SUFFIXES | {"py.typed"}


def test_sdist_holds_what_the_wheel_and_the_tests_need_and_no_caches():
    named = planned(SdistBuilder(str(ROOT)))
    assert {f"src/{name}" for name in planned(WheelBuilder(str(ROOT)))} <= named
    assert {"tests/test_packaging.py", "constraints.txt", "examples/notebooks/grow_and_look.ipynb"} <= named
    assert {name.split("/")[0] for name in named} <= TOP
    assert not [name for name in named if CACHES & set(Path(name).parts) or name.endswith((".pyc", ".so"))]


def test_package_citation_and_changelog_name_one_release():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    release = re.search(r"^## \[(.*?)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert atomweave.__version__ == citation["version"] == release[1] == version
    assert str(citation["date-released"]) == release[2]


def build(folder: Path, *options: str) -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), *options, str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    (wheel,) = folder.glob("*.whl")
    return wheel


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.long
def test_sdist_builds_the_same_wheel_and_it_works_in_an_empty_environment(tmp_path):
    from_tree = contents(build(tmp_path / "tree", "--wheel"))
    wheel = build(tmp_path / "sdist")
    assert contents(wheel) == from_tree
    (sdist,) = (tmp_path / "sdist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert not [name for name in archive.getnames() if CACHES & set(Path(name).parts)]

    # pip asks the registry that it is configured for: the one command here that may reach other machines.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    venv.create(tmp_path / "venv", with_pip=True)
    binaries, empty = tmp_path / "venv" / "bin", tmp_path / "empty"
    empty.mkdir()

    def install(what: str) -> None:
        pip = [binaries / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", what]
        subprocess.run(pip, check=True, env=environment, timeout=1800)

    def atomweave(*arguments: str) -> str:
        offline = {**environment, "PYTHONPATH": str(ROOT / "tests" / "offline")}
        command = [binaries / "atomweave", *arguments]
        done = subprocess.run(command, cwd=empty, env=offline, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    install(str(wheel))
    cards = atomweave("models")
    assert all(name in cards for name in ("weaver-qm9", "weaver-qm9-gap", "symphony-qm9", "gspherenet-qm9"))
    atomweave("sample", "weaver-qm9", "-n", "4", "-o", "x.xyz")
    install(f"{wheel}[eval]")
    atomweave("sample", "weaver-qm9", "-n", "4", "-o", "x.sdf", "--report", "x.html")
    assert (empty / "x.sdf").read_text().count("$$$$") == 4
    assert {file.name for file in empty.iterdir()} == {"x.xyz", "x.sdf", "x.html"}
