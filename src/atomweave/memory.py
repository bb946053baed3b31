"""Keep freed memory in the process.

glibc hands large buffers back to the system at every free, and the next step pays for the same pages again, one page
fault each. On big activations that dominates the time of a step.
"""

from __future__ import annotations

import ctypes
import platform

# Parameters of mallopt(3), from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Let the allocator keep what is freed for the next step, as long as the process lives.

    The same as starting the process with MALLOC_MMAP_MAX_=0, MALLOC_TRIM_THRESHOLD_ and MALLOC_TOP_PAD_ set high.

    Returns:
        Whether it took effect: only on Linux with glibc; elsewhere nothing is done.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    # glibc refuses thresholds above 32 MiB, and activations are larger: so no separate mappings at all.
    wanted = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * 2**20))
    return all(mallopt(parameter, value) == 1 for parameter, value in wanted)
