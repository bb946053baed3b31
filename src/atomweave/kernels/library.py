"""Compiles the C kernels of this folder once a machine, and runs them on as many threads as torch has.

Nothing needs them: where there is no compiler, or `ATOMWEAVE_KERNELS=0` is set, every caller has the same mathematics
in torch. The library is built for the processor at hand and kept in the user's cache (`ATOMWEAVE_CACHE`, or
`XDG_CACHE_HOME`, or `~/.cache`), under a name that changes with source, compiler and processor.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from ..errors import IncompleteError
from ..files import write_atomic

# No -ffast-math: it would link code that flushes denormal numbers to zero in the whole process.
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared", "-std=gnu11")
NO_LIBRARY = (OSError, subprocess.SubprocessError, IncompleteError)
LONGEST_COMPILATION = 600.0  # seconds; 20 on an idle core, minutes on a machine that does much else


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled kernels, or None where they cannot be had."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or os.environ.get("ATOMWEAVE_KERNELS") == "0" or platform.system() not in ("Linux", "Darwin"):
        return None
    sources = sorted(Path(__file__).parent.glob("*.c"))
    described = [compiler, *FLAGS, platform.machine(), _processor()]
    texts = [source.read_text() for source in sorted(Path(__file__).parent.glob("*.[ch]"))]
    digest = hashlib.sha256("\n".join([*described, *texts]).encode()).hexdigest()
    name, own = f"kernels-{digest[:16]}.so", os.environ.get("ATOMWEAVE_CACHE")
    # A cache that cannot be written to, or whose files may not be executed, is no reason to stop.
    with contextlib.suppress(*NO_LIBRARY):
        path = (Path(own) if own else _users_cache()) / name
        if not path.exists():
            _compile(compiler, sources, path)
        return ctypes.CDLL(str(path))
    if not own:
        # What is loaded stays loaded when its file goes.
        with contextlib.suppress(*NO_LIBRARY), tempfile.TemporaryDirectory(prefix="atomweave-") as folder:
            _compile(compiler, sources, Path(folder) / name)
            return ctypes.CDLL(str(Path(folder) / name))
    return None


def _users_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "atomweave"


def _compile(compiler: str, sources: list[Path], path: Path) -> None:
    with write_atomic(path) as temporary:
        command = [compiler, *FLAGS, "-o", str(temporary), *map(str, sources), "-lm"]
        subprocess.run(command, check=True, capture_output=True, timeout=LONGEST_COMPILATION)  # noqa: S603
        temporary.chmod(0o755)


def _processor() -> str:
    """Return what tells this processor's instruction set from another's that shares the cache."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor()
    lines = cpuinfo.read_text().splitlines()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def run(name: str, arguments: ctypes.Structure, n_items: int) -> None:
    """Call a compiled function over runs of the items 0..n_items; see `in_parallel`.

    Args:
        name: of the C function, which takes a pointer to its arguments and the first and last item.
        arguments: what it reads and writes; the tensors behind its pointers must outlive the call.
        n_items: e.g. molecules, rows or edges.

    Raises:
        MemoryError: if the function finds no memory for its scratch space.
    """
    in_parallel(functools.partial(_function(name, type(arguments)), ctypes.byref(arguments)), n_items)


@functools.cache
def _function(name: str, arguments: type[ctypes.Structure]) -> Callable[..., int]:
    loaded = library()
    assert loaded is not None, "`compiled` was asked first"
    function = getattr(loaded, name)
    function.argtypes, function.restype = [ctypes.POINTER(arguments), ctypes.c_int64, ctypes.c_int64], ctypes.c_int
    return function


def in_parallel(task: Callable[[int, int], int], n_items: int) -> None:
    """Call `task(first, last)` over runs of the items 0..n_items, on as many threads as torch computes with.

    Raises:
        MemoryError: if a task returns anything but 0.
    """
    n_threads = torch.get_num_threads()
    if n_threads == 1 or n_items < 2:
        results = [task(0, n_items)]
    else:
        # Several runs a thread even out molecules of unequal size.
        n_runs = min(n_items, 4 * n_threads)
        bounds = [n_items * run // n_runs for run in range(n_runs + 1)]
        results = list(_pool(n_threads).map(task, bounds[:-1], bounds[1:]))
    if any(results):
        raise MemoryError("a compiled kernel found no memory for its scratch space")


@functools.cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="kernels")
