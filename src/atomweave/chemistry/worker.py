"""A perception worker: `python -m atomweave.chemistry.worker` answers frames on its standard input until that ends."""

from __future__ import annotations

import os
import signal
import sys

from .bonds import perceive_atoms, require_rdkit
from .worker_frames import READY, receive_molecules, send_perception


def main() -> None:
    """Answer molecules one by one, each as soon as it is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent ends its workers itself
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not mix with the replies
    require_rdkit()
    replies.write(READY)
    replies.flush()
    while molecules := receive_molecules(sys.stdin.buffer):
        for numbers, positions in molecules:
            send_perception(replies, perceive_atoms(numbers, positions))


if __name__ == "__main__":
    main()
