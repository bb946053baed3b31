"""Collect what a GPU machine without network lacks: small wheels and the data as one store, in gpu-bundle/.

    python scripts/gpu_bundle.py data/qm9.safetensors

Such a machine has torch, numpy, e3nn and safetensors for its driver; the wheels here are the configuration and
command-line libraries. The store holds what training reads, species and positions, not the properties.
scripts/gpu_leg.sh trains from the bundle.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from atomweave.data.store import MoleculeStore

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = ROOT / "gpu-bundle"
PACKAGES = ["pydantic", "omegaconf", "typer", "rich"]
GPU_MACHINES_PYTHON = "3.12"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"  # so that gpu_check.py can run from the same bundle
PLATFORMS = ["manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64"]
LIMIT = 60 * 2**20
"""Bytes; what may travel to such a machine."""


def collect_wheels(folder: Path) -> None:
    """Download the packages and all they need, in the exact versions of constraints.txt."""
    for python in sorted({GPU_MACHINES_PYTHON, HERE}):
        target = ["--implementation", "cp", "--python-version", python]
        target += [part for platform in PLATFORMS for part in ("--platform", platform)]
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--only-binary=:all:",
            "-c",
            ROOT / "constraints.txt",
        ]
        subprocess.run([*pip, *target, "-d", folder, *PACKAGES], check=True)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: gpu_bundle.py STORE.safetensors")
    store = MoleculeStore.open(sys.argv[1])
    shutil.rmtree(BUNDLE, ignore_errors=True)
    collect_wheels(BUNDLE / "wheels")
    # The store goes last: its presence says that the bundle is whole.
    replace(store, properties={}, units={}).write(BUNDLE / "qm9.safetensors")
    size = sum(file.stat().st_size for file in BUNDLE.rglob("*") if file.is_file())
    print(f"gpu-bundle: {size / 2**20:.1f} MiB of at most {LIMIT / 2**20:.0f}")
    if size > LIMIT:
        (BUNDLE / "qm9.safetensors").unlink()
        sys.exit(f"error: gpu-bundle holds {size} bytes, at most {LIMIT} may travel; make the store smaller.")


if __name__ == "__main__":
    main()
