"""Many windows are embedded by the exported encoder, to the same embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer

from paratopic.inference.onnx_model import windowing
from paratopic.project.topics import Topics
from paratopic.transformer import export as onnx
from paratopic.transformer import network as networks
from paratopic.transformer.encoder import load_encoder, pick_device
from paratopic.transformer.export import EmbeddingNetwork
from paratopic.transformer.network import Embedder, Network, embed_windows
from paratopic.transformer.quantise import quantise


@pytest.fixture
def network(tiny_encoder: Path) -> Network:
    torch.manual_seed(3)
    encoder = load_encoder(str(tiny_encoder), pick_device("cpu"))
    full = Network(encoder, torch.nn.Linear(32, 4)).eval()
    windows = [list(range(5, 5 + length)) for length in (3, 7, 12)]
    encoder = quantise(encoder, lambda encoder: embed_windows(full.with_encoder(encoder), windows))
    return full.with_encoder(encoder)


@pytest.fixture
def tokenizer(network: Network) -> Tokenizer:
    tokens = network.encoder.tokenizer.backend_tokenizer.to_str()
    return windowing(Tokenizer.from_str(tokens), 16)


@pytest.mark.parametrize("first", [False, True])
def test_the_exported_encoder_gives_the_networks_embeddings(
    rows: pd.DataFrame,
    network: Network,
    tokenizer: Tokenizer,
    first: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = [f"{text} {text} {text}" for text in rows["text"]]  # of several windows each
    by_torch, owner = Embedder(network).texts(tokenizer, texts, first)
    assert len(owner) == len(texts) if first else len(owner) > len(texts)
    monkeypatch.setattr(networks, "MANY", 2)
    exported: list[Path] = []

    def export(network: EmbeddingNetwork, path: Path) -> None:
        exported.append(path)
        onnx.export(network, path)

    monkeypatch.setattr(networks, "export", export)
    embedder = Embedder(network)
    for _ in range(2):
        by_onnx, again = embedder.texts(tokenizer, texts, first)
        assert np.array_equal(owner, again)
        np.testing.assert_allclose(np.linalg.norm(by_onnx, axis=1), 1, atol=1e-6)
        assert (by_torch * by_onnx).sum(axis=1).min() > 0.999
    assert len(exported) == 1


def test_few_windows_and_full_precision_are_for_torch(
    tiny_encoder: Path, network: Network, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = [[5, 6, 7]] * 3
    monkeypatch.setattr(networks, "export", lambda *_: pytest.fail("was exported"))
    assert Embedder(network).windows(windows).shape == (3, 32)
    assert Embedder(network).windows([]).shape == (0, 32)
    monkeypatch.setattr(networks, "MANY", 2)
    full = network.with_encoder(load_encoder(str(tiny_encoder), pick_device("cpu")))
    assert Embedder(full).windows(windows).shape == (3, 32)
