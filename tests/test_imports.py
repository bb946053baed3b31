"""What may be imported when: the start stays light, optional packages stay optional, dependencies point one way."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import atomweave

HEAVY = {"torch", "e3nn", "rdkit", "ase", "pyscf", "scipy", "matplotlib", "jinja2", "pandas"}
OPTIONAL = {
    "rdkit",
    "ase",
    "pyscf",
    "matplotlib",
    "jinja2",
    "pebble",
    "pandas",
    "qm9pack",
    "openbabel",
    "dask",
    "distributed",
}
OPTIONAL |= {"vesin", "zuko", "posebusters", "tblite", "scipy", "hypothesis", "beartype"}

BELOW = {
    "errors": set(),
    "columns": {"errors"},
    "config": {"errors"},
    "extensions": {"errors"},
    "files": {"errors"},
    "isolation": {"errors", "extensions", "versions"},
    "memory": set(),
    "randomness": {"errors"},
    "species": {"errors"},
    "arrayfile": {"errors", "files"},
    "tensorfile": {"arrayfile", "errors", "files"},
    "versions": set(),
    "molecule": {"errors", "species"},
    "io": {"molecule"},
    "data": {"molecule", "io"},
    "kernels": set(),
    "geometry": {"molecule", "kernels"},
    "chemistry": {"molecule", "kernels"},
    "growth": {"molecule", "data", "geometry", "chemistry"},
    "models": {"growth"},
    "training": {"models"},
    "evaluation": {"molecule", "io", "data", "chemistry"},
    "properties": {"training"},
    "discovery": {"properties", "evaluation"},
    "cli": {"discovery"},
}
"""For each part, the parts directly below it; it may import those, what lies below them, and the plain modules."""

PLAIN = {
    "arrayfile",
    "columns",
    "config",
    "errors",
    "extensions",
    "files",
    "isolation",
    "memory",
    "randomness",
    "species",
    "tensorfile",
    "versions",
}


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "code",
    ["import atomweave", "from atomweave.cli.main import run; run(['--help'])", "import atomweave; dir(atomweave)"],
)
def test_start_imports_nothing_heavy(code):
    loaded = run_python(f"{code}\nimport sys; print('modules:', *sys.modules)").rpartition("modules:")[2].split()
    assert "atomweave" in loaded
    assert not HEAVY & set(loaded)


def all_modules() -> list[str]:
    found = pkgutil.walk_packages(atomweave.__path__, "atomweave.")
    return [module.name for module in found if not module.name.endswith("__main__")]


def test_every_module_imports_without_the_optional_packages():
    code = f"""
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            raise ModuleNotFoundError(f"{{name}} is absent", name=name)
sys.meta_path.insert(0, Absent())
for name in {all_modules()!r}:
    importlib.import_module(name)
print("all imported")
"""
    assert "all imported" in run_python(code)


def test_every_public_name_exists():
    for name in atomweave.__all__:
        assert getattr(atomweave, name) is not None
    assert len(atomweave.__all__) <= 15


def allowed(part: str) -> set[str]:
    names = {part} if part in PLAIN else {part} | PLAIN
    for below in BELOW[part]:
        names |= allowed(below)
    return names


def parts_imported(file: Path, package: list[str]) -> set[str]:
    """Return the parts of atomweave that a file imports when it is itself imported (not inside functions)."""
    parts = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = [*base, *(node.module or "").split(".")] if node.module else base
            names = [[*target, alias.name] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [[*(node.module or "").split("."), alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        else:
            continue
        parts |= {name[1] for name in names if name[0] == "atomweave" and len(name) > 1}
    return parts & set(BELOW)


def test_dependencies_point_one_way():
    root = Path(atomweave.__file__).parent
    wrong = []
    for file in sorted(root.rglob("*.py")):
        relative = file.relative_to(root)
        part = relative.parts[0].removesuffix(".py")
        if part not in BELOW:
            continue
        package = ["atomweave", *relative.parts[:-1]]
        wrong += [f"{relative} imports {other}" for other in parts_imported(file, package) - allowed(part)]
    assert not wrong


def test_every_part_is_named_in_the_order():
    root = Path(atomweave.__file__).parent
    folders = {folder.name for folder in root.iterdir() if (folder / "__init__.py").exists()}
    assert folders <= set(BELOW)
    for name in folders:
        importlib.import_module(f"atomweave.{name}")
