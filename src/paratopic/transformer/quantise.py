"""Make the encoder multiply 8-bit numbers, which takes a CPU a third of the time.

The encoder is quantised before its head is fitted, so that head, calibration and reported figures
are those of what predicts. In PyTorch the 8-bit numbers are computed as floats. `export` writes
onnxruntime's operator for products of 8-bit numbers.

Every processor computes the same sums. Those without instructions for 8-bit products (VNNI) add two
neighbouring products in 16 bits and cut off what is larger, so weights are scaled such that no
such sum is.
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

# Share of the outliers that moves from activations to weights; SmoothQuant's alpha.
SMOOTHING = 0.85
# Activations of other texts may be so much larger than those that set the range.
MARGIN = 1.2
# Numbers that 8 bits hold: of activations from 0 to this, and of weights from minus to plus this.
OF_ACTIVATIONS, OF_WEIGHTS = 255, 127
# In place of the range of a column, and of a row of weights, that is always 0.
SMALLEST, TINY = 1e-5, 1e-12

Encoder = TypeVar("Encoder", bound=nn.Module)


def round_rows(weight: Tensor, by: Tensor) -> tuple[Tensor, Tensor]:
    """Round a matrix (n, d) to 8 bits with sign, and a scale for each row, (n, 1).

    In each row, the number of `by`, (n,), becomes `OF_WEIGHTS`.
    """
    scale = by[:, None].clamp_min(TINY) / OF_WEIGHTS
    return (weight / scale).round_().to(torch.int8), scale


def largest_pairs(weight: Tensor) -> Tensor:
    """The largest sum of two neighbours of one sign in each row of a matrix, (n, d) to (n,).

    Columns 0 and 1 are neighbours, 2 and 3, and so on. If rows are rounded by this, two rounded
    neighbours sum up to 128 at most, 127 and a half for each, which times 255 fits into 16 bits.
    """
    pairs = nn.functional.pad(weight, (0, weight.shape[1] % 2)).unflatten(1, (-1, 2))
    sums = torch.maximum(pairs.clamp_min(0).sum(dim=2), -pairs.clamp_max(0).sum(dim=2))
    return sums.amax(dim=1)


_symbolic = torch.onnx.ops.symbolic


class Quantiser(nn.Module):
    """Round activations to whole numbers from 0 to 255, less the number that stands for 0.

    Parameters
    ----------
    factor
        (d,) number that each column is multiplied by before it is rounded.
    zero
        Number that stands for 0: a scalar of 8 bits without sign.
    """

    def __init__(self, factor: Tensor, zero: Tensor) -> None:
        super().__init__()
        self.factor, self.zero = nn.Buffer(factor), nn.Buffer(zero)
        self.one = nn.Buffer(torch.ones_like(factor[0]))
        self._low = -int(zero)

    def forward(self, activations: Tensor) -> Tensor:
        scaled = activations * self.factor
        if torch.onnx.is_in_onnx_export():
            return _symbolic(
                "QuantizeLinear",
                (scaled, self.one, self.zero),
                dtype=torch.uint8,
                shape=activations.shape,
            )
        return scaled.round().clamp(self._low, self._low + OF_ACTIVATIONS)


class QuantisedLinear(nn.Module):
    """A linear layer whose product is one of 8-bit numbers.

    Layers with the same input share the quantiser, which rounds it.
    """

    def __init__(self, linear: nn.Linear, quantiser: Quantiser) -> None:
        super().__init__()
        self.quantiser = quantiser
        full = linear.weight.detach() / quantiser.factor
        weight, scale = round_rows(full, largest_pairs(full))
        bias = torch.zeros_like(scale[:, 0]) if linear.bias is None else linear.bias.detach()
        self.weight, self.scale = nn.Buffer(weight.T.contiguous()), nn.Buffer(scale[:, 0])
        self.bias, self.product = nn.Buffer(bias), nn.Buffer(weight * scale, persistent=False)

    def forward(self, activations: Tensor) -> Tensor:
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
    """A table of embeddings in 8 bits: a quarter of the size, of which most is this table."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        full = embedding.weight.detach()
        weight, scale = round_rows(full, full.abs().amax(dim=1))
        self.weight: Tensor = nn.Buffer(weight)
        self.scale = nn.Buffer(scale)

    def forward(self, ids: Tensor) -> Tensor:
        return self.weight[ids].float() * self.scale[ids]


