"""What the reliability of Atomweave is measured by: checks that count cases and failures, at two sizes.

A check is a function `check(size, seed, folder) -> Count` under the decorator `counts.check`, in a module of this
folder that `MODULES` names. Nothing else is to be done for a new one:

    @check(unit="kills", small=10, large=200)
    def killed_training(size: int, seed: int, folder: Path) -> Count:
        '''Training killed at random moments and resumed equals the uninterrupted run, bit for bit.'''
        failures = [sentence for kill in range(size) for sentence in differences(kill, seed, folder)]
        return Count(size, failures, {"kills inside a save": 3})

- `make test` runs every check at its small size (`test_counts.py`), wants no failure, and prints one line a check at
  the end of the run. Two have none: the draws, since tests/laws has a test of fewer for every head, and the versions.
- `make reliability` runs them at their large size (`scripts/count_reliability.py`), keeps what they counted in
  docs/reliability/NAME.json, and writes docs/reliability.md from that: a heading a module (the first line of its
  docstring), a row a check (the first paragraph of its docstring).
"""

import pytest

MODULES = (
    "training",
    "commands",
    "molecule_files",
    "hostile_files",
    "configuration",
    "reports",
    "fragments",
    "draws",
    "versions",
)
"""Modules with checks, in the order of docs/reliability.md."""

pytest.register_assert_rewrite(*(f"reliability.{name}" for name in MODULES))
