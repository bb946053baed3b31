from __future__ import annotations

import numpy as np
import pytest

from atomweave.discovery.screening import Calibration, features
from reference.worked_molecules import carbon_dioxide, methane


def test_features_are_the_screened_value_and_counts_of_elements():
    found = features([methane(), carbon_dioxide()], np.array([2.5, 3.5]))
    assert found.tolist() == [[2.5, 4, 1, 0, 0, 0], [3.5, 0, 1, 0, 2, 0]]
    assert features([], np.zeros(0)).shape == (0, 6)


def test_a_linear_law_is_found():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6))
    weights = np.array([0.8, 0.1, -0.3, 0.0, 0.2, 0.5])
    fit = Calibration.fit(x, x @ weights + 2.0)
    new = rng.normal(size=(50, 6))
    np.testing.assert_allclose(fit.predict(new), new @ weights + 2.0, atol=0.03)


def test_its_error_is_that_of_molecules_left_out():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 3))
    y = x @ np.array([1.0, -0.5, 0.2]) + rng.normal(0, 0.3, 60)
    left_out = []
    for place in range(60):
        others = np.arange(60) != place
        left_out.append(Calibration.fit(x[others], y[others]).predict(x[[place]])[0] - y[place])
    assert Calibration.fit(x, y).error == pytest.approx(np.sqrt(np.mean(np.square(left_out))), rel=0.02)


def test_one_molecule_predicts_itself_for_all():
    fit = Calibration.fit(np.ones((1, 6)), np.array([4.2]))
    np.testing.assert_allclose(fit.predict(np.ones((3, 6))), 4.2)
    assert np.isnan(fit.error)


def test_features_that_never_vary_do_no_harm():
    x = np.stack([np.linspace(0, 1, 20), np.zeros(20)], 1)
    fit = Calibration.fit(x, 3 * x[:, 0])
    assert np.isfinite(fit.predict(np.array([[0.5, 4.0]]))).all()
