"""A perception worker that hangs on helium and dies on neon: what RDKit may do on molecules nobody can foresee."""

from __future__ import annotations

import os
import time

from atomweave.chemistry import worker

perceive_atoms = worker.perceive_atoms


def troubled(numbers, positions):
    if (numbers == 2).any():
        time.sleep(1000)
    if (numbers == 10).any():
        os.abort()
    return perceive_atoms(numbers, positions)


worker.perceive_atoms = troubled
worker.main()
