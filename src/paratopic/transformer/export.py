"""Export the encoder as an ONNX model, which onnxruntime runs.

The model multiplies 8-bit numbers where the encoder does: see `quantise`.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import onnx
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

# The first version of ONNX's operators that has an operator for attention.
OPSET = 23
# Name under which encoders of transformers find `_attention`.
ATTENTION = "paratopic"
# Name of the ONNX model's only output: embeddings (n, d) of unit length. It must differ from the
# names of intermediate values, which are those of PyTorch's operators.
EMBEDDINGS = "embeddings"


class EmbeddingNetwork(nn.Module):
    """Encoder: token ids (n, length) of windows of one length → embeddings (n, d)."""

    def __init__(self, encoder: SentenceTransformer) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor) -> Tensor:
        """Embeddings of unit length, (n, d), from token ids, (n, length), without any padding."""
        model = self.encoder.transformers_model
        assert model is not None
        inputs = {"input_ids": input_ids}
        if hasattr(model, "rotary_emb"):  # its operator in ONNX takes the positions of each window
            positions = torch.arange(input_ids.shape[1], device=input_ids.device)
            inputs["position_ids"] = positions.expand_as(input_ids)
        # No mask: windows of one length need no padding, and attention is faster without it.
        tokens: Tensor = model(**inputs).last_hidden_state
        features = {"token_embeddings": tokens, "attention_mask": torch.ones_like(input_ids)}
        for module in list(self.encoder)[1:]:
            features = module(features)
        return nn.functional.normalize(features["sentence_embedding"], dim=1)


def export(network: EmbeddingNetwork, path: Path) -> None:
    """Write a network, which must be on the CPU, as one ONNX file.

    Its input is input_ids, (n, length) of any size, without padding; its output is `EMBEDDINGS`.
    """
    encoder = network.encoder.transformers_model
    assert encoder is not None
    implementation = encoder.config._attn_implementation
    if implementation == "sdpa":
        encoder.set_attn_implementation(ATTENTION)
    # The exporter warns of optional packages that are missing, and of its own deprecations.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]]),),
                dynamo=True,
                input_names=["input_ids"],
                output_names=[EMBEDDINGS],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC},),
                opset_version=OPSET,
                verbose=False,
            )
    finally:
        encoder.config._attn_implementation = implementation
    assert program is not None
    model = program.model_proto
    # The exporter records the source line of each node, with paths of this machine.
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in nodes:
            del node.metadata_props[:]
    onnx.save(model, str(path))


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **others: object,
) -> tuple[Tensor, Tensor | None]:
    """Attention: in an export without a mask, ONNX's operator for heads that are concatenated.

    The exporter would transpose the heads first, which takes a third of the time of the rest.
    Query, key and value are (n, heads, length, d), the result (n, length, heads, d), and None.
    """
    has_mask = attention_mask is not None or others.get("position_bias") is not None
    if has_mask or not torch.onnx.is_in_onnx_export():
        attention: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
        return attention
    inputs = [part.transpose(1, 2).flatten(2) for part in (query, key, value)]
    attended: Tensor = torch.onnx.ops.symbolic(
        "Attention",
        inputs,
        {"q_num_heads": query.shape[1], "kv_num_heads": key.shape[1], "scale": scaling},
        dtype=query.dtype,
        shape=inputs[0].shape,
    )
    return attended.unflatten(2, (query.shape[1], -1)), None


def _mask(*sizes: object, **others: object) -> Tensor | None:
    """Make the mask of `sdpa_mask`, or None if every token attends to every other."""
    unpadded = others.get("attention_mask") is None and others.get("local_size") is None
    if unpadded and others.get("allow_is_bidirectional_skip", False):
        return None
    mask: Tensor | None = sdpa_mask(*sizes, **others)
    return mask


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, _mask)
