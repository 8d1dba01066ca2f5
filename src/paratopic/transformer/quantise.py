"""Quantise the encoder to 8 bits, which takes a CPU a third of the time.

The encoder is quantised before its head is fitted, so that head, calibration and reported figures
belong to the model that predicts. PyTorch computes the 8-bit numbers as floats. `export` writes
onnxruntime's operator for products of 8-bit numbers.

Every processor computes the same sums. Processors without instructions for 8-bit products (VNNI)
add two neighbouring products in 16 bits and saturate, so weights are scaled such that no sum
exceeds 16 bits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from threading import Lock, local
from typing import TypeVar

import torch
from sentence_transformers.sentence_transformer.modules import Dense
from torch import Tensor, nn
from transformers.activations import GELUActivation

# Share of the outliers that moves from activations to weights: alpha of SmoothQuant.
SMOOTHING = 0.85
# Activations of other texts may exceed the range of the calibration texts by this factor.
MARGIN = 1.2
# Quantised activations are 0 to 255, quantised weights -127 to 127.
LARGEST_ACTIVATION, LARGEST_WEIGHT = 255, 127
# Least range of a column of activations, and of a row of weights; both may be always 0.
SMALLEST, TINY = 1e-5, 1e-12

Encoder = TypeVar("Encoder", bound=nn.Module)


def round_rows(weight: Tensor, by: Tensor) -> tuple[Tensor, Tensor]:
    """Quantise a matrix (n, d) to int8 with a scale for each row, (n, 1).

    A weight that equals the number of its row in `by`, (n,), becomes `LARGEST_WEIGHT`.
    """
    scale = by[:, None].clamp_min(TINY) / LARGEST_WEIGHT
    return (weight / scale).round_().to(torch.int8), scale


def largest_pairs(weight: Tensor) -> Tensor:
    """Largest sum of two neighbours of one sign in each row of a matrix, (n, d) to (n,).

    Columns 0 and 1 are neighbours, 2 and 3, and so on. If this sum becomes 127, that of rounded
    ones is 128 at most, because rounding adds a half to each. 128 times 255 fits into 16 bits.
    """
    pairs = nn.functional.pad(weight, (0, weight.shape[1] % 2)).unflatten(1, (-1, 2))
    sums = torch.maximum(pairs.clamp_min(0).sum(dim=2), -pairs.clamp_max(0).sum(dim=2))
    return sums.amax(dim=1)


_symbolic = torch.onnx.ops.symbolic


class Quantiser(nn.Module):
    """Quantise activations to uint8 with a zero point, which is subtracted from the results.

    `factor`, (d,), multiplies columns before rounding. `zero` is the zero point, a uint8 scalar.
    """

    def __init__(self, factor: Tensor, zero: Tensor) -> None:
        super().__init__()
        self.factor, self.zero = nn.Buffer(factor), nn.Buffer(zero)
        self.one = nn.Buffer(torch.ones_like(factor[0]))
        self._low = -int(zero)

    def forward(self, activations: Tensor) -> Tensor:
        """Round activations times `factor` to -zero to 255 - zero (floats); an export adds zero."""
        scaled = activations * self.factor
        if torch.onnx.is_in_onnx_export():
            return _symbolic(
                "QuantizeLinear",
                (scaled, self.one, self.zero),
                dtype=torch.uint8,
                shape=activations.shape,
            )
        return scaled.round().clamp(self._low, self._low + LARGEST_ACTIVATION)


class QuantisedLinear(nn.Module):
    """A linear layer that multiplies 8-bit numbers.

    Layers with the same input share the quantiser of the input.
    """

    def __init__(self, linear: nn.Linear, quantiser: Quantiser) -> None:
        super().__init__()
        self.quantiser = quantiser
        full_precision = linear.weight.detach() / quantiser.factor
        weight, scale = round_rows(full_precision, largest_pairs(full_precision))
        bias = torch.zeros_like(scale[:, 0]) if linear.bias is None else linear.bias.detach()
        self.weight, self.scale = nn.Buffer(weight.T.contiguous()), nn.Buffer(scale[:, 0])
        self.bias, self.product = nn.Buffer(bias), nn.Buffer(weight * scale, persistent=False)

    def forward(self, activations: Tensor) -> Tensor:
        """Outputs of the layer, as floats, from activations that the quantiser rounds.

        The product is of floats or, in an export, of integers.
        """
        rounded = self.quantiser(activations)
        if torch.onnx.is_in_onnx_export():
            one, zero = self.quantiser.one, self.quantiser.zero
            return _symbolic(
                "com.microsoft::MatMulIntegerToFloat",
                (rounded, self.weight, one, self.scale, zero, None, self.bias),
                dtype=self.scale.dtype,
                shape=(*activations.shape[:-1], len(self.bias)),
            )
        return nn.functional.linear(rounded, self.product, self.bias)


class QuantisedEmbedding(nn.Module):
    """A table of embeddings in 8 bits, a quarter of its size in full precision."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        full_precision = embedding.weight.detach()
        weight, scale = round_rows(full_precision, full_precision.abs().amax(dim=1))
        self.weight: Tensor = nn.Buffer(weight)
        self.scale = nn.Buffer(scale)

    def forward(self, ids: Tensor) -> Tensor:
        return self.weight[ids].float() * self.scale[ids]


