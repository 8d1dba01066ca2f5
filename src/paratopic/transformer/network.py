"""Encoder and head as one network, and embeddings of windows.

On the CPU, windows are divided into chunks, and one thread computes each chunk. Results do not
depend on the number of processors, and threads never wait for each other within a product.
`tuning` and `fit` train the network.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from paratopic.inference.linear_head import SHARPNESS, LinearHead
from paratopic.inference.modes import Array, Integers
from paratopic.inference.onnx_model import OnnxModel, thread_pool
from paratopic.transformer.export import EmbeddingNetwork, export
from paratopic.transformer.quantise import is_quantised

# Number of windows, of similar length, that are encoded together.
CHUNK = 8
# Softmax and sigmoid of this finite logit are 1. It replaces infinite intercepts.
CERTAIN_LOGIT = 1e4
# From this number of windows on, an export of five seconds takes less time than it saves.
LEAST_TO_EXPORT = 1_000

Part = TypeVar("Part")
Result = TypeVar("Result")


class Network(nn.Module):
    """Encoder, and head from its embeddings (n, d) to logits (n, n logits).

    `inference.modes.Mode` defines the number and the meaning of the logits.
    """

    def __init__(self, encoder: SentenceTransformer, head: nn.Linear) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        # Coefficients of the nearness to other subjects, one for each logit.
        self.slope: Tensor = nn.Buffer(torch.zeros_like(head.bias))
        self.subjects: Tensor = nn.Buffer(torch.zeros_like(head.weight[:0]))

    def set_head(self, head: LinearHead) -> None:
        """Copy the weights of a fitted head; infinite intercepts become ±`CERTAIN_LOGIT`."""
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(head.coef))
            intercept = np.clip(head.intercept, -CERTAIN_LOGIT, CERTAIN_LOGIT)
            self.head.bias.copy_(torch.from_numpy(intercept))
            self.slope = torch.from_numpy(head.slope).to(self.head.bias)
            self.subjects = torch.from_numpy(head.subjects).to(self.head.weight)

    def logits(self, embeddings: Tensor) -> Tensor:
        """Compute logits (n, n logits) of embeddings (n, d)."""
        logits: Tensor = self.head(embeddings)
        if len(self.subjects):
            scaled = SHARPNESS * embeddings @ self.subjects.T
            nearness = scaled.logsumexp(dim=1, keepdim=True) - math.log(len(self.subjects))
            logits = logits + nearness / SHARPNESS * self.slope
        return logits


def chunks(lengths: Sequence[int], size: int) -> list[Integers]:
    """Group rows of similar length into batches of at most `size`, which need little padding.

    >>> [rows.tolist() for rows in chunks([5, 90, 6], 2)]
    [[0, 2], [1]]
    """
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


def pad(windows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Pad windows of token ids to the longest; return ids and attention mask, (n windows, longest).

    >>> ids, mask = pad([[7, 8], [9]])
    >>> ids.tolist(), mask.tolist()
    ([[7, 8], [9, 0]], [[1, 1], [1, 0]])
    """
    ids = [torch.tensor(window) for window in windows]
    mask = [torch.ones_like(window) for window in ids]
    return pad_sequence(ids, batch_first=True), pad_sequence(mask, batch_first=True)


class Encoded(NamedTuple):
    """Embeddings (n rows, d) of some windows, and the numbers of these windows among all."""

    rows: Tensor
    embeddings: Tensor


def embed_windows(encoder: SentenceTransformer, windows: Sequence[Sequence[int]]) -> Tensor:
    """Embed windows without gradients, (n windows, d), of unit length, on the encoder's device."""
    with torch.no_grad():
        return join_chunks(encoder, encode(encoder, windows), len(windows))


