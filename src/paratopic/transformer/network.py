"""Encoder and head as one network, and embeddings of texts of any length.

With several processes (torchrun) each encodes a share of the windows, and all get all embeddings.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from torch import Tensor, distributed, nn

from paratopic.inference.transformer import read_windows
from paratopic.transformer.encoder import autocast

PREDICT_BATCH = 32


class Network(nn.Module):
    """Encoder and head: token ids and attention mask, both (n, length), → logits.

    They are (n, k + 1) in mode single, (n, k) in mode multi: see `classifier.probabilities`.
    """

    def __init__(self, encoder: SentenceTransformer, head: nn.Linear) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embeddings of unit length, (n, dimensions)."""
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        return nn.functional.normalize(self.encoder(features)["sentence_embedding"], dim=1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        logits: Tensor = self.head(self.embed(input_ids, attention_mask))
        return logits


def embed_texts(
    network: Network, tokenizer: Tokenizer, texts: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Embeddings of all windows, (n, d), and the number of the text that each belongs to."""
    windows, owner = read_windows(tokenizer, texts)
    if not windows:
        return np.zeros((0, network.head.in_features)), owner
    with torch.inference_mode():
        return embed_windows(network, windows, PREDICT_BATCH).double().cpu().numpy(), owner


def chunks(lengths: Sequence[int], size: int) -> list[npt.NDArray[np.int64]]:
    """Rows in batches of like length, so that little is padded: [5, 90, 6], 2 → [[0, 2], [1]]."""
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


def padded(windows: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int64], ...]:
    """Token ids and attention mask, both (n windows, longest)."""
    shape = len(windows), max(map(len, windows))
    ids, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    return ids, mask


def embed_windows(
    network: Network, windows: Sequence[Sequence[int]], size: int, together: bool = True
) -> Tensor:
    """Embeddings (n, d) in the order of the windows, encoded `size` of like length at a time.

    Processes that train `together` each encode a share of the windows, and all get all embeddings;
    gradients reach the encoder through a process' own share (`_add_gradients`).
    """
    device = network.head.weight.device
    rank, world = processes() if together else (0, 1)
    embeddings = torch.zeros(len(windows), network.head.in_features, device=device)
    order, parts = [], []
    for chunk in chunks([len(window) for window in windows], size)[rank::world]:
        ids, mask = (torch.from_numpy(a).to(device) for a in padded([windows[n] for n in chunk]))
        with autocast(device):
            parts.append(network.embed(ids, mask).float())
        order.append(chunk)
    if parts:
        rows = torch.from_numpy(np.concatenate(order)).to(device)
        embeddings = embeddings.index_copy(0, rows, torch.cat(parts))
    if world > 1:
        every = embeddings.detach().clone()
        distributed.all_reduce(every)
        embeddings = embeddings + (every - embeddings.detach())
    return embeddings


def processes() -> tuple[int, int]:
    """This process' number, and how many train together: as many as torchrun has started."""
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
    """Add up what each process found for its share of a batch, so that all take the same step."""
    if processes()[1] > 1:
        for parameter in parameters:
            if parameter.grad is None:  # this process had no share
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)
