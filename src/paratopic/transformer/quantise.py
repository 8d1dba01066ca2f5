"""Make an 8-bit ONNX model, and let it predict only if its answers are close enough.

It is quicker and smaller than the ONNX model in full precision, which `export` writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, helper, numpy_helper
from onnxruntime import InferenceSession
from onnxruntime.quantization import QuantType, quantize_dynamic

from paratopic.inference.scores import Array, Scores
from paratopic.inference.transformer import EncoderClassifier, open_onnx, run_onnx

# Largest difference of a probability from the network's, in full precision and in 8 bits.
FULL_GAP, INT8_GAP = 1e-4, 0.03
# Smallest share of windows for which the 8-bit model must have the network's topic.
INT8_SAME = 0.99
# Number of windows that show how large activations become.
PROBE_WINDOWS = 32
# Share of the outliers that moves from activations to weights; SmoothQuant's alpha.
SMOOTHING = 0.85


def quantise_if_close(
    folder: Path, windows: Sequence[Sequence[int]], expected: Scores
) -> tuple[str, dict[str, float]]:
    """Check the full ONNX model, and write an 8-bit one beside it if its answers are close.

    Parameters
    ----------
    folder
        Folder with the full ONNX model.
    windows
        Token ids of the windows to compare answers for.
    expected
        (n windows, n logits) probabilities from the network that was trained.

    Returns
    -------
    name
        File name of the ONNX model that is to predict: the 8-bit one if it was written.
    parity
        Largest difference of a probability of the full model (``full_gap``) and of the 8-bit one
        (``int8_gap``) from the expected one, the share of windows for which the 8-bit model has the
        same topic (``int8_same``), and whether it is to predict (``int8_used``, 0 or 1).

    Raises
    ------
    RuntimeError
        The full ONNX model's probabilities are not the network's.
    """
    full, small = folder / EncoderClassifier.FULL, folder / EncoderClassifier.INT8
    gap, _ = _compare(full, windows, expected)
    if gap > FULL_GAP:
        raise RuntimeError(f"the ONNX model's probabilities are off by {gap:.1e}")
    parity = {"full_gap": gap, "int8_used": 0.0}
    _quantise(onnx.load(full), windows[:PROBE_WINDOWS], small)
    parity["int8_gap"], parity["int8_same"] = _compare(small, windows, expected)
    if parity["int8_gap"] <= INT8_GAP and parity["int8_same"] >= INT8_SAME:
        return small.name, parity | {"int8_used": 1.0}
    small.unlink()
    return full.name, parity


def _compare(path: Path, windows: Sequence[Sequence[int]], expected: Scores) -> tuple[float, float]:
    """Largest difference of a probability, and the share of windows with the same topic."""
    scores = run_onnx(open_onnx(path), windows, alone=path.name == EncoderClassifier.INT8)
    same = scores.argmax(axis=1) == expected.argmax(axis=1)
    return float(np.abs(scores - expected).max()), float(same.mean())


def _quantise(model: ModelProto, windows: Sequence[Sequence[int]], path: Path) -> None:
    """Write an ONNX model that multiplies 8-bit numbers; each run scales its own activations.

    Weights use seven bits only, because processors without VNNI overflow with eight.
    """
    _smooth(model, windows)
    # This keeps onnxruntime from advising to simplify the model, which the exporter did already.
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
    """Scale large columns of activations down, and the weights that they are multiplied by up.

    Products stay the same, but one scale then suits all columns of an activation better
    (SmoothQuant, Xiao et al. 2023, arXiv:2211.10438).
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
        scale = _smoothing_scale(largest[source], values)
        factor, smooth = f"{source}_factor", f"{source}_smooth"
        graph.initializer.append(numpy_helper.from_array(1 / scale, factor))
        place = list(graph.node).index(nodes[0])
        graph.node.insert(place, helper.make_node("Mul", [source, factor], [smooth], smooth))
        for node, value in zip(nodes, values, strict=True):
            tensor = weights[node.input[1]]
            tensor.CopyFrom(numpy_helper.from_array(value * scale[:, None], tensor.name))
            node.input[0] = smooth


def _smoothing_scale(
    largest: Array, weights: Sequence[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Number that each column of an activation is divided by; their geometric mean is 1."""
    of_weights = np.maximum(np.abs(np.hstack(weights)).max(axis=1), 1e-5)
    scale = np.maximum(largest, 1e-5) ** SMOOTHING / of_weights ** (1 - SMOOTHING)
    scaled: npt.NDArray[np.float32] = (scale / np.exp(np.log(scale).mean())).astype(np.float32)
    return scaled


def _largest(
    model: ModelProto, names: list[str], windows: Sequence[Sequence[int]]
) -> dict[str, Array]:
    """Largest absolute value of each column of the named activations."""
    probe = ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session: InferenceSession = open_onnx(probe.SerializeToString())
    largest: dict[str, Array] = {}
    for window in windows:
        activations = session.run(names, {"input_ids": np.array([window], dtype=np.int64)})
        for name, value in zip(names, activations, strict=True):
            top = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0).astype(np.float64)
            largest[name] = np.maximum(largest.get(name, 0.0), top)
    return largest
