"""Windows that are embedded, by torch or by the exported encoder, and the logits of embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sentence_transformers import SentenceTransformer

from paratopic.inference.linear_head import LinearHead
from paratopic.inference.onnx_model import read_windows, windowing
from paratopic.transformer import export as onnx
from paratopic.transformer import network as networks
from paratopic.transformer.encoder import load_encoder, pick_device
from paratopic.transformer.export import EmbeddingNetwork
from paratopic.transformer.network import Embedder, Network, embed_windows
from paratopic.transformer.quantise import quantise


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 4))
def test_logits_are_those_of_the_baselines_head(seed: int, n: int, m: int) -> None:
    """The nearness to other subjects changes the logits of both equally."""
    rng = np.random.default_rng(seed)
    coef = rng.normal(size=(3, 8))
    subjects = rng.normal(size=(m, 8))
    embeddings = rng.normal(size=(n, 8))
    slope, intercept = rng.normal(size=(2, 3))
    encoder = SentenceTransformer(modules=[torch.nn.Identity()], device="cpu")  # is not used
    network = Network(encoder, torch.nn.Linear(8, 3).double())
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(coef))
        network.head.bias.copy_(torch.from_numpy(intercept))
        plain = network.logits(torch.from_numpy(embeddings)).numpy()
        network.slope, network.subjects = map(torch.from_numpy, (slope, subjects))
        logits = network.logits(torch.from_numpy(embeddings)).numpy()
    np.testing.assert_allclose(plain, embeddings @ coef.T + intercept, atol=1e-9)
    head = LinearHead(coef, slope, intercept, subjects)
    expected = head.logits(csr_matrix(embeddings))
    np.testing.assert_allclose(logits, expected, atol=1e-9)
    assert (m == 0) == np.allclose(plain, logits)


@pytest.fixture
def encoder(tiny_encoder: Path) -> SentenceTransformer:
    """An encoder in 8 bits."""
    full = load_encoder(str(tiny_encoder), pick_device("cpu"))
    windows = [list(range(5, 5 + length)) for length in (3, 7, 12)]
    return quantise(full, lambda copied: embed_windows(copied, windows))


def test_the_exported_encoder_gives_the_networks_embeddings(
    rows: pd.DataFrame, encoder: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = windowing(encoder.tokenizer.backend_tokenizer, 16)
    windows, _ = read_windows(tokenizer, list(rows["text"]))
    by_torch = Embedder(encoder)(windows)
    monkeypatch.setattr(networks, "LEAST_TO_EXPORT", 2)
    exported: list[Path] = []

    def export(network: EmbeddingNetwork, path: Path) -> None:
        exported.append(path)
        onnx.export(network, path)

    monkeypatch.setattr(networks, "export", export)
    embedder = Embedder(encoder)
    for _ in range(2):
        by_onnx = embedder(windows)
        np.testing.assert_allclose(np.linalg.norm(by_onnx, axis=1), 1, atol=1e-6)
        assert (by_torch * by_onnx).sum(axis=1).min() > 0.999
    assert len(exported) == 1
