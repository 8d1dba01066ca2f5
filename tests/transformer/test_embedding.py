"""Many windows are embedded by the exported encoder, to the same embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sentence_transformers import SentenceTransformer

from paratopic.inference.onnx_model import read_windows, windowing
from paratopic.transformer import export as onnx
from paratopic.transformer import network as networks
from paratopic.transformer.encoder import load_encoder, pick_device
from paratopic.transformer.export import EmbeddingNetwork
from paratopic.transformer.network import Embedder, embed_windows
from paratopic.transformer.quantise import quantise


@pytest.fixture
def encoder(tiny_encoder: Path) -> SentenceTransformer:
    """One in 8 bits."""
    full = load_encoder(str(tiny_encoder), pick_device("cpu"))
    windows = [list(range(5, 5 + length)) for length in (3, 7, 12)]
    return quantise(full, lambda copied: embed_windows(copied, windows))


def test_the_exported_encoder_gives_the_networks_embeddings(
    rows: pd.DataFrame, encoder: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = windowing(encoder.tokenizer.backend_tokenizer, 16)
    windows, _ = read_windows(tokenizer, list(rows["text"]))
    by_torch = Embedder(encoder)(windows)
    monkeypatch.setattr(networks, "MANY", 2)
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


def test_few_windows_and_full_precision_are_for_torch(
    tiny_encoder: Path, encoder: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = [[5, 6, 7]] * 3
    monkeypatch.setattr(networks, "export", lambda *_: pytest.fail("was exported"))
    assert Embedder(encoder)(windows).shape == (3, 32)
    assert Embedder(encoder)([]).shape == (0, 32)
    monkeypatch.setattr(networks, "MANY", 2)
    full = load_encoder(str(tiny_encoder), pick_device("cpu"))
    assert Embedder(full)(windows).shape == (3, 32)
