"""Prediction with a saved transformer, an ONNX model and a linear head, without torch.

Tuning the encoder and writing the ONNX model is for the room `transformer`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from paratopic.inference.linear_head import ContextWeights, Reading, Windows, in_context, read_head
from paratopic.inference.modes import Array, Integers, Mode
from paratopic.project.texts import Texts

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

# Number of tokens that neighbouring windows of a long text share.
OVERLAP = 32
# Number of tokens that are computed together: on a CPU, more gain nothing and overflow its caches.
BATCH_TOKENS = 256


class EncoderClassifier:
    """A fine-tuned encoder as an ONNX model from token ids to embeddings, and a linear head.

    A text always gets the same answer, but for the last digits, whatever else is in the batch and
    however many processors there are: nothing is padded, and the 8-bit ONNX model has the same
    scales for every input.

    Parameters
    ----------
    settings
        ``max_tokens`` is the length of a window, ``context`` has the `ContextWeights`.
    """

    MODEL, TOKENIZER, HEAD = "model.onnx", "tokenizer.json", "head.safetensors"
    FILES: ClassVar[tuple[str, ...]] = (MODEL, TOKENIZER, HEAD)

    def __init__(self, folder: Path, mode: Mode, settings: Mapping[str, Any]) -> None:
        from tokenizers import Tokenizer

        max_tokens = settings["max_tokens"]
        if type(max_tokens) is not int or not 1 <= max_tokens < 2**31:
            raise ValueError(f"settings: max_tokens is {max_tokens}")
        self.context = ContextWeights.read(settings["context"])
        self._tokenizer = windowing(Tokenizer.from_file(str(folder / self.TOKENIZER)), max_tokens)
        self._head, self._mode = read_head(folder / self.HEAD), mode
        self._model = OnnxModel(folder / self.MODEL)

    def read(self, texts: Texts) -> Reading:
        """Read n texts, long ones in several windows."""
        windows = embed_in_context(self._tokenizer, texts, self.context, self._model.run)
        return self._head.read(windows, self._mode, len(texts))

    def embed(self, texts: Sequence[str]) -> Array:
        """Embeddings of n texts, (n, d): of several windows the mean, weighted by their lengths."""
        windows, owner = read_windows(self._tokenizer, texts)
        return mean_embeddings(self._model.run(windows), windows, owner, len(texts))


def embed_in_context(
    tokenizer: Tokenizer,
    texts: Texts,
    context: ContextWeights,
    embed: Callable[[list[list[int]]], Array],
) -> Windows:
    """Embed texts with what is around them, in rows of unit length; each distinct text once.

    `embed` gives embeddings of unit length, (n windows, d), for windows of token ids.
    """
    read = in_context(texts, context)
    windows, text = read_windows(tokenizer, read.texts)
    embeddings = embed(windows)
    n_windows = np.bincount(text, minlength=len(read.texts))[read.own]
    owner = np.repeat(np.arange(len(texts)), n_windows)
    # Windows lie in the order of their texts: those of a text begin at its first.
    begins = np.searchsorted(text, read.own) - (np.cumsum(n_windows) - n_windows)
    rows = np.repeat(begins, n_windows) + np.arange(len(owner))
    features = embeddings[rows]
    if len(read.row):
        with_context = np.isin(owner, read.row)
        means = mean_embeddings(embeddings, windows, text, len(read.texts))
        sums = features[with_context] + read.sums(means)[owner[with_context]]
        features[with_context] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return Windows(features, owner, [len(windows[row]) for row in rows.tolist()])


def mean_embeddings(
    embeddings: Array, windows: Sequence[Sequence[int]], owner: Integers, n_texts: int
) -> Array:
    """Embeddings of texts, (n texts, d), as means of their windows' by the windows' lengths."""
    total = np.zeros((n_texts, embeddings.shape[1]))
    np.add.at(total, owner, embeddings * np.array([[len(window)] for window in windows]))
    lengths: Array = np.linalg.norm(total, axis=1, keepdims=True)
    return total / lengths


def windowing(tokenizer: Tokenizer, max_tokens: int) -> Tokenizer:
    """Set a tokenizer to cut long texts into overlapping windows of at most `max_tokens`."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens, stride=min(OVERLAP, max_tokens // 4))
    return tokenizer


def read_windows(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[list[list[int]], Integers]:
    """Cut texts into windows of token ids, and number the text of each window, (n windows,)."""
    encodings: list[Encoding] = tokenizer.encode_batch_fast(list(texts))
    of_texts = [[encoding, *encoding.overflowing] for encoding in encodings]
    owner = [number for number, windows in enumerate(of_texts) for _ in windows]
    return [window.ids for window in chain(*of_texts)], np.array(owner, dtype=np.int64)


class OnnxModel:
    """An ONNX model from token ids to embeddings of windows.

    A window alone is computed by all processors together. Of several, each processor computes some,
    which is faster. It is opened for one window at first, and for several when it has to, from the
    bytes that the file had at first.
    """

    def __init__(self, path: Path) -> None:
        self._model, self._path = path.read_bytes(), path
        _sessions[self] = {}
        self._open(n_processors())

    def run(self, windows: Sequence[Sequence[int]]) -> Array:
        """Embed windows of token ids, (n windows, d); those of one length without padding."""
        # The longest first: they take longest, and no processor is to wait for them at the end.
        chunks = batches([len(window) for window in windows], BATCH_TOKENS)[::-1]
        session = self._open(n_processors() if len(chunks) == 1 else 1)

        def run(rows: Integers) -> npt.NDArray[np.float32]:
            ids = np.array([windows[row] for row in rows], dtype=np.int64)
            answers: npt.NDArray[np.float32] = session.run(None, {"input_ids": ids})[0]
            return answers

        parts = [run(chunks[0])] if len(chunks) == 1 else list(thread_pool().map(run, chunks))
        answers = np.empty((len(windows), parts[0].shape[1]))
        answers[np.concatenate(chunks)] = np.concatenate(parts)
        return answers

    def _open(self, threads: int) -> InferenceSession:
        session = _sessions[self].get(threads)
        if session is None:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
            # Weights in further files would be read from any place: there is no such folder.
            options.add_session_config_entry(
                "session.model_external_initializers_file_folder_path", str(self._path)
            )
            session = onnxruntime.InferenceSession(
                self._model,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=["SkipLayerNormFusion"],  # which is slower than its parts
            )
            _sessions[self][threads] = session
        return session


# The open sessions of each model by their number of threads.
_sessions: WeakKeyDictionary[OnnxModel, dict[int, InferenceSession]] = WeakKeyDictionary()


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


def n_processors() -> int:
    """Number of processors that this process may use, which can be fewer than the machine has.

    `OMP_NUM_THREADS`, which Spark sets for each of its workers, is the most.
    """
    affinity = hasattr(os, "sched_getaffinity")
    allowed = len(os.sched_getaffinity(0)) if affinity else os.cpu_count() or 1
    most = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(most)) if most.isdigit() else allowed


@functools.cache
def thread_pool() -> ThreadPoolExecutor:
    """Threads that compute on one processor each."""
    return ThreadPoolExecutor(n_processors(), thread_name_prefix="paratopic")


def _close_threads() -> None:
    """Close the sessions that have threads of their own; they are opened again when needed."""
    for sessions in list(_sessions.values()):
        for threads in [number for number in sessions if number > 1]:
            sessions.pop(threads, None)


if hasattr(os, "register_at_fork"):
    # A child has none of its parent's threads, and would wait for them for ever.
    os.register_at_fork(before=_close_threads, after_in_child=thread_pool.cache_clear)
