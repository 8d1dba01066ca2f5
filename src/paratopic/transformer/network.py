"""Encoder and head as one network, and embeddings of windows.

If torchrun started several processes, each encodes a share of the windows, and all of them get all
embeddings. Texts are for `embedding`, training is for `tuning` and `fit`.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, distributed, nn

from paratopic.inference.head import LinearHead
from paratopic.inference.scores import Integers
from paratopic.transformer.encoder import autocast

# Number of windows that are encoded together without gradients.
PREDICT_BATCH = 32
# A finite logit that softmax and sigmoid take for certainty, in place of an infinite intercept.
CERTAIN = 1e4


class Network(nn.Module):
    """Encoder and head: token ids and attention mask, both (n, length), to logits (n, n logits).

    How many logits there are and what they mean is for `inference.modes.Mode`.
    """

    slope: Tensor
    descriptions: Tensor

    def __init__(self, encoder: SentenceTransformer, head: nn.Linear) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        # What the similarity to the nearest description adds to each logit.
        self.register_buffer("slope", torch.zeros_like(head.bias))
        self.register_buffer("descriptions", torch.zeros_like(head.weight[:0]))

    def use(self, head: LinearHead) -> None:
        """Take over the weights of a head."""
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(head.coef))
            self.head.bias.copy_(torch.from_numpy(np.clip(head.intercept, -CERTAIN, CERTAIN)))
            self.slope = torch.from_numpy(head.slope).to(self.head.bias)
            self.descriptions = torch.from_numpy(head.descriptions).to(self.head.weight)

    def with_encoder(self, encoder: SentenceTransformer) -> Network:
        """This network with another encoder, before the same head."""
        network = Network(encoder, self.head)
        network.slope, network.descriptions = self.slope, self.descriptions
        return network.eval()

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Compute embeddings of unit length, (n, d)."""
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        return nn.functional.normalize(self.encoder(features)["sentence_embedding"], dim=1)

    def logits(self, embeddings: Tensor) -> Tensor:
        """Compute logits (n, n logits) of embeddings (n, d)."""
        logits: Tensor = self.head(embeddings)
        if len(self.descriptions):
            similarity = embeddings @ self.descriptions.T
            logits = logits + similarity.amax(dim=1, keepdim=True) * self.slope
        return logits


def chunks(lengths: Sequence[int], size: int) -> list[Integers]:
    """Group rows of similar length into batches of at most `size`, so that little is padded.

    >>> [rows.tolist() for rows in chunks([5, 90, 6], 2)]
    [[0, 2], [1]]
    """
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


def pad(windows: Sequence[Sequence[int]]) -> tuple[Integers, Integers]:
    """Pad windows to token ids and an attention mask, both (n windows, longest).

    >>> ids, mask = pad([[7, 8], [9]])
    >>> ids.tolist(), mask.tolist()
    ([[7, 8], [9, 0]], [[1, 1], [1, 0]])
    """
    shape = len(windows), max(map(len, windows))
    ids, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    return ids, mask


def embed_windows(
    network: Network,
    windows: Sequence[Sequence[int]],
    size: int,
    together: bool = True,
    mixed: bool = False,
) -> Tensor:
    """Embed windows, (n windows, d).

    Parameters
    ----------
    network
        Network whose encoder is used.
    windows
        Token ids of each window.
    size
        Number of windows, of similar length, that are encoded at a time.
    together
        Whether all processes share the work. Each then encodes a part of the windows and gets all
        embeddings; gradients reach the encoder through its own part only (see `add_gradients`).
    mixed
        Whether CUDA may compute in mixed precision, which is for tuning alone: what is scored and
        saved is what predicts, in full precision.
    """
    device = network.head.weight.device
    rank, world = processes() if together else (0, 1)
    embeddings = torch.zeros(len(windows), network.head.in_features, device=device)
    order, parts = [], []
    for chunk in chunks([len(window) for window in windows], size)[rank::world]:
        ids, mask = (torch.from_numpy(a).to(device) for a in pad([windows[n] for n in chunk]))
        with autocast(device) if mixed else nullcontext():
            parts.append(network.embed(ids, mask).float())
        order.append(chunk)
    if parts:
        rows = torch.from_numpy(np.concatenate(order)).to(device)
        embeddings = embeddings.index_copy(0, rows, torch.cat(parts))
    if world > 1:
        total = embeddings.detach().clone()
        distributed.all_reduce(total)
        # The values of all processes with the gradients of this one.
        embeddings = embeddings + (total - embeddings.detach())
    return embeddings


def processes() -> tuple[int, int]:
    """This process's number, and the number of processes that torchrun started to train together.

    The first call in each of several processes makes them a group.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return 0, 1
    if not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group()
        atexit.register(distributed.destroy_process_group)
    return distributed.get_rank(), world


def add_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Add up the gradients that each process has for its part of a batch.

    All processes then take the same step.
    """
    if processes()[1] > 1:
        for parameter in parameters:
            if parameter.grad is None:  # this process had no part of the batch
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)
