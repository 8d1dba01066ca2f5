"""Logits of embeddings, and batches of windows that are encoded together."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sentence_transformers import SentenceTransformer

from paratopic.inference.head import LinearHead, centre_of
from paratopic.transformer.network import Network


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 4))
def test_logits_are_those_of_the_baselines_head(seed: int, n: int, k: int) -> None:
    """The similarity to the nearest description moves the logits of both alike."""
    rng = np.random.default_rng(seed)
    coef, descriptions, embeddings = (rng.normal(size=(size, 8)) for size in (3, k, n))
    slope, intercept = rng.normal(size=(2, 3))
    encoder = SentenceTransformer(modules=[torch.nn.Identity()], device="cpu")  # is not asked
    network = Network(encoder, torch.nn.Linear(8, 3).double())
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(coef))
        network.head.bias.copy_(torch.from_numpy(intercept))
        plain = network.logits(torch.from_numpy(embeddings)).numpy()
        network.slope, network.descriptions = map(torch.from_numpy, (slope, descriptions))
        logits = network.logits(torch.from_numpy(embeddings)).numpy()
    np.testing.assert_allclose(plain, embeddings @ coef.T + intercept, atol=1e-9)
    head = LinearHead(coef, slope, intercept, descriptions, *centre_of(embeddings))
    expected = head.logits(csr_matrix(embeddings))
    np.testing.assert_allclose(logits, expected, atol=1e-9)
    assert (k == 0) == np.allclose(plain, logits)
