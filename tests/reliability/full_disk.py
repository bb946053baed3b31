"""A disk that becomes full at any byte: a small tmpfs in a mount namespace of this process, where that is allowed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18


class FullDisk:
    """A folder that can be filled.

    Without the right to mount, the disk stays as it is, and the size of files is limited instead (RLIMIT_FSIZE): then
    a write fails within the file that grows beyond the limit.

    Args:
        folder: where the disk is to be; is made.
        size: of the disk in bytes.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        folder.mkdir()
        self.mounted = _mount_tmpfs(folder, size)
        self.how = "a full tmpfs" if self.mounted else "a limit on the size of files"

    def filled(self, rng: random.Random, needed: int, work: Callable[[int | None], Result]) -> Result:
        """Leave room for a random part of `needed` bytes while `work` runs, which is given the limit to set, if any."""
        if not self.mounted:
            return work(rng.randrange(needed // 2))
        ballast, page = self.folder / "ballast", os.sysconf("SC_PAGE_SIZE")
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(page))
        os.truncate(ballast, max(0, ballast.stat().st_size - rng.randrange(needed // page) * page))
        try:
            return work(None)
        finally:
            ballast.unlink()

    def elsewhere(self) -> Path | None:
        """Return a new folder on another file system, if there is one."""
        for parent in (self.folder.parent, Path("/dev/shm")):  # noqa: S108 - any other file system will do
            if parent.is_dir() and parent.stat().st_dev != self.folder.stat().st_dev:
                return Path(tempfile.mkdtemp(dir=parent))
        return None


def _mount_tmpfs(folder: Path, size: int) -> bool:
    """Mount a tmpfs that only this process and its children see, and that ends with them; return whether it worked."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    try:
        if libc.unshare(CLONE_NEWNS) != 0:
            if libc.unshare(CLONE_NEWNS | CLONE_NEWUSER) != 0:
                return False
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        if libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) != 0:
            return False
        return libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, f"size={size}".encode()) == 0
    except (AttributeError, OSError):  # no Linux, or a kernel that forbids it
        return False
