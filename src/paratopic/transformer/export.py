"""The network as ONNX models: one in full precision and one in 8 bits, of which one predicts.

An ONNX model takes the token ids of windows of one length, (n, length), and gives their
probabilities. The 8-bit one predicts only where its answers are those of the full one.
"""

from __future__ import annotations

import logging
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import ModelProto, helper, numpy_helper
from onnxruntime import InferenceSession
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from paratopic.inference.scores import Array, Scores
from paratopic.inference.transformer import EncoderClassifier, open_onnx, run_onnx
from paratopic.project.topics import Mode
from paratopic.transformer.network import Network

# The first in which attention is one operator.
OPSET = 23


class Window(nn.Module):
    """Token ids of windows of one length, (n, length), → `classifier.probabilities`, calibrated."""

    def __init__(self, network: Network, scale: Tensor, shift: Tensor, mode: Mode) -> None:
        super().__init__()
        self.network, self.mode = network, mode
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, input_ids: Tensor) -> Tensor:
        model = self.network.encoder.transformers_model
        assert model is not None
        # No mask: windows of one length need no padding, and attention is faster without.
        features = {
            "token_embeddings": model(input_ids=input_ids).last_hidden_state,
            "attention_mask": torch.ones_like(input_ids),
        }
        for module in list(self.network.encoder)[1:]:
            features = module(features)
        embedding = nn.functional.normalize(features["sentence_embedding"], dim=1)
        logits = self.network.head(embedding) * self.scale + self.shift
        if self.mode == "multi":
            return torch.sigmoid(logits)
        topics, topical = torch.softmax(logits[:, :-1], dim=1), logits[:, -1:]
        return torch.cat([topics * torch.sigmoid(topical), torch.sigmoid(-topical)], dim=1)


def export(window: Window, path: Path) -> None:
    """Write a network as one ONNX graph, for windows of any length."""
    # The exporter warns of packages that it could do more with, and of its own deprecations.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            window,
            (torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]]),),
            dynamo=True,
            input_names=["input_ids"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC},),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    # The exporter notes where in the source each node came from: paths of this machine.
    for node in proto.graph.node:
        del node.metadata_props[:]
    for function in proto.functions:
        for node in function.node:
            del node.metadata_props[:]
    onnx.save(proto, str(path))


# How far probabilities may be off, and the share of windows that must keep their topic.
FULL_GAP, INT8_GAP, INT8_SAME = 1e-4, 0.03, 0.99

# Windows that show how large activations become.
CALIBRATION_WINDOWS = 32

# SmoothQuant's alpha: how much of the outliers moves from activations to weights.
SMOOTHING = 0.85


def choose(
    folder: Path, windows: Sequence[Sequence[int]], truth: Scores
) -> tuple[str, dict[str, float]]:
    """Write an 8-bit graph beside the full one if it can stand in for it.

    Parameters
    ----------
    folder
        Holds the full graph.
    windows
        Token ids of the windows to compare on.
    truth
        (n windows, k) probabilities of the network that was trained.

    Returns
    -------
    name
        Of the graph that predicts.
    parity
        Largest difference of a probability of the full graph (``full_gap``) and of the 8-bit one
        (``int8_gap``), the share of windows for which that one has the same topic
        (``int8_same``), and whether it predicts (``int8_used``, 0 or 1).

    Raises
    ------
    RuntimeError
        The full graph does not give the network's probabilities.
    """
    full, small = folder / EncoderClassifier.FULL, folder / EncoderClassifier.INT8
    gap, _ = _compare(full, windows, truth)
    if gap > FULL_GAP:
        raise RuntimeError(f"the ONNX graph's probabilities are off by {gap:.1e}")
    parity = {"full_gap": gap, "int8_used": 0.0}
    _quantise(onnx.load(full), windows[:CALIBRATION_WINDOWS], small)
    parity["int8_gap"], parity["int8_same"] = _compare(small, windows, truth)
    if parity["int8_gap"] <= INT8_GAP and parity["int8_same"] >= INT8_SAME:
        return small.name, parity | {"int8_used": 1.0}
    small.unlink()
    return full.name, parity


def _compare(graph: Path, windows: Sequence[Sequence[int]], truth: Scores) -> tuple[float, float]:
    """Largest difference of a probability, and the share of windows with the same topic."""
    scores = run_onnx(open_onnx(graph), windows, alone=graph.name == EncoderClassifier.INT8)
    same = scores.argmax(axis=1) == truth.argmax(axis=1)
    return float(np.abs(scores - truth).max()), float(same.mean())


def _quantise(model: ModelProto, windows: Sequence[Sequence[int]], path: Path) -> None:
    """Write a graph whose products are of 8-bit numbers; activations are scaled as they come.

    Seven bits of the weights are used: processors without VNNI overflow with eight.
    """
    _smooth(model, windows)
    # Else it warns that the graph could be simplified first, which the exporter did.
    helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
    quantize_dynamic(
        model,
        path,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
    )


def _smooth(model: ModelProto, windows: Sequence[Sequence[int]]) -> None:
    """Scale activations down where they are large, and the weights that meet them up.

    The products stay what they were, but one scale serves all columns of their activations better
    (SmoothQuant, Xiao et al. 2023, https://arxiv.org/abs/2211.10438).
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    products = defaultdict(list)
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            products[node.input[0]].append(node)
    largest = _largest(model, list(products), windows)
    for source, nodes in products.items():
        values = [numpy_helper.to_array(weights[node.input[1]]) for node in nodes]
        of_weights = np.maximum(np.abs(np.hstack(values)).max(axis=1), 1e-5)
        scale = np.maximum(largest[source], 1e-5) ** SMOOTHING / of_weights ** (1 - SMOOTHING)
        scale = (scale / np.exp(np.log(scale).mean())).astype(np.float32)
        factor, smooth = f"{source}_factor", f"{source}_smooth"
        graph.initializer.append(numpy_helper.from_array(1 / scale, factor))
        place = list(graph.node).index(nodes[0])
        graph.node.insert(place, helper.make_node("Mul", [source, factor], [smooth], smooth))
        for node, value in zip(nodes, values, strict=True):
            tensor = weights[node.input[1]]
            tensor.CopyFrom(numpy_helper.from_array(value * scale[:, None], tensor.name))
            node.input[0] = smooth


def _largest(
    model: ModelProto, names: list[str], windows: Sequence[Sequence[int]]
) -> dict[str, Array]:
    """The largest absolute value of each column of the activations."""
    probe = ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session: InferenceSession = open_onnx(probe.SerializeToString())
    largest: dict[str, Array] = {}
    for window in windows:
        found = session.run(names, {"input_ids": np.array([window], dtype=np.int64)})
        for name, value in zip(names, found, strict=True):
            top = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0).astype(np.float64)
            largest[name] = np.maximum(largest.get(name, 0.0), top)
    return largest
