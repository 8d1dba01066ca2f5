"""The 8-bit ONNX model predicts only if its answers are close to the full one's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from paratopic.inference.transformer import open_onnx, run_onnx
from paratopic.transformer import quantise

WINDOWS = [list(range(start, start + 6)) for start in range(40)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of one product: embeddings of 50 tokens, one of whose columns is an outlier."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(50, 128)).astype(np.float32)
    table[:, 7] *= 30
    weights = rng.normal(size=(128, 3)).astype(np.float32) / 10
    weights[7] /= np.float32(30)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["tokens"]),
        helper.make_node("MatMul", ["tokens", "weights"], ["logits"], "product"),
        helper.make_node("ReduceMean", ["logits", "axes"], ["mean"], keepdims=0),
        helper.make_node("Softmax", ["mean"], ["probabilities"], axis=1),
    ]
    constants: dict[str, npt.NDArray[Any]] = {
        "table": table,
        "weights": weights,
        "axes": np.array([1]),
    }
    graph = helper.make_graph(
        nodes,
        "one product",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "length"])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), tmp_path / "model.onnx")
    return tmp_path


def test_smoothing_keeps_the_answers_and_evens_out_the_columns(folder: Path) -> None:
    model = onnx.load(folder / "model.onnx")
    before = quantise._largest(model, ["tokens"], WINDOWS)["tokens"]
    full = run_onnx(open_onnx(folder / "model.onnx"), WINDOWS)
    quantise._smooth(model, WINDOWS)
    np.testing.assert_allclose(
        run_onnx(open_onnx(model.SerializeToString()), WINDOWS), full, atol=1e-5
    )
    after = quantise._largest(model, ["tokens_smooth"], WINDOWS)["tokens_smooth"]
    assert before.max() / np.median(before) > 20
    assert after.max() / np.median(after) < 2


def test_the_8_bit_model_predicts_if_its_answers_are_close(folder: Path) -> None:
    full = run_onnx(open_onnx(folder / "model.onnx"), WINDOWS)
    name, parity = quantise.quantise_if_close(folder, WINDOWS, full)
    assert name == "model_int8.onnx" and parity["int8_used"] == 1
    assert 0 < parity["int8_gap"] <= quantise.INT8_GAP
    assert parity["int8_same"] >= quantise.INT8_SAME
    small = run_onnx(open_onnx(folder / name), WINDOWS, alone=True)
    assert np.abs(small - full).max() == parity["int8_gap"]


def test_the_full_model_predicts_if_the_8_bit_ones_answers_are_not_close(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = run_onnx(open_onnx(folder / "model.onnx"), WINDOWS)
    monkeypatch.setattr(quantise, "INT8_GAP", 1e-9)
    name, parity = quantise.quantise_if_close(folder, WINDOWS, full)
    assert name == "model.onnx" and parity["int8_used"] == 0
    assert parity["int8_gap"] > 1e-9
    assert not (folder / "model_int8.onnx").exists()


def test_a_full_model_that_differs_from_the_network_is_refused(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="off by"):
        quantise.quantise_if_close(folder, WINDOWS, np.full((len(WINDOWS), 3), 1 / 3))
