"""A worker: `python -m atomweave.isolation.worker TASK OPTIONS MEMORY` answers frames on its standard input."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time

from ..extensions import load_extensions
from .frames import ANSWERED, FAILED, OUT_OF_MEMORY, READY, receive_requests, send_reply
from .tasks import TaskModule, task_module

PARENT_INTERVAL = 0.5  # s between two looks at whether the parent still runs


def main() -> None:
    """Answer requests one by one, each as soon as it is done, until standard input ends."""
    name, options, memory = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent ends its workers itself
    load_extensions()
    serve(task_module(name), json.loads(options), int(memory))


def serve(task: TaskModule, options: dict[str, object], memory: int) -> None:
    """Answer requests for one task within a limit of address space (bytes)."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not mix with the replies
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()
    task.prepare(options)
    _limit_memory(memory)
    replies.write(READY)
    replies.flush()
    while requests := receive_requests(sys.stdin.buffer):
        for request in requests:
            try:
                status, answer = ANSWERED, task.answer(request, options)
            except MemoryError:
                status, answer = OUT_OF_MEMORY, b""
            except Exception as error:  # noqa: BLE001 - whatever one molecule brings about is that molecule's reason
                status, answer = FAILED, f"{type(error).__name__}: {error}".encode()
            send_reply(replies, status, answer)


def _leave_with_parent(parent: int) -> None:
    """End this process soon after its parent's, which may have been killed: nobody waits for the answer any more."""
    while os.getppid() == parent:
        time.sleep(PARENT_INTERVAL)
    os._exit(1)


def _limit_memory(n_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    with contextlib.suppress(ValueError, OSError):  # a lower limit that is in force already stays
        resource.setrlimit(resource.RLIMIT_AS, (n_bytes, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    main()
