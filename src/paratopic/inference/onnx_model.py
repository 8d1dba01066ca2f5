"""Prediction with a saved transformer: an ONNX encoder and a linear head, without torch."""

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

from paratopic.inference.linear_head import ContextWeights, Reading, Windows, read_head, weigh_texts
from paratopic.inference.modes import Array, Integers, Mode
from paratopic.project.system import n_processors
from paratopic.project.texts import Texts

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

# Neighbouring windows of a long text share this number of tokens.
OVERLAP = 32
# Maximum number of tokens in a batch: larger batches do not fit into the caches of a CPU.
BATCH_TOKENS = 256


class EncoderClassifier:
    """A fine-tuned encoder, as an ONNX model from token ids to embeddings, and a linear head.

    Except for the last digits, a prediction depends neither on the other texts of a batch nor on
    the number of processors: windows are not padded, and the scales of the 8-bit ONNX model do not
    depend on the input.

    Parameters
    ----------
    settings
        ``max_tokens``, the maximum length of a window in tokens, and ``context``, the
        `ContextWeights`.
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
        """Compute the logits of n texts; a long text has several windows."""
        windows = embed_in_context(self._tokenizer, texts, self.context, self._model.run)
        return self._head.read(windows, self._mode, len(texts))

    def embed(self, texts: Sequence[str]) -> Array:
        """Embed n texts without context, (n, d): means of their windows, weighted by length."""
        windows, owner = read_windows(self._tokenizer, texts)
        return mean_embeddings(self._model.run(windows), windows, owner, len(texts))


def embed_in_context(
    tokenizer: Tokenizer,
    texts: Texts,
    context: ContextWeights,
    embed: Callable[[list[list[int]]], Array],
) -> Windows:
    """Embed the windows of n texts with their context, text by text, in rows of unit length.

    A row is the embedding of a window plus the weighted `mean_embeddings` of the text's context,
    scaled to unit length. `embed` converts windows of token ids to embeddings of unit length,
    (n windows, d); one call has all distinct texts. `windowing` has configured `tokenizer`.
    """
    matrix = weigh_texts(texts, context)
    windows, text = read_windows(tokenizer, matrix.texts)
    embeddings = embed(windows)
    n_windows = np.bincount(text, minlength=len(matrix.texts))[matrix.own]
    owner = np.repeat(np.arange(len(texts)), n_windows)
    # Windows are in the order of the distinct texts, so a text's windows follow its first one.
    starts = np.searchsorted(text, matrix.own) - (np.cumsum(n_windows) - n_windows)
    rows = np.repeat(starts, n_windows) + np.arange(len(owner))
    features = embeddings[rows]
    if len(matrix.row):
        has_context = np.isin(owner, matrix.row)
        means = mean_embeddings(embeddings, windows, text, len(matrix.texts))
        sums = features[has_context] + matrix.sums(means)[owner[has_context]]
        features[has_context] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return Windows(features, owner, [len(windows[row]) for row in rows.tolist()])


def mean_embeddings(
    embeddings: Array, windows: Sequence[Sequence[int]], owner: Integers, n_texts: int
) -> Array:
    """Average the embeddings of each text's windows, weighted by length, as unit rows (n texts, d).

    `owner` has the number of each window's text, from 0 on; each text needs a window.
    """
    total = np.zeros((n_texts, embeddings.shape[1]))
    np.add.at(total, owner, embeddings * np.array([[len(window)] for window in windows]))
    norms: Array = np.linalg.norm(total, axis=1, keepdims=True)
    return total / norms


def windowing(tokenizer: Tokenizer, max_tokens: int) -> Tokenizer:
    """Configure a tokenizer to cut texts into overlapping windows of at most `max_tokens`."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens, stride=min(OVERLAP, max_tokens // 4))
    return tokenizer


def read_windows(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[list[list[int]], Integers]:
    """Cut texts into windows of token ids; also return the text number of each, (n windows,)."""
    encodings: list[Encoding] = tokenizer.encode_batch_fast(list(texts))
    text_windows = [[encoding, *encoding.overflowing] for encoding in encodings]
    owner = [number for number, windows in enumerate(text_windows) for _ in windows]
    return [window.ids for window in chain(*text_windows)], np.array(owner, dtype=np.int64)


class OnnxModel:
    """An ONNX model from token ids to embeddings of windows.

    All processors work on a single batch together, and on one batch each if there are several. Each
    way has its own session, which is opened when needed, from the bytes that the file had at first.
    """

    def __init__(self, path: Path) -> None:
        self._model, self._path = path.read_bytes(), path
        _sessions[self] = {}
        self._open(n_processors())

    def run(self, windows: Sequence[Sequence[int]]) -> Array:
        """Embed one or more windows of token ids, (n windows, d) in their order, unpadded."""
        # Batches of long windows take longest, so they come first and no processor waits for them.
        chunks = batches([len(window) for window in windows], BATCH_TOKENS)[::-1]
        session = self._open(n_processors() if len(chunks) == 1 else 1)

        def run(rows: Integers) -> npt.NDArray[np.float32]:
            ids = np.array([windows[row] for row in rows], dtype=np.int64)
            batch: npt.NDArray[np.float32] = session.run(None, {"input_ids": ids})[0]
            return batch

        parts = [run(chunks[0])] if len(chunks) == 1 else list(thread_pool().map(run, chunks))
        embeddings = np.empty((len(windows), parts[0].shape[1]))
        embeddings[np.concatenate(chunks)] = np.concatenate(parts)
        return embeddings

    def _open(self, threads: int) -> InferenceSession:
        """The CPU session with this number of threads, which the first call opens and keeps."""
        session = _sessions[self].get(threads)
        if session is None:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
            # A model could name any file as its weights; this folder does not exist.
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


# Model → number of threads → open session.
_sessions: WeakKeyDictionary[OnnxModel, dict[int, InferenceSession]] = WeakKeyDictionary()


def batches(lengths: Sequence[int], tokens: int) -> list[Integers]:
    """Batch one or more rows, each length apart, shortest first: up to `tokens` tokens, or one row.

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
def thread_pool() -> ThreadPoolExecutor:
    """Pool with a thread for each processor."""
    return ThreadPoolExecutor(n_processors(), thread_name_prefix="paratopic")


def _close_threads() -> None:
    """Close the sessions that have their own threads; they are opened again when needed."""
    for sessions in list(_sessions.values()):
        for threads in [number for number in sessions if number > 1]:
            sessions.pop(threads, None)


if hasattr(os, "register_at_fork"):
    # A forked process has none of its parent's threads, and would wait for them for ever.
    os.register_at_fork(before=_close_threads, after_in_child=thread_pool.cache_clear)
