"""Embeddings of texts of any length, by an encoder that is no longer tuned.

PyTorch embeds small numbers of windows. For many it is faster to export the encoder first: then it
multiplies 8-bit integers, for which PyTorch computes with floats.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from paratopic.inference.onnx_model import OnnxModel, read_windows
from paratopic.inference.scores import Array, Integers
from paratopic.transformer.export import EmbeddingNetwork, export
from paratopic.transformer.network import Network, embed_windows, processes
from paratopic.transformer.quantise import is_quantised

# Number of windows from which on an export, of five seconds, takes less time than it saves.
MANY = 1_000


class Embedder:
    """Embeds texts with a network's encoder, which must not change meanwhile.

    Parameters
    ----------
    remembers
        Whether it keeps what it embedded, for texts that are embedded again; no by default.
    """

    def __init__(self, network: Network, remembers: bool = False) -> None:
        self.network = network
        self._known: dict[tuple[int, ...], Array] | None = {} if remembers else None
        self._exported: OnnxModel | None = None
        on_cpu = network.head.weight.device.type == "cpu" and processes() == (0, 1)
        self._may_export = on_cpu and is_quantised(network.encoder)

    def texts(
        self, tokenizer: Tokenizer, texts: Sequence[str], first: bool = False
    ) -> tuple[Array, Integers]:
        """Embed all windows of texts.

        Parameters
        ----------
        tokenizer
            Tokenizer that cuts texts into windows.
        texts
            n texts.
        first
            Whether only the first window of each text is embedded; no by default.

        Returns
        -------
        embeddings
            (n windows, d) embeddings of unit length.
        owner
            (n windows,) number of the text that each window belongs to.
        """
        windows, owner = read_windows(tokenizer, texts)
        if first:
            owner, rows = np.unique(owner, return_index=True)
            windows = [windows[row] for row in rows]
        return self.windows(windows), owner

    def windows(self, windows: Sequence[Sequence[int]]) -> Array:
        """Embed windows of token ids, (n windows, d)."""
        if not windows:
            return np.zeros((0, self.network.head.in_features))
        if self._known is None:
            return self._embed(windows)
        keys = [tuple(window) for window in windows]
        new = [key for key in dict.fromkeys(keys) if key not in self._known]
        if new:
            self._known |= zip(new, self._embed(new), strict=True)
        return np.array([self._known[key] for key in keys])

    def _embed(self, windows: Sequence[Sequence[int]]) -> Array:
        if not self._may_export or len(windows) < MANY:
            return self._by_torch(windows)
        if self._exported is None:
            self._exported = self._export()
        return self._exported.run(windows)

    def _by_torch(self, windows: Sequence[Sequence[int]]) -> Array:
        return embed_windows(self.network, windows).cpu().double().numpy()

    def _export(self) -> OnnxModel:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "encoder.onnx"
            export(EmbeddingNetwork(self.network.encoder), path)
            return OnnxModel(path)
