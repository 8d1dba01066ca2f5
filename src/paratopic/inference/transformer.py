"""Prediction with a saved transformer: token windows through an ONNX model, without torch."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from paratopic.inference.scores import Scores, combine, logits
from paratopic.project.topics import Mode

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

# Tokens that neighbouring windows of a long text share.
OVERLAP = 32

# Tokens that are computed together: more of them gain nothing on a CPU, and leave its caches.
BATCH_TOKENS = 256


class EncoderClassifier:
    """A fine-tuned encoder with its head, as one ONNX graph from token ids to probabilities.

    The answer for a text depends neither on its neighbours nor on the number of processors:
    nothing is padded, and the 8-bit graph, whose scales span what it is given, gets one window at
    a time.

    Parameters
    ----------
    folder
        Holds the graph and tokenizer.json.
    mode
        Of the topics.
    settings
        ``graph``: its file; ``max_tokens``: length of a window.
    """

    FULL, INT8, TOKENIZER = "model.onnx", "model_int8.onnx", "tokenizer.json"

    def __init__(self, folder: Path, mode: Mode, settings: Mapping[str, Any]) -> None:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / self.TOKENIZER))
        self._tokenizer = windowing(tokenizer, settings["max_tokens"])
        self._session = open_onnx(folder / settings["graph"])
        self._alone = settings["graph"] == self.INT8
        self._mode = mode

    def read(self, texts: Sequence[str]) -> tuple[Scores, npt.NDArray[np.int64]]:
        """Calibrated probabilities, (n texts, k topics), and the number of windows of each text."""
        windows, owner = read_windows(self._tokenizer, texts)
        scores = run_onnx(self._session, windows, self._alone)
        lengths = [len(window) for window in windows]
        combined = combine(logits(scores, self._mode), lengths, owner, len(texts), self._mode)
        return combined, np.bincount(owner, minlength=len(texts))


def windowing(tokenizer: Tokenizer, max_tokens: int) -> Tokenizer:
    """Set a tokenizer to cut long text into overlapping windows of `max_tokens`."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens, stride=min(OVERLAP, max_tokens // 4))
    return tokenizer


def read_windows(
    tokenizer: Tokenizer, texts: Sequence[str]
) -> tuple[list[list[int]], npt.NDArray[np.int64]]:
    """Token ids of each window, and the number of the text that it belongs to."""
    windows: list[list[int]] = []
    owner: list[int] = []
    encodings: list[Encoding] = tokenizer.encode_batch(list(texts))
    for number, encoding in enumerate(encodings):
        for window in (encoding, *encoding.overflowing):
            windows.append(window.ids)
            owner.append(number)
    return windows, np.array(owner, dtype=np.int64)


def open_onnx(graph: Path | bytes) -> InferenceSession:
    """Load an ONNX graph; a run of it stays on the thread that asks for it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def run_onnx(
    session: InferenceSession, windows: Sequence[Sequence[int]], alone: bool = False
) -> Scores:
    """Probabilities of windows, (n, k + 1), spread over the processors.

    Parameters
    ----------
    session
        From `open_graph`.
    windows
        Token ids. Those of one length are computed together, so that nothing is padded.
    alone
        Compute each by itself, for a graph whose answers depend on what is computed with them.
    """
    together = batches([len(window) for window in windows], 1 if alone else BATCH_TOKENS)

    def run(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        ids = np.array([windows[row] for row in rows], dtype=np.int64)
        scores: npt.NDArray[np.float32] = session.run(None, {"input_ids": ids})[0]
        return scores

    parts = [run(together[0])] if len(together) == 1 else list(_pool().map(run, together))
    scores = np.empty((len(windows), parts[0].shape[1]))
    scores[np.concatenate(together)] = np.concatenate(parts)
    return scores


def batches(lengths: Sequence[int], tokens: int) -> list[npt.NDArray[np.int64]]:
    """Rows of one length in batches of at most `tokens` tokens, or of one row.

    >>> [rows.tolist() for rows in batches([5, 9, 5, 5], 10)]
    [[0, 2], [3], [1]]
    """
    order = np.argsort(lengths, kind="stable")
    ordered = np.asarray(lengths)[order]
    made = []
    for same in np.split(order, np.flatnonzero(np.diff(ordered)) + 1):
        size = max(1, tokens // max(1, int(lengths[same[0]])))
        made += [same[start : start + size] for start in range(0, len(same), size)]
    return made


@functools.cache
def _pool() -> ThreadPoolExecutor:
    # What this process may use, which can be less than the machine has.
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count()
    return ThreadPoolExecutor(processors, thread_name_prefix="paratopic")
