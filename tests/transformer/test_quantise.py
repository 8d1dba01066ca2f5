"""The encoder's linear layers multiply 8-bit numbers, if that changes its embeddings little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from paratopic.inference.model import load
from paratopic.inference.modes import Calibration
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples
from paratopic.transformer import fit as transformer
from paratopic.transformer import quantise
from tests.transformer.conftest import Fit, Untuned


@given(st.integers(0, 2**31), st.sampled_from([1.0, 30.0]), st.booleans())
def test_products_are_within_the_steps_of_rounding(seed: int, outlier: float, bias: bool) -> None:
    torch.manual_seed(seed)
    layer = nn.Linear(16, 5, bias=bias)
    activations = torch.randn(40, 16)
    activations[:, 3] *= outlier
    rounded = quantise.quantise(nn.Sequential(layer), lambda encoder: encoder(activations))
    quantised = rounded[0]
    assert isinstance(quantised, quantise.QuantisedLinear)
    with torch.no_grad():
        gap = (rounded(activations) - layer(activations)).abs()
        # Half a step of each activation times its weight, and half a step of each weight.
        scaled = (activations * quantised.quantiser.factor).abs()
        bound = quantised.product.abs().sum(dim=1) + scaled.sum(dim=1)[:, None] * quantised.scale
    assert (gap <= 0.5 * bound + 1e-4).all()


@given(st.integers(0, 2**31), st.integers(1, 9), st.sampled_from([0.1, 1.0, 30.0]))
def test_sums_of_rounded_neighbours_of_one_sign_fit(seed: int, columns: int, power: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(6, columns, generator=generator) ** 3 * power
    rounded, scale = quantise.round_rows(weight, quantise.largest_pairs(weight))
    assert ((rounded * scale - weight).abs() <= 0.5 * scale + 1e-6).all()  # nothing is cut off
    # Without instructions for 8-bit products, sums of two of them have 16 bits.
    for row in rounded.tolist():
        for first, second in zip(row[::2], [*row[1::2], 0], strict=False):
            assert first * second < 0 or abs(first + second) <= 128
    assert rounded.abs().amax(dim=1).min() >= quantise.LARGEST_WEIGHT // 2


class Relative(nn.Module):
    """A layer with two inputs in turn, and a table of which only the weights are read."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(7, 24), nn.Embedding(9, 24)
        self.shared = nn.Linear(24, 24)

    def forward(self, ids: Tensor) -> Tensor:
        products: Tensor = self.shared(self.words(ids)) @ self.shared(self.positions.weight).T
        return products


def test_a_layer_that_is_used_twice_has_the_range_of_both_inputs() -> None:
    torch.manual_seed(0)
    encoder, ids = Relative(), torch.arange(7)
    with torch.no_grad():
        encoder.positions.weight.mul_(20)
        rounded = quantise.quantise(encoder, lambda it: it(ids))
        gap = (rounded(ids) - encoder(ids)).abs().max() / encoder(ids).abs().max()
    assert gap < 0.2  # .9 if those of the table were cut off to the range of the words
    assert isinstance(rounded.words, quantise.QuantisedEmbedding)
    assert rounded.positions.weight is encoder.positions.weight  # and takes no more memory


def test_activations_beyond_the_range_are_cut_off_to_it() -> None:
    layer = nn.Linear(8, 3)
    rounded = quantise.quantise(nn.Sequential(layer), lambda it: it(torch.rand(5, 8)))
    with torch.no_grad():
        assert torch.equal(rounded(torch.full((1, 8), 50.0)), rounded(torch.full((1, 8), 1e30)))


def test_the_full_model_predicts_if_embeddings_differ(
    data: Examples, topics: Topics, fit_tiny: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformer, "CLOSE", 1.1)
    model = fit_tiny(data, topics, epochs=0)
    parity = model.save(tmp_path / "model", Calibration())
    assert parity["int8_used"] == 0 and parity["similarity"] > 0.99
    assert parity["full_gap"] == 0 and parity["gap"] < 1e-5
    scores = load(tmp_path / "model").predict_proba(data.texts.plain)
    np.testing.assert_allclose(scores, model.predict_proba(data.texts), atol=1e-5)


def test_an_onnx_model_that_differs_from_its_network_is_not_saved(
    untuned: Untuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformer, "INT8_GAP", -1.0)
    with pytest.raises(RuntimeError, match="off by"):
        untuned[0].save(tmp_path / "model", Calibration())
    assert not (tmp_path / "model").exists()
