"""Prediction with a saved transformer: token windows through an ONNX model, without torch.

Tuning the encoder and writing the ONNX model is for the room `transformer`.
"""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from paratopic.inference.explanation import Contributions
from paratopic.inference.modes import Mode
from paratopic.inference.scores import Array, Integers, Scores
from paratopic.project.errors import UserError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

# Number of tokens that neighbouring windows of a long text share.
OVERLAP = 32
# Number of tokens that are computed together: on a CPU, more gain nothing and overflow its caches.
BATCH_TOKENS = 256
# Largest mean difference of the probes' probabilities. Where a number is rounded up by one
# processor and down by another, it is about .0004; where sums are cut off at 16 bits, over .005.
PROBE_GAP = 0.003
# Names of the ONNX model's outputs: probabilities (n, n logits), embeddings (n, d) of unit length,
# and what each token adds to the logits (n, length, n logits), where the encoder lets that be said.
# PyTorch's operators name the values between, so that an output must not be called as one of them.
PROBABILITIES, EMBEDDINGS, SHARES = "probabilities", "embeddings", "shares"


class EncoderClassifier:
    """A fine-tuned encoder with its head, as one ONNX model from token ids to probabilities.

    A text always gets the same answer, but for the last digits, whatever else is in the batch and
    however many processors there are: nothing is padded, and the 8-bit ONNX model has the same
    scales for every input.

    Parameters
    ----------
    folder
        Folder with the ONNX model and tokenizer.json.
    mode
        Mode of the topics.
    settings
        ``max_tokens`` is the length of a window. For an 8-bit model, ``probe`` has ``windows``,
        lists of token ids, and ``probabilities``, what the model makes of them. A processor on
        which it makes something else, as those without 8-bit instructions may, computes the same
        numbers as floats.
    """

    MODEL, TOKENIZER = "model.onnx", "tokenizer.json"
    FILES: ClassVar[tuple[str, ...]] = (MODEL, TOKENIZER)

    def __init__(self, folder: Path, mode: Mode, settings: Mapping[str, Any]) -> None:
        from tokenizers import Tokenizer

        max_tokens = settings["max_tokens"]
        if type(max_tokens) is not int or not 1 <= max_tokens < 2**31:
            raise ValueError(f"settings: max_tokens is {max_tokens}")
        tokenizer = Tokenizer.from_file(str(folder / self.TOKENIZER))
        self._tokenizer = windowing(tokenizer, max_tokens)
        self._model = OnnxModel(folder / self.MODEL)
        if not self._is_as_expected(**settings.get("probe", {})):
            self._model = OnnxModel(folder / self.MODEL, floats=True)
        self._mode = mode

    def _is_as_expected(
        self, windows: Sequence[Sequence[int]] = (), probabilities: Sequence[Sequence[float]] = ()
    ) -> bool:
        """Whether the ONNX model makes what it should of windows."""
        answers = [self._model.run([window])[0] for window in windows]
        return not answers or bool(np.abs(np.array(answers) - probabilities).mean() <= PROBE_GAP)

    def score(self, texts: Sequence[str]) -> tuple[Scores, Integers]:
        """Score n texts: calibrated probabilities (n, k), and numbers of windows (n,)."""
        windows, owner = read_windows(self._tokenizer, texts)
        probabilities = self._model.run(windows)
        lengths = [len(window) for window in windows]
        logits = self._mode.logits(probabilities)
        combined = self._mode.combine_windows(logits, lengths, owner, len(texts))
        return self._mode.scores(combined), np.bincount(owner, minlength=len(texts))

    def embed(self, texts: Sequence[str]) -> Array:
        """Embeddings of n texts, (n, d): of several windows the mean, weighted by their lengths."""
        windows, owner = read_windows(self._tokenizer, texts)
        embeddings = self._model.run(windows, EMBEDDINGS)
        total = np.zeros((len(texts), embeddings.shape[1]))
        np.add.at(total, owner, embeddings * [[len(window)] for window in windows])
        lengths: Array = np.linalg.norm(total, axis=1, keepdims=True)
        return total / lengths

    def contributions(self, text: str) -> Contributions:
        """What each token of a text that is not blank adds to its logits.

        Raises
        ------
        UserError
            The embedding of a text is not the mean of its tokens' embeddings.
        """
        encoding = self._tokenizer.encode(text)
        windows = [encoding, *encoding.overflowing]
        lengths = [len(window.ids) for window in windows]
        answers = [self._model.explain(window.ids) for window in windows]
        logits = self._mode.logits(np.array([probabilities for probabilities, _ in answers]))
        weights = self._mode.window_weights(logits, lengths)
        adding: dict[tuple[int, int], Array] = {}
        for window, (_, shares), weight in zip(windows, answers, weights, strict=True):
            for span, special, share in zip(
                window.offsets, window.special_tokens_mask, shares * weight, strict=True
            ):
                if not special:  # what a token in front of every text adds is part of no word
                    adding[span] = adding.get(span, 0.0) + share
        spans = np.array(sorted(adding), dtype=np.int64).reshape(-1, 2)
        parts = np.array([adding[span] for span in sorted(adding)]).reshape(-1, logits.shape[1])
        owner = np.zeros(len(windows), dtype=np.int64)
        combined = self._mode.combine_windows(logits, lengths, owner, 1)
        return Contributions(spans, parts, combined[0])


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


