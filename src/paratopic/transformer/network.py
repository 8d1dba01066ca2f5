"""Encoder and head as one network, and embeddings of windows.

On the CPU, windows are divided into chunks, and each chunk is computed by one thread. Results do
not depend on the number of processors, and threads never wait for each other within a product.
Texts are for `Embedder`, training is for `tuning` and `fit`.
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
# A finite logit that softmax and sigmoid take for certainty, in place of an infinite intercept.
CERTAIN = 1e4
# Number of windows from which on an export, of five seconds, takes less time than it saves.
MANY = 1_000

Given = TypeVar("Given")
Done = TypeVar("Done")


class Network(nn.Module):
    """Encoder, and head from its embeddings (n, d) to logits (n, n logits).

    How many logits there are and what they mean is for `inference.modes.Mode`.
    """

    def __init__(self, encoder: SentenceTransformer, head: nn.Linear) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        # What being near to other subjects adds to each logit.
        self.slope: Tensor = nn.Buffer(torch.zeros_like(head.bias))
        self.subjects: Tensor = nn.Buffer(torch.zeros_like(head.weight[:0]))

    def use(self, head: LinearHead) -> None:
        """Take over the weights of a head."""
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(head.coef))
            self.head.bias.copy_(torch.from_numpy(np.clip(head.intercept, -CERTAIN, CERTAIN)))
            self.slope = torch.from_numpy(head.slope).to(self.head.bias)
            self.subjects = torch.from_numpy(head.subjects).to(self.head.weight)

    def logits(self, embeddings: Tensor) -> Tensor:
        """Compute logits (n, n logits) of embeddings (n, d)."""
        logits: Tensor = self.head(embeddings)
        if len(self.subjects):
            sharp = SHARPNESS * embeddings @ self.subjects.T
            near = sharp.logsumexp(dim=1, keepdim=True) - math.log(len(self.subjects))
            logits = logits + near / SHARPNESS * self.slope
        return logits


def chunks(lengths: Sequence[int], size: int) -> list[Integers]:
    """Group rows of similar length into batches of at most `size`, so that little is padded.

    >>> [rows.tolist() for rows in chunks([5, 90, 6], 2)]
    [[0, 2], [1]]
    """
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


def pad(windows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Pad windows to token ids and an attention mask, both (n windows, longest).

    >>> ids, mask = pad([[7, 8], [9]])
    >>> ids.tolist(), mask.tolist()
    ([[7, 8], [9, 0]], [[1, 1], [1, 0]])
    """
    ids = [torch.tensor(window) for window in windows]
    mask = [torch.ones_like(window) for window in ids]
    return pad_sequence(ids, batch_first=True), pad_sequence(mask, batch_first=True)


class Encoded(NamedTuple):
    """Embeddings (n rows, d) of some windows, and the rows that these windows have among all."""

    rows: Tensor
    embeddings: Tensor


def embed_windows(encoder: SentenceTransformer, windows: Sequence[Sequence[int]]) -> Tensor:
    """Embed windows, (n windows, d), without gradients."""
    with torch.no_grad():
        return joined(encoder, encode(encoder, windows), len(windows))


def encode(encoder: SentenceTransformer, windows: Sequence[Sequence[int]]) -> list[Encoded]:
    """Embed windows in chunks, each of which has a graph of its own for gradients.

    With gradients, CUDA computes in mixed precision. That is for tuning alone: what is scored and
    saved is what predicts, in full precision.
    """
    device, tuning = encoder.device, torch.is_grad_enabled()

    def run(chunk: Integers) -> Encoded:
        ids, mask = (part.to(device) for part in pad([windows[n] for n in chunk]))
        # Each thread has both of its own.
        with torch.set_grad_enabled(tuning), autocast(device, tuning):
            features = encoder({"input_ids": ids, "attention_mask": mask})
            embeddings = nn.functional.normalize(features["sentence_embedding"], dim=1)
        return Encoded(torch.from_numpy(chunk).to(device), embeddings.float())

    # The longest first: no thread is to wait for the other at the end.
    longest_first = chunks([len(window) for window in windows], CHUNK)[::-1]
    return list(_each(device, run, longest_first))


def autocast(device: torch.device, mixed: bool) -> torch.autocast:
    """Context of mixed precision, if wanted: bfloat16 on CUDA, full precision on other devices."""
    enabled = mixed and device.type == "cuda"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def joined(encoder: SentenceTransformer, encoded: Sequence[Encoded], n_windows: int) -> Tensor:
    """Embeddings of all windows, (n windows, d), without gradients."""
    d = encoder.get_embedding_dimension()
    embeddings = torch.zeros(n_windows, d, device=encoder.device)
    for chunk in encoded:
        embeddings[chunk.rows] = chunk.embeddings.detach()
    return embeddings


def exported(encoder: SentenceTransformer) -> OnnxModel:
    """An encoder on the CPU as an ONNX model, which is opened."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.onnx"
        export(EmbeddingNetwork(encoder), path)
        return OnnxModel(path)


def backpropagate(
    encoded: Sequence[Encoded], gradients: Tensor, parameters: Sequence[nn.Parameter]
) -> None:
    """Give parameters the gradients that follow from those of all embeddings, (n windows, d).

    They are added up in the order of the chunks. Parameters have none before.
    """

    def run(chunk: Encoded) -> tuple[Tensor | None, ...]:
        return torch.autograd.grad(
            chunk.embeddings, parameters, gradients[chunk.rows], allow_unused=True
        )

    for of_chunk in _each(gradients.device, run, encoded):
        for parameter, gradient in zip(parameters, of_chunk, strict=True):
            if gradient is not None:  # some encoders have parts that embeddings do not depend on
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def _each(
    device: torch.device, task: Callable[[Given], Done], parts: Sequence[Given]
) -> Iterator[Done]:
    """What a task makes of each part, in order; on the CPU, threads share the parts."""
    if device.type != "cpu":
        yield from map(task, parts)
        return
    with one_thread_each():
        yield from thread_pool().map(task, parts)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let PyTorch compute each product, sum and the like on one thread."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


class Embedder:
    """Embeds windows with an encoder, which must not change meanwhile.

    PyTorch embeds small numbers of windows. For many it is faster to export the encoder first: then
    it multiplies 8-bit integers, for which PyTorch computes with floats. If it remembers, it embeds
    each window once.
    """

    def __init__(self, encoder: SentenceTransformer, remembers: bool = False) -> None:
        self.encoder = encoder
        self._known: dict[tuple[int, ...], Array] | None = {} if remembers else None
        self._exported: OnnxModel | None = None
        self._may_export = encoder.device.type == "cpu" and is_quantised(encoder)

    def __call__(self, windows: Sequence[Sequence[int]]) -> Array:
        """Embed windows of token ids, (n windows, d); embeddings are of unit length."""
        if not windows:
            return np.zeros((0, self.encoder.get_embedding_dimension()))
        if self._known is None:
            return self._embed(windows)
        keys = [tuple(window) for window in windows]
        new = [key for key in dict.fromkeys(keys) if key not in self._known]
        if new:
            self._known |= zip(new, self._embed(new), strict=True)
        return np.array([self._known[key] for key in keys])

    def _embed(self, windows: Sequence[Sequence[int]]) -> Array:
        if not self._may_export or len(windows) < MANY:
            return embed_windows(self.encoder, windows).cpu().double().numpy()
        if self._exported is None:
            self._exported = exported(self.encoder)
        return self._exported.run(windows)
