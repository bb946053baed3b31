from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from atomweave.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(16):
    torch.ones(2**24)  # 64 MiB; the allocator takes a few rounds to settle
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator has these settings")
def test_freed_memory_is_used_again_without_page_faults():
    faults = {
        mode: int(subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, check=True).stdout)
        for mode in ("plain", "keep")
    }
    assert faults["keep"] < faults["plain"] / 10


def test_other_systems_are_left_alone(monkeypatch):
    from atomweave import memory

    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert memory.keep_freed_memory() is False
