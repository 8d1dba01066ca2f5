"""Export the encoder, or the whole network to calibrated probabilities, as an ONNX model.

It multiplies 8-bit numbers where the encoder does: see `quantise`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import onnx
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from torch import Tensor, nn

from paratopic.inference.onnx_model import EMBEDDINGS, PROBABILITIES, SHARES
from paratopic.project.topics import ModeName
from paratopic.transformer.network import Network

# The first version of ONNX's operators in which attention is one operator.
OPSET = 23


class CalibratedNetwork(nn.Module):
    """Network with its calibration: token ids (n, length) → probabilities (n, n logits).

    The token ids are those of windows of one length. The probabilities are those of
    `inference.modes.Mode.probabilities`. A second output, (n, d), is the embeddings that the head
    reads. Where they are the means of the tokens', a third, (n, length, n logits), is what each
    token adds to the logits.

    Parameters
    ----------
    network
        Encoder and head.
    scale, shift
        Numbers that the logits are multiplied by, and that are then added: one for each logit, or
        one for all.
    mode
        Mode of the topics.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: Network, scale: Tensor, shift: Tensor, mode: ModeName) -> None:
        super().__init__()
        self.network, self.probabilities = network, _PROBABILITIES[mode]
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

        modules = list(network.encoder)[1:]
        self.has_shares = all(
            isinstance(module, Normalize)
            or (isinstance(module, Pooling) and module.pooling_mode == "mean")
            for module in modules
        )

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs."""
        return [PROBABILITIES, EMBEDDINGS, SHARES][: 2 + self.has_shares]

    def forward(self, input_ids: Tensor) -> tuple[Tensor, ...]:
        tokens, embedding = _embed(self.network.encoder, input_ids)
        logits = self.network.logits(embedding) * self.scale + self.shift
        probabilities = self.probabilities(logits)
        if not self.has_shares:
            return probabilities, embedding
        return probabilities, embedding, self._shares(tokens, embedding)

    def _shares(self, tokens: Tensor, embedding: Tensor) -> Tensor:
        """What each token (n, length, d) adds to the logits of its window's embedding (n, d)."""
        network = self.network
        shares: Tensor = tokens @ network.head.weight.T
        if len(network.descriptions):
            nearest = network.descriptions[(embedding @ network.descriptions.T).argmax(dim=1)]
            shares = shares + (tokens @ nearest[:, :, None]) * network.slope
        length = tokens.mean(dim=1).norm(dim=1)[:, None, None] * tokens.shape[1]
        scaled: Tensor = shares / length * self.scale
        return scaled


class EmbeddingNetwork(nn.Module):
    """Encoder alone: token ids (n, length) of windows of one length → embeddings (n, d)."""

    outputs = (EMBEDDINGS,)

    def __init__(self, encoder: SentenceTransformer) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor) -> Tensor:
        return _embed(self.encoder, input_ids)[1]


def export(network: CalibratedNetwork | EmbeddingNetwork, path: Path) -> None:
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


def _embed(encoder: SentenceTransformer, input_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings of the tokens, (n, length, d), and of the windows, (n, d) of unit length."""
    model = encoder.transformers_model
    assert model is not None
    # No mask: windows of one length need no padding, and attention is faster without it.
    tokens: Tensor = model(input_ids=input_ids).last_hidden_state
    features = {"token_embeddings": tokens, "attention_mask": torch.ones_like(input_ids)}
    for module in list(encoder)[1:]:
        features = module(features)
    return tokens, nn.functional.normalize(features["sentence_embedding"], dim=1)


def _single_probabilities(logits: Tensor) -> Tensor:
    topics, any_topic = torch.softmax(logits[:, :-1], dim=1), logits[:, -1:]
    return torch.cat([topics * torch.sigmoid(any_topic), torch.sigmoid(-any_topic)], dim=1)


# `Mode.probabilities` for tensors, by the mode's name.
_PROBABILITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "single": _single_probabilities,
    "multi": torch.sigmoid,
}
