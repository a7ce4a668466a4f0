"""`cnn1d`: quantiles of the training clips, one modality, the honest last epoch."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from avfd.errors import InputError
from classify.estimators.cnn1d import Cnn1d, on_normal_curve


def test_numbers_of_any_tail_become_normal():
    seen = np.exp(3 * np.random.default_rng(0).normal(size=(4001, 1))).astype(np.float32)
    quantiles = np.quantile(seen, np.linspace(0, 1, 101), axis=0).astype(np.float32)
    normal = on_normal_curve(seen, quantiles)[:, 0]
    order = np.argsort(seen[:, 0])
    expected = norm.ppf((np.arange(len(seen)) + 0.5) / len(seen))
    inner = slice(100, -100)
    np.testing.assert_allclose(normal[order][inner], expected[inner], atol=0.05)
    assert np.abs(normal).max() <= 3


def test_a_constant_number_is_zero_and_strangers_are_held():
    quantiles = np.column_stack([np.full(5, 2.0), np.linspace(0, 1, 5)]).astype(np.float32)
    out = on_normal_curve(np.array([[2.0, -50.0], [7.0, 50.0]], np.float32), quantiles)
    assert out[:, 0].tolist() == [0.0, 0.0]
    assert out[:, 1].tolist() == [-3.0, 3.0]


def test_two_modalities_are_refused():
    with pytest.raises(InputError, match="does not work on these modalities"):
        Cnn1d.check_modalities(("audio", "video"))
