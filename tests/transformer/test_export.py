"""The exported network computes what the modes define."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paratopic.inference.modes import mode_of
from paratopic.project.topics import ModeName
from paratopic.transformer.export import _PROBABILITIES


@pytest.mark.parametrize("name", ["single", "multi"])
def test_probabilities_of_tensors_equal_those_of_arrays(name: ModeName) -> None:
    logits = np.random.default_rng(0).normal(scale=5, size=(20, 4))
    probabilities = _PROBABILITIES[name](torch.from_numpy(logits)).numpy()
    np.testing.assert_allclose(probabilities, mode_of(name).probabilities(logits), rtol=1e-12)