def quantise(encoder: Encoder, run: Callable[[Encoder], object]) -> Encoder:
    """Make a copy of an encoder whose linear layers multiply 8-bit numbers.

    Its tables of embeddings have 8 bits, too. Weights have one scale for each output. Activations
    have one for each layer, the same for all batches, so that predictions do not depend on them.
    Before rounding, large columns of activations are scaled down, and the corresponding weights up
    (SmoothQuant, Xiao et al. 2023, arXiv:2211.10438). `run` encodes texts with the copy, which set
    the ranges. Layers that it does not reach, or after the pooling, stay in full precision.
    """
    # The copy shares weights in full precision, because two tables of many words take gigabytes.
    quantised = copy.deepcopy(encoder, {id(weight): weight for weight in encoder.parameters()})
    inputs, embeddings = _record_inputs(quantised, run)
    for shared in inputs:
        quantiser = _make_quantiser(shared)
        for name, linear in shared.layers.items():
            quantised.set_submodule(name, QuantisedLinear(linear, quantiser))
    for name, embedding in embeddings.items():
        quantised.set_submodule(name, QuantisedEmbedding(embedding))
    for name, module in encoder.named_modules():
        if isinstance(module, (nn.GELU, GELUActivation)):
            # This approximation takes a quarter less time, with a smaller error than the rounding.
            quantised.set_submodule(name, nn.GELU(approximate="tanh"))
    return quantised


def is_quantised(encoder: nn.Module) -> bool:
    """Whether layers of an encoder multiply 8-bit numbers."""
    return any(isinstance(module, QuantisedLinear) for module in encoder.modules())


@dataclass
class _Input:
    """Input of some layers: the range of each column of activations, and these layers by name."""

    low: Tensor
    high: Tensor
    layers: dict[str, nn.Linear] = field(default_factory=dict)


def _record_inputs(
    encoder: Encoder, run: Callable[[Encoder], object]
) -> tuple[Iterable[_Input], dict[str, nn.Embedding]]:
    """Run an encoder; return the inputs of its linear layers, and its embedding layers by name.

    Linear layers that read the same tensor share an `_Input`, with the range of each column. Layers
    after the pooling, or that `run` does not reach, are left out. After an error, discard it.
    """
    inputs: dict[str, _Input] = {}
    embeddings: dict[str, nn.Embedding] = {}
    group_of: dict[str, str] = {}  # layer → first of those that it shares an input with
    # Several threads run the encoder, and each keeps the inputs of linear layers in its batch.
    batch, lock = local(), Lock()

    def start_batch(*_: object) -> None:
        batch.inputs = []

    def record(name: str, layer: nn.Linear | nn.Embedding, arguments: tuple[Tensor, ...]) -> None:
        """Note a layer and the range of its inputs; layers with the same input share a group."""
        with lock:
            if isinstance(layer, nn.Embedding):
                embeddings[name] = layer
                return
            activations = arguments[0]
            groups = {group for group, earlier in batch.inputs if earlier is activations}
            # A layer that is used twice stays in its group.
            group = group_of.setdefault(name, min(groups, default=name))
            if group not in groups:
                batch.inputs.append((group, activations))
                low, high = activations.flatten(0, -2).aminmax(dim=0)
                total = inputs.setdefault(group, _Input(low, high))
                total.low, total.high = total.low.minimum(low), total.high.maximum(high)
            inputs[group].layers[name] = layer

    hooks = [encoder.register_forward_pre_hook(start_batch)]
    # Layers after the pooling read one row for each window, so that 8 bits would save no time.
    pooled = tuple(name for name, module in encoder.named_modules() if isinstance(module, Dense))
    for name, module in encoder.named_modules():
        if name.startswith(pooled):
            continue
        if isinstance(module, nn.Linear) or type(module) is nn.Embedding:
            hooks.append(module.register_forward_pre_hook(partial(record, name)))
    with torch.no_grad():
        run(encoder)
    for hook in hooks:
        hook.remove()
    return inputs.values(), embeddings


def _make_quantiser(shared: _Input) -> Quantiser:
    """Make the quantiser of an input, by SmoothQuant and the range in `shared` times `MARGIN`."""
    weights = torch.cat([layer.weight.detach() for layer in shared.layers.values()])
    activations = torch.maximum(-shared.low, shared.high).clamp_min(SMALLEST)
    largest = weights.abs().amax(dim=0).clamp_min(SMALLEST)
    divisor = activations**SMOOTHING / largest ** (1 - SMOOTHING)
    low = MARGIN * (shared.low / divisor).amin().clamp_max(0)
    high = MARGIN * (shared.high / divisor).amax().clamp_min(SMALLEST)
    step = (high - low) / LARGEST_ACTIVATION
    return Quantiser(1 / (divisor * step), (-low / step).round().to(torch.uint8))
