"""Export the encoder as an ONNX model.

It multiplies 8-bit numbers where the encoder does: see `quantise`.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import onnx
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from torch import Tensor, nn

from paratopic.inference.onnx_model import EMBEDDINGS, TOKEN_PARTS

# The first version of ONNX's operators in which attention is one operator.
OPSET = 23


class EmbeddingNetwork(nn.Module):
    """Encoder: token ids (n, length) of windows of one length → embeddings (n, d).

    Where these are the means of the tokens' embeddings, a second output, (n, length, d), is what
    each token adds to them.

    Parameters
    ----------
    encoder
        The encoder.
    """

    def __init__(self, encoder: SentenceTransformer) -> None:
        super().__init__()
        self.encoder = encoder
        self.has_parts = all(
            isinstance(module, Normalize)
            or (isinstance(module, Pooling) and module.pooling_mode == "mean")
            for module in list(encoder)[1:]
        )

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs."""
        return [EMBEDDINGS, TOKEN_PARTS][: 1 + self.has_parts]

    def forward(self, input_ids: Tensor) -> tuple[Tensor, ...]:
        model = self.encoder.transformers_model
        assert model is not None
        # No mask: windows of one length need no padding, and attention is faster without it.
        tokens: Tensor = model(input_ids=input_ids).last_hidden_state
        features = {"token_embeddings": tokens, "attention_mask": torch.ones_like(input_ids)}
        for module in list(self.encoder)[1:]:
            features = module(features)
        embedding = nn.functional.normalize(features["sentence_embedding"], dim=1)
        if not self.has_parts:
            return (embedding,)
        length = tokens.mean(dim=1).norm(dim=1)[:, None, None] * tokens.shape[1]
        return embedding, tokens / length


def export(network: EmbeddingNetwork, path: Path) -> None:
    """Write a network on the CPU as one ONNX model, for any number of windows of any length."""
    # The exporter warns of optional packages that are missing, and of its own deprecations.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]]),),
            dynamo=True,
            input_names=["input_ids"],
            output_names=network.outputs,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC},),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    # The exporter records the line of source that each node came from, with this machine's paths.
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in nodes:
            del node.metadata_props[:]
    onnx.save(model, str(path))