def encode(encoder: SentenceTransformer, windows: Sequence[Sequence[int]]) -> list[Encoded]:
    """Embed windows in chunks, each of which has a graph of its own for gradients.

    The longest windows come first, and embeddings are of unit length. With gradients, CUDA computes
    in mixed precision. Only tuning needs gradients: scores and saved models are computed in full
    precision, as predictions are.
    """
    device, with_gradients = encoder.device, torch.is_grad_enabled()

    def run(chunk: Integers) -> Encoded:
        ids, mask = pad([windows[n] for n in chunk])
        inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
        # Both states belong to a thread.
        with torch.set_grad_enabled(with_gradients), autocast(device, with_gradients):
            features = encoder(inputs)
            embeddings = nn.functional.normalize(features["sentence_embedding"], dim=1)
        return Encoded(torch.from_numpy(chunk).to(device), embeddings.float())

    # The longest windows come first, so that threads end at about the same time.
    longest_first = chunks([len(window) for window in windows], CHUNK)[::-1]
    return list(_map_parts(device, run, longest_first))


def autocast(device: torch.device, mixed: bool) -> torch.autocast:
    """Context of mixed precision, if wanted: bfloat16 on CUDA, full precision on other devices."""
    enabled = mixed and device.type == "cuda"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def join_chunks(encoder: SentenceTransformer, encoded: Sequence[Encoded], n_windows: int) -> Tensor:
    """Embeddings of all windows, (n windows, d), without gradients."""
    d = encoder.get_embedding_dimension()
    embeddings = torch.zeros(n_windows, d, device=encoder.device)
    for chunk in encoded:
        embeddings[chunk.rows] = chunk.embeddings.detach()
    return embeddings


def open_export(encoder: SentenceTransformer) -> OnnxModel:
    """Export an encoder, which must be on the CPU, as an ONNX model, and open that."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.onnx"
        export(EmbeddingNetwork(encoder), path)
        return OnnxModel(path)


def backpropagate(
    encoded: Sequence[Encoded], gradients: Tensor, parameters: Sequence[nn.Parameter]
) -> None:
    """Set the gradients of `parameters` from `gradients` of all embeddings, (n windows, d).

    Gradients of chunks are summed in their order. Parameters must have no gradients before, and
    get none if embeddings do not depend on them.
    """

    def run(chunk: Encoded) -> tuple[Tensor | None, ...]:
        return torch.autograd.grad(
            chunk.embeddings, parameters, gradients[chunk.rows], allow_unused=True
        )

    for chunk_gradients in _map_parts(gradients.device, run, encoded):
        for parameter, gradient in zip(parameters, chunk_gradients, strict=True):
            if gradient is not None:  # some encoders have parts that embeddings do not depend on
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def _map_parts(
    device: torch.device, task: Callable[[Part], Result], parts: Sequence[Part]
) -> Iterator[Result]:
    """Apply a task to each part, with results in order; on the CPU, threads share the parts."""
    if device.type != "cpu":
        yield from map(task, parts)
        return
    with one_thread():
        yield from thread_pool().map(task, parts)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute each operator on one thread."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


class Embedder:
    """Embeds windows with an encoder, which must not change meanwhile.

    PyTorch embeds small numbers of windows. For many windows it is faster to export a quantised
    encoder first, because onnxruntime multiplies 8-bit integers, and PyTorch floats. With `caches`,
    which is off by default, it embeds each window once.
    """

    def __init__(self, encoder: SentenceTransformer, caches: bool = False) -> None:
        self.encoder = encoder
        self._cache: dict[tuple[int, ...], Array] | None = {} if caches else None
        self._exported: OnnxModel | None = None
        self._may_export = encoder.device.type == "cpu" and is_quantised(encoder)

    def __call__(self, windows: Sequence[Sequence[int]]) -> Array:
        """Embed windows of token ids, (n windows, d); embeddings are of unit length."""
        if not windows:
            return np.zeros((0, self.encoder.get_embedding_dimension()))
        if self._cache is None:
            return self._embed(windows)
        keys = [tuple(window) for window in windows]
        new = [key for key in dict.fromkeys(keys) if key not in self._cache]
        if new:
            self._cache |= zip(new, self._embed(new), strict=True)
        return np.array([self._cache[key] for key in keys])

    def _embed(self, windows: Sequence[Sequence[int]]) -> Array:
        if not self._may_export or len(windows) < LEAST_TO_EXPORT:
            return embed_windows(self.encoder, windows).cpu().double().numpy()
        if self._exported is None:
            self._exported = open_export(self.encoder)
        return self._exported.run(windows)
