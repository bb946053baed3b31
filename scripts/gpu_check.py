"""Run one leg of training for a minute on the CPU, from gpu-bundle/ alone, as a GPU machine would.

Makes an environment that holds only what such a machine has: torch, numpy, e3nn, safetensors and what they need, linked
from the environment that runs this script. RDKit, ASE, pydantic and the rest are absent there, so a training path
that came to need one of them fails here first.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRESENT = ["torch", "numpy", "e3nn", "safetensors"]
LEG = ["weaver-small", "--max-minutes", "1"]
DONE, STEPS_ARE_LEFT = 0, 5


def closure(names: list[str]) -> set[str]:
    """Return the distributions that `names` need, themselves included."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        try:
            requirements = distribution(name).requires or []
        except PackageNotFoundError:
            continue  # needed on other platforms only
        found.add(name)
        plain = [requirement for requirement in requirements if "extra ==" not in requirement]
        waiting += {re.match(r"[\w.-]+", requirement).group().lower() for requirement in plain} - found
    return found


def furnish(environment: Path) -> Path:
    """Make an environment with `PRESENT` alone; return its interpreter."""
    venv.create(environment, with_pip=True)
    (site,) = environment.glob("lib/python*/site-packages")
    for name in closure(PRESENT):
        package = distribution(name)
        for top in {file.parts[0] for file in package.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            link = site / top
            if not link.exists():
                link.symlink_to(package.locate_file(top))
    return environment / "bin" / "python"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        python = furnish(Path(folder) / "environment")
        for absent in ("rdkit", "ase", "pydantic", "omegaconf"):
            probe = subprocess.run([python, "-c", f"import {absent}"], capture_output=True, check=False)
            if probe.returncode == 0:
                sys.exit(f"error: {absent} can be imported in the bare environment; the check would prove nothing.")
        out = Path(folder) / "leg"
        leg = [ROOT / "scripts" / "gpu_leg.sh", *LEG, "--out", out]
        status = subprocess.run(leg, check=False, env={**os.environ, "PYTHON": str(python)}).returncode
        if status not in (DONE, STEPS_ARE_LEFT):
            sys.exit(status)
        size = (out / "last.safetensors").stat().st_size
        print(f"gpu-check: one leg ran from the bundle alone; its weights take {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
