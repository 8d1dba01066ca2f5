"""The exported network gives the encoder's embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling

from paratopic.inference.onnx_model import OnnxModel
from paratopic.transformer.export import EmbeddingNetwork, export
from tests.samples import TARIFF

TEXTS = [TARIFF, "The army said.", "Chip, data and software of a new network."]


@pytest.fixture
def encoder(tiny_encoder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(tiny_encoder), device="cpu")


def test_embeddings_are_those_of_the_encoder(encoder: SentenceTransformer, tmp_path: Path) -> None:
    network = EmbeddingNetwork(encoder)
    export(network, tmp_path / "model.onnx")
    model, windows = OnnxModel(tmp_path / "model.onnx"), encoder.tokenizer(TEXTS)["input_ids"]
    embeddings = model.run(windows)
    expected = encoder.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(embeddings, expected, atol=1e-6)
    with torch.no_grad():
        here = network(torch.tensor([windows[0]]))
    np.testing.assert_allclose(here.numpy()[0], embeddings[0], atol=1e-6)


def test_attention_is_one_operator(encoder: SentenceTransformer, tmp_path: Path) -> None:
    model = encoder.transformers_model
    assert model is not None
    usual = model.config._attn_implementation
    export(EmbeddingNetwork(encoder), tmp_path / "model.onnx")
    assert model.config._attn_implementation == usual
    nodes = list(onnx.load(tmp_path / "model.onnx").graph.node)
    attention = [node for node in nodes if node.op_type == "Attention"]
    assert len(attention) == model.config.num_hidden_layers
    for node in attention:
        assert len(node.input) == 3  # and no mask
        heads = {each.name: each.i for each in node.attribute}
        assert heads["q_num_heads"] == heads["kv_num_heads"] == model.config.num_attention_heads


def test_an_encoder_may_read_its_first_token_alone(
    encoder: SentenceTransformer, tmp_path: Path
) -> None:
    first = SentenceTransformer(modules=[encoder[0], Pooling(32, "cls")], device="cpu")
    export(EmbeddingNetwork(first), tmp_path / "model.onnx")
    model, windows = OnnxModel(tmp_path / "model.onnx"), encoder.tokenizer(TEXTS)["input_ids"]
    expected = first.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(model.run(windows), expected, atol=1e-6)