def quantise(encoder: Encoder, run: Callable[[Encoder], object]) -> Encoder:
    """Make a copy of an encoder whose linear layers multiply 8-bit numbers.

    Its tables of embeddings have 8 bits, too. Weights have one scale for each output, and
    activations one for each layer, whatever the batch: so a text gets the same answer in any batch.
    Before activations are rounded, their large columns are scaled down, and the weights that these
    are multiplied by up (SmoothQuant, Xiao et al. 2023, arXiv:2211.10438). The ranges are those of
    the texts that `run` encodes.
    """
    # It shares what stays in full precision: of a table of many words, two take gigabytes.
    quantised = copy.deepcopy(encoder, {id(weight): weight for weight in encoder.parameters()})
    inputs, embeddings = _watch(quantised, run)
    for shared in inputs:
        quantiser = _quantiser(shared)
        for name, linear in shared.layers.items():
            quantised.set_submodule(name, QuantisedLinear(linear, quantiser))
    for name, embedding in embeddings.items():
        quantised.set_submodule(name, QuantisedEmbedding(embedding))
    for name, module in encoder.named_modules():
        if isinstance(module, (nn.GELU, GELUActivation)):
            # Takes three quarters of the time, and is off by less than the rounding that follows.
            quantised.set_submodule(name, nn.GELU(approximate="tanh"))
    return quantised


def is_quantised(encoder: nn.Module) -> bool:
    """Whether layers of an encoder multiply 8-bit numbers."""
    return any(isinstance(module, QuantisedLinear) for module in encoder.modules())


@dataclass
class _Input:
    """Activations that some layers multiply: the range of each column, and these layers by name."""

    low: Tensor
    high: Tensor
    layers: dict[str, nn.Linear] = field(default_factory=dict)


def _watch(
    encoder: Encoder, run: Callable[[Encoder], object]
) -> tuple[Iterable[_Input], dict[str, nn.Embedding]]:
    """What linear layers multiply while an encoder runs, and its tables of embeddings by name.

    The encoder must not be used any more if that fails.
    """
    inputs: dict[str, _Input] = {}
    embeddings: dict[str, nn.Embedding] = {}
    group_of: dict[str, str] = {}  # layer → first of those that it shares an input with
    # Of each thread, which all run the encoder: what linear layers read in this batch.
    batch, lock = local(), Lock()

    def begin(*_: object) -> None:
        batch.read = []

    def note(name: str, layer: nn.Linear | nn.Embedding, arguments: tuple[Tensor, ...]) -> None:
        with lock:
            if isinstance(layer, nn.Embedding):
                embeddings[name] = layer
                return
            activations = arguments[0]
            of_same = {group for group, seen in batch.read if seen is activations}
            # A layer that is used twice stays in its group.
            group = group_of.setdefault(name, min(of_same, default=name))
            if group not in of_same:
                batch.read.append((group, activations))
                low, high = activations.flatten(0, -2).aminmax(dim=0)
                known = inputs.setdefault(group, _Input(low, high))
                known.low, known.high = known.low.minimum(low), known.high.maximum(high)
            inputs[group].layers[name] = layer

    hooks = [encoder.register_forward_pre_hook(begin)]
    # What comes after pooling reads a row for each window: 8 bits would save no time there.
    after = tuple(name for name, module in encoder.named_modules() if isinstance(module, Dense))
    for name, module in encoder.named_modules():
        if name.startswith(after):
            continue
        if isinstance(module, nn.Linear) or type(module) is nn.Embedding:
            hooks.append(module.register_forward_pre_hook(partial(note, name)))
    with torch.no_grad():
        run(encoder)
    for hook in hooks:
        hook.remove()
    return inputs.values(), embeddings


def _quantiser(shared: _Input) -> Quantiser:
    """What rounds the activations that some layers share."""
    weights = torch.cat([layer.weight.detach() for layer in shared.layers.values()])
    activations = torch.maximum(-shared.low, shared.high).clamp_min(SMALLEST)
    largest = weights.abs().amax(dim=0).clamp_min(SMALLEST)
    smooth = activations**SMOOTHING / largest ** (1 - SMOOTHING)
    low = MARGIN * (shared.low / smooth).amin().clamp_max(0)
    high = MARGIN * (shared.high / smooth).amax().clamp_min(SMALLEST)
    step = (high - low) / OF_ACTIVATIONS
    return Quantiser(1 / (smooth * step), (-low / step).round().to(torch.uint8))
