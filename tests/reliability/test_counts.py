from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reliability import reports
from reliability.counts import Check, all_checks


@pytest.mark.timeout(1800)  # for busy machines; by themselves they take seconds
@pytest.mark.parametrize("check", [check for check in all_checks() if check.small], ids=lambda check: check.name)
def test_small_size_counts_no_failure(check: Check, tmp_path: Path, record_property: Callable[[str, object], None]):
    if check is reports.browsed_reports and reports.CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    count = check.run(check.small, seed=0, folder=tmp_path)
    record_property("count", check.line(count))  # tests/conftest.py prints it
    assert list(count.failures) == []
    assert count.n >= check.small
