"""The bytes that pass between a process and its workers: counted pieces one way, status and answer the other."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO

READY = b"ready\n"
"""First line of a worker, sent when its imports are done."""

ANSWERED, OUT_OF_MEMORY, FAILED = range(3)
"""First byte of a reply; what follows is the answer, or a sentence on what went wrong."""


def send_requests(stream: BinaryIO, requests: Sequence[bytes]) -> None:
    """Write requests as one frame: their number, their sizes, their bytes."""
    sizes = struct.pack(f"<{len(requests)}I", *map(len, requests))
    stream.write(struct.pack("<I", len(requests)) + sizes + b"".join(requests))
    stream.flush()


def receive_requests(stream: BinaryIO) -> list[bytes]:
    """Read one frame; [] at the end of the stream."""
    head = stream.read(4)
    if len(head) < 4:
        return []
    (n_requests,) = struct.unpack("<I", head)
    sizes = struct.unpack(f"<{n_requests}I", stream.read(4 * n_requests))
    return [stream.read(size) for size in sizes]


def send_reply(stream: BinaryIO, status: int, answer: bytes) -> None:
    """Write one reply and flush, so that the time limit of the next molecule starts now."""
    stream.write(struct.pack("<BI", status, len(answer)) + answer)
    stream.flush()


def receive_reply(stream: BinaryIO) -> tuple[int, bytes] | None:
    """Read one reply; None if the stream ends first."""
    head = stream.read(5)
    if len(head) < 5:
        return None
    status, size = struct.unpack("<BI", head)
    answer = stream.read(size)
    return (status, answer) if len(answer) == size else None
