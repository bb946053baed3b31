"""Settings of every test: one thread each, so that tests run beside one another and sums come out the same."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch
