"""Work on one molecule at a time in child processes: one that hangs, crashes or eats memory costs itself only.

A task is a module of this package with a function `answer(request: bytes, options: dict) -> bytes`, listed by name in
`tasks.TASKS`; a molecule's request and answer are bytes of the task's own making. Workers are plain child processes.
They need no fork (unsafe beside torch's threads) and no `if __name__ == "__main__"` guard in the caller's script, and
no pickle passes between them.
"""

from .batch import answered_by, run_isolated
from .crew import CRASH, ERROR, MEMORY, TIME_OUT, Failure, answer_isolated, available_cpus
from .executors import UNLIMITED, Executor, Limits, LocalExecutor

__all__ = [
    "CRASH",
    "ERROR",
    "MEMORY",
    "TIME_OUT",
    "UNLIMITED",
    "Executor",
    "Failure",
    "Limits",
    "LocalExecutor",
    "answer_isolated",
    "answered_by",
    "available_cpus",
    "run_isolated",
]
