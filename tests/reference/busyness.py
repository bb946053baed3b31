"""How busy the machine is: what has to end within some seconds has as many times longer beside other work."""

from __future__ import annotations

import json
import time


def slowness() -> float:
    """Return how many times longer than by itself a piece of work takes now, beside all else on the machine."""
    wall, own = time.monotonic(), time.process_time()
    while time.process_time() - own < 0.1:
        json.dumps(list(range(1000)))
    return max(1.0, (time.monotonic() - wall) / (time.process_time() - own))
