"""Write constraints.txt: the exact version of everything that any extra of Atomweave installs.

    python scripts/pin.py          # keep the torch that is pinned now
    python scripts/pin.py 2.14.0   # move to another torch

Asks pip to resolve all extras afresh, installs nothing. What torch brings for a GPU is left out: torch itself pins it
exactly, and its CPU build has none of it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
HEADER = """\
# Exact versions of everything that any extra installs; `pip install -c constraints.txt -e ".[eval]"`.
# Written by scripts/pin.py. The figures in docs/ were measured with these.
"""
NEEDED_BY_LATER_PYTHONS = ["setuptools"]  # torch asks for it from Python 3.12 on


def resolve(torch: str) -> dict[str, str]:
    """Return {name: version} of what pip would install into an empty environment."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = [f"torch=={torch}", *NEEDED_BY_LATER_PYTHONS, "-e", f"{ROOT}[{','.join(extras)}]"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", report]
        subprocess.run([*pip, *wanted], check=True)
        packages = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    # A local label such as +cpu names a build, not a version; the pin must fit every build.
    versions = {package["name"]: package["version"].split("+")[0] for package in packages}
    return {
        name: version
        for name, version in versions.items()
        if name != "atomweave" and not re.match("nvidia-|cuda-|triton", name)
    }


def main() -> None:
    if len(sys.argv) > 1:
        torch = sys.argv[1]
    else:
        torch = re.search(r"^torch==(\S+)", CONSTRAINTS.read_text(), re.MULTILINE).group(1)
    versions = resolve(torch)
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items(), key=lambda item: item[0].lower())]
    CONSTRAINTS.write_text(HEADER + "".join(lines))


if __name__ == "__main__":
    main()
