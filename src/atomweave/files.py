"""Files that are either whole or absent: atomic writes and content hashes."""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .errors import IncompleteError, UsageError, printable

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says where a disk is full, a quota is used up, or a file may not grow further."""


@contextlib.contextmanager
def write_atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; it replaces `path` when the block ends well.

    The temporary file lies beside the target, so that the replacement never crosses file systems. It keeps
    the target's suffix, because some writers choose their format by it. If the block raises, the target is untouched.

    Raises:
        IncompleteError: if the disk is full.
    """
    path = Path(path)
    with room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Turn a full disk, which many a writer reports without the name of its file, into a sentence that names `path`.

    Raises:
        IncompleteError: if the block finds no room.
    """
    try:
        yield
    except Exception as error:
        number = _number_of(error)
        if number is None or number not in NO_ROOM:
            raise
        raise IncompleteError(
            f"{printable(str(path))}: cannot be written ({os.strerror(number)}); make room and run it again."
        ) from None


def _number_of(error: Exception) -> int | None:
    """Return the system's number of an error; sqlite has names of its own, and safetensors tells it in words alone."""
    if isinstance(error, OSError):
        return error.errno
    if getattr(error, "sqlite_errorname", None) == "SQLITE_FULL":
        return errno.ENOSPC
    from safetensors import SafetensorError

    found = re.search(r"\(os error (\d+)\)", str(error)) if isinstance(error, SafetensorError) else None
    return int(found[1]) if found else None


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a folder, which exists, to this process until the block ends or the process dies, however it does.

    Raises:
        UsageError: if another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system may have no locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"{printable(str(folder))}: another process is at work in this folder; wait, or take another."
                ) from None
        yield
    finally:
        os.close(descriptor)


def remove_half_written(pattern: Path) -> None:
    """Remove what killed processes left of files whose paths match `pattern`, which nobody may be writing now."""
    own = ".tmp??????"  # safetensors writes to such a file beside the one it is given, and moves it there
    for name in (f".{pattern.stem}.*{pattern.suffix}", own):
        for path in pattern.parent.glob(name):
            path.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sync_folder(folder: Path) -> None:
    # Without this the rename itself may be lost in a power cut; some file systems cannot sync a folder.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def sha256_of(path: str | Path) -> str:
    """Return the hexadecimal sha256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
