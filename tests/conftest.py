"""Settings of every test: one thread each, so that tests run beside one another and sums come out the same."""

from __future__ import annotations

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

# A shell starts what goes to the background with Ctrl-C ignored, and children inherit that; tests send it to children.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
