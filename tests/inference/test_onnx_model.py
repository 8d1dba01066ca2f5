"""The ONNX model in full precision, its threads and its batches."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.inference.model import Model
from paratopic.inference.onnx_model import EncoderClassifier, OnnxModel, batches


@pytest.mark.parametrize("trained", ["transformer"], indirect=True)
def test_weights_elsewhere_are_not_read(saved: Path, here: Path) -> None:
    """onnxruntime would read such weights from the current directory."""
    model = onnx.load(saved / EncoderClassifier.MODEL)
    onnx.save(model, "model.onnx", save_as_external_data=True, location="weights.bin")
    assert Path("weights.bin").stat().st_size > 1000
    (here / "elsewhere").mkdir()
    with pytest.raises(Exception, match=r"weights\.bin"):
        OnnxModel(Path("model.onnx").rename("elsewhere/model.onnx"))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.integers(1, 30))
def test_batches_are_of_one_length_and_have_every_row_once(lengths: list[int], tokens: int) -> None:
    chunks = batches(lengths, tokens)
    assert sorted(np.concatenate(chunks).tolist()) == list(range(len(lengths)))
    for rows in chunks:
        batch_lengths = {lengths[row] for row in rows}
        assert len(batch_lengths) == 1
        assert len(rows) == 1 or len(rows) * batch_lengths.pop() <= tokens


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.parametrize("trained", ["transformer"], indirect=True)
def test_a_forked_process_predicts(model: Model) -> None:
    texts = ["A tariff on goods.", "The navy sailed past the island.", "tariff " * 300]
    expected = model.predict_proba(texts), model.predict(texts[0])  # both start threads
    child = os.fork()
    if not child:
        signal.alarm(20)  # otherwise, a child could wait for its parent's threads for ever
        same = np.array_equal(model.predict_proba(texts), expected[0])
        os._exit(0 if same and model.predict(texts[0]) == expected[1] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert model.predict(texts[0]) == expected[1]
