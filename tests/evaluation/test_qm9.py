"""The figures of QM9 itself: whoever changes them has changed the metric."""

from __future__ import annotations

import pytest

from atomweave.data.qm9 import build_qm9
from atomweave.evaluation.headline import QM9, summarise
from atomweave.evaluation.validity import assess


@pytest.mark.long
def test_all_of_qm9_keeps_its_figures():
    store = build_qm9()
    headline = summarise(assess([store[index] for index in range(len(store))]))
    assert headline["valid"].value >= 0.999
    assert headline["unique"].value == pytest.approx(0.9988, abs=1e-4)
    for name, value in QM9.items():
        assert headline[name].value == pytest.approx(value, abs=1e-4)
