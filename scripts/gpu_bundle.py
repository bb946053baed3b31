"""Collect what a GPU machine without network lacks: small wheels and the data as one store, in gpu-bundle/.

    python scripts/gpu_bundle.py data/qm9.safetensors

Such a machine has torch, numpy, e3nn and safetensors for its driver; the wheels here are the configuration and
command-line libraries, for every Python that Atomweave runs on. scripts/gpu_leg.sh trains from the bundle.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = ROOT / "gpu-bundle"
PACKAGES = ["pydantic", "omegaconf", "typer", "rich"]
PYTHONS = ["3.11", "3.12", "3.13"]
PLATFORMS = ["manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64"]
LIMIT = 60 * 2**20
"""Bytes; what travels to such a machine together with the source tree."""


def collect_wheels(folder: Path) -> None:
    for python in PYTHONS:
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
    store = Path(sys.argv[1])
    shutil.rmtree(BUNDLE, ignore_errors=True)
    collect_wheels(BUNDLE / "wheels")
    # The store goes last: its presence says that the bundle is whole.
    shutil.copyfile(store, BUNDLE / "qm9.safetensors")
    size = sum(file.stat().st_size for file in BUNDLE.rglob("*") if file.is_file())
    print(f"gpu-bundle: {size / 2**20:.1f} MiB of {LIMIT / 2**20:.0f}")
    if size > LIMIT:
        (BUNDLE / "qm9.safetensors").unlink()
        sys.exit(f"error: gpu-bundle holds {size} bytes, at most {LIMIT} may travel; make the store smaller.")


if __name__ == "__main__":
    main()
