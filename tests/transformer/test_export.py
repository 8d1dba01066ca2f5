"""Attention in the exported network; `test_architectures` checks its embeddings."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from paratopic.transformer.export import EmbeddingNetwork, _attention, export


@pytest.fixture
def encoder(tiny_encoder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(tiny_encoder), device="cpu")


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
        heads = {attribute.name: attribute.i for attribute in node.attribute}
        assert heads["q_num_heads"] == heads["kv_num_heads"] == model.config.num_attention_heads


def test_attention_by_relative_positions_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """T5 passes them in addition to the mask."""
    query, key, value, position_bias = torch.randn(4, 1, 2, 5, 5)
    arguments = torch.nn.Module(), query, key, value, None
    expected, _ = sdpa_attention_forward(*arguments, scaling=1.0, position_bias=position_bias)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    attended, _ = _attention(*arguments, scaling=1.0, position_bias=position_bias)
    torch.testing.assert_close(attended, expected)
