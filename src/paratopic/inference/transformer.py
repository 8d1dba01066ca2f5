"""Prediction with a saved transformer: token windows through an ONNX model, without torch.

Tuning the encoder and writing the ONNX model is for the room `transformer`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from paratopic.inference.modes import Mode
from paratopic.inference.scores import Integers, Scores

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

# Number of tokens that neighbouring windows of a long text share.
OVERLAP = 32
# Number of tokens that are computed together: on a CPU, more gain nothing and overflow its caches.
BATCH_TOKENS = 256
# Largest difference of a probability that rounding makes on another processor. Sums that are cut
# off at 16 bits differ by more.
PROBE_GAP = 0.03


class EncoderClassifier:
    """A fine-tuned encoder with its head, as one ONNX model from token ids to probabilities.

    A text always gets the same answer, whatever else is in the batch and however many processors
    there are: nothing is padded, and the 8-bit ONNX model has the same scales for every input.

    Parameters
    ----------
    folder
        Folder with the ONNX model and tokenizer.json.
    mode
        Mode of the topics.
    settings
        ``graph`` is the file name of the ONNX model, ``max_tokens`` the length of a window. With
        the 8-bit model, ``probe`` has ``windows``, lists of token ids, and ``probabilities``, what
        the model makes of them. A processor on which it makes something else, as those without
        8-bit instructions may, gets the full model.
    """

    FULL, INT8, TOKENIZER = "model.onnx", "model_int8.onnx", "tokenizer.json"

    def __init__(self, folder: Path, mode: Mode, settings: Mapping[str, Any]) -> None:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / self.TOKENIZER))
        self._tokenizer = windowing(tokenizer, settings["max_tokens"])
        self._session = open_onnx(folder / settings["graph"])
        if "probe" in settings:
            windows, expected = settings["probe"]["windows"], settings["probe"]["probabilities"]
            gap = np.abs(run_onnx(self._session, windows) - np.array(expected)).max()
            if not gap <= PROBE_GAP:
                self._session = open_onnx(folder / self.FULL)
        self._mode = mode

    def score(self, texts: Sequence[str]) -> tuple[Scores, Integers]:
        """Score n texts: calibrated probabilities (n, k), and numbers of windows (n,)."""
        windows, owner = read_windows(self._tokenizer, texts)
        probabilities = run_onnx(self._session, windows)
        lengths = [len(window) for window in windows]
        logits = self._mode.logits(probabilities)
        combined = self._mode.combine_windows(logits, lengths, owner, len(texts))
        return self._mode.scores(combined), np.bincount(owner, minlength=len(texts))


def windowing(tokenizer: Tokenizer, max_tokens: int) -> Tokenizer:
    """Set a tokenizer to cut long texts into overlapping windows of at most `max_tokens`."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens, stride=min(OVERLAP, max_tokens // 4))
    return tokenizer


def read_windows(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[list[list[int]], Integers]:
    """Cut texts into windows.

    Returns
    -------
    windows
        Token ids of each window.
    owner
        (n windows,) number of the text that each window belongs to.
    """
    windows: list[list[int]] = []
    owner: list[int] = []
    encodings: list[Encoding] = tokenizer.encode_batch(list(texts))
    for number, encoding in enumerate(encodings):
        for window in (encoding, *encoding.overflowing):
            windows.append(window.ids)
            owner.append(number)
    return windows, np.array(owner, dtype=np.int64)


def open_onnx(model: Path | bytes) -> InferenceSession:
    """Open an ONNX model; each run of it stays on the thread that asks for it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # The fused operator is slower than its parts.
    return onnxruntime.InferenceSession(
        model,
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["SkipLayerNormFusion"],
    )


def run_onnx(session: InferenceSession, windows: Sequence[Sequence[int]]) -> Scores:
    """Compute the probabilities of windows, (n windows, n logits), on all processors.

    Parameters
    ----------
    session
        Session from `open_onnx`.
    windows
        Token ids of each window. Windows of one length are computed together, without padding.
    """
    chunks = batches([len(window) for window in windows], BATCH_TOKENS)

    def run(rows: Integers) -> npt.NDArray[np.float32]:
        ids = np.array([windows[row] for row in rows], dtype=np.int64)
        probabilities: npt.NDArray[np.float32] = session.run(None, {"input_ids": ids})[0]
        return probabilities

    parts = [run(chunks[0])] if len(chunks) == 1 else list(_pool().map(run, chunks))
    probabilities = np.empty((len(windows), parts[0].shape[1]))
    probabilities[np.concatenate(chunks)] = np.concatenate(parts)
    return probabilities


def batches(lengths: Sequence[int], tokens: int) -> list[Integers]:
    """Group rows of one length into batches of at most `tokens` tokens, but at least one row.

    >>> [rows.tolist() for rows in batches([5, 9, 5, 5], 10)]
    [[0, 2], [3], [1]]
    """
    order = np.argsort(lengths, kind="stable")
    ordered = np.asarray(lengths)[order]
    chunks = []
    for same in np.split(order, np.flatnonzero(np.diff(ordered)) + 1):
        size = max(1, tokens // max(1, int(lengths[same[0]])))
        chunks += [same[start : start + size] for start in range(0, len(same), size)]
    return chunks


@functools.cache
def _pool() -> ThreadPoolExecutor:
    # A process may be allowed fewer processors than the machine has.
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count()
    return ThreadPoolExecutor(processors, thread_name_prefix="paratopic")


if hasattr(os, "register_at_fork"):
    # A child has none of its parent's threads: tasks of the parent's pool would wait for ever.
    os.register_at_fork(after_in_child=_pool.cache_clear)
