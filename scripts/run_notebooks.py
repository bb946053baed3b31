"""Execute the notebooks of examples/notebooks anew and write them back with their outputs.

    python scripts/run_notebooks.py [NOTEBOOK ...]

Each runs from an empty folder, with one thread a process. What differs from run to run and says nothing (times of
execution, versions of the kernel) is left out.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from atomweave.files import write_atomic

NOTEBOOKS = Path(__file__).resolve().parent.parent / "examples" / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
SECONDS = 600
"""Within which a cell has to end."""


def execute(path: Path) -> nbformat.NotebookNode:
    """Return the notebook with the outputs of running it now.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the kernel inherits it
    with tempfile.TemporaryDirectory() as channels, tempfile.TemporaryDirectory() as folder:
        # Sockets that are files of this user; TCP would be open to all of the machine.
        kernel = Config(KernelManager={"transport": "ipc", "ip": f"{channels}/kernel"})
        place = {"metadata": {"path": folder}}
        NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3", record_timing=False, resources=place, config=kernel
        ).execute()
    notebook.metadata = nbformat.from_dict(METADATA)
    return notebook


def main() -> None:
    """Execute those named, or all."""
    for path in map(Path, sys.argv[1:]) if len(sys.argv) > 1 else sorted(NOTEBOOKS.glob("*.ipynb")):
        text = nbformat.writes(execute(path))
        with write_atomic(path) as written:
            written.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        print(f"{path.name}: {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