class OnnxModel:
    """An ONNX model from token ids to a row of numbers for each window: probabilities, say.

    A window alone is computed by all processors together. Of several, each processor computes some,
    which is faster. It is opened for one window at first, and for several when it has to, from the
    bytes that the file had at first.

    Parameters
    ----------
    path
        File of the model.
    floats
        Whether 8-bit numbers are computed as floats, which takes three times as long; no by
        default.
    """

    def __init__(self, path: Path, floats: bool = False) -> None:
        self._model, self.floats = path.read_bytes(), floats
        self._path = path
        self._sessions: dict[int, InferenceSession] = {}  # by number of threads
        self._open(n_processors())
        _opened.add(self)

    def run(self, windows: Sequence[Sequence[int]], output: str | None = None) -> Array:
        """Compute an output of windows that is a row for each: probabilities, or embeddings.

        Parameters
        ----------
        windows
            Token ids of each window. Windows of one length are computed together, without padding.
        output
            Name of the output; the first one by default.
        """
        chunks = batches([len(window) for window in windows], BATCH_TOKENS)
        session = self._open(n_processors() if len(chunks) == 1 else 1)
        name = output or session.get_outputs()[0].name

        def run(rows: Integers) -> npt.NDArray[np.float32]:
            ids = np.array([windows[row] for row in rows], dtype=np.int64)
            answers: npt.NDArray[np.float32]
            (answers,) = session.run([name], {"input_ids": ids})
            return answers

        parts = [run(chunks[0])] if len(chunks) == 1 else list(_pool().map(run, chunks))
        answers = np.empty((len(windows), parts[0].shape[1]))
        answers[np.concatenate(chunks)] = np.concatenate(parts)
        return answers

    def explain(self, window: Sequence[int]) -> tuple[Scores, Array]:
        """Compute a window's probabilities, and what each of its tokens adds to its logits.

        Returns
        -------
        (n logits,) probabilities, and (length, n logits) shares in the logits.

        Raises
        ------
        UserError
            The model has no such output.
        """
        session = self._open(n_processors())
        if SHARES not in [output.name for output in session.get_outputs()]:
            raise UserError(
                "this model cannot say why: its encoder makes something else of a text than the "
                "mean of its tokens"
            )
        ids = np.array([window], dtype=np.int64)
        answers = session.run([PROBABILITIES, SHARES], {"input_ids": ids})
        probabilities, shares = (answer[0].astype(np.float64) for answer in answers)
        return probabilities, shares

    def _open(self, threads: int) -> InferenceSession:
        session = self._sessions.get(threads)
        if session is None:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
            options.add_session_config_entry("session.disable_quant_qdq", f"{self.floats:d}")
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
            self._sessions[threads] = session
        return session

    def close_threads(self) -> None:
        """Close the sessions that have threads of their own; they are opened again when needed."""
        for threads in list(self._sessions):
            if threads > 1:
                self._sessions.pop(threads, None)


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
    """Number of processors that this process may use, which can be fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_processors(), thread_name_prefix="paratopic")


_opened: weakref.WeakSet[OnnxModel] = weakref.WeakSet()


def _close_threads() -> None:
    for model in list(_opened):
        model.close_threads()


if hasattr(os, "register_at_fork"):
    # A child has none of its parent's threads, and would wait for them for ever.
    os.register_at_fork(before=_close_threads, after_in_child=_pool.cache_clear)
