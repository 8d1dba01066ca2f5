"""The contract of a trained model, and prediction with it.

A classifier has `classes_` and `predict_proba(texts)`. Everything that prediction needs lies in
the model's folder, and `load` refuses a folder that lacks a piece. Nothing here trains, and
nothing here imports training code, torch, transformers or mlflow.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from paratopic.errors import UserError
from paratopic.tfidf import TfIdf, clean
from paratopic.topics import SEPARATOR, Mode, Topics

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

Scores = npt.NDArray[np.float64]

MANIFEST = "paratopic.json"
FORMAT = 5
CHAMPION = Path("models/champion")
# Tokens that neighbouring windows of a long text share.
OVERLAP = 32
# Tokens that are computed together: more of them gain nothing on a CPU, and leave its caches.
BATCH_TOKENS = 256


class Classifier(Protocol):
    """What a kind of model does with its folder's files."""

    def read(self, texts: Sequence[str]) -> tuple[Scores, npt.NDArray[np.int64]]:
        """Calibrated probabilities, (n texts, k topics), and the number of windows of each text.

        In mode single a row sums to the probability that the text has one of the topics.
        """
        ...


@dataclass(frozen=True)
class Calibration:
    """What out-of-fold scores taught about a model's probabilities.

    Parameters
    ----------
    scale
        What the logits (see `probabilities`) are multiplied by, one each or one for all.
    shift
        What is added to them then.
    thresholds
        Probability from which on topics are named: one for all in mode single, one each in mode
        multi, where one may stand for all too.
    """

    scale: tuple[float, ...] = (1.0,)
    shift: tuple[float, ...] = (0.0,)
    thresholds: tuple[float, ...] = (0.0,)


@dataclass(frozen=True)
class Prediction:
    """The answer for one text.

    Parameters
    ----------
    topic
        The most probable of `topics`; None where there is none.
    confidence
        Probability of the most probable topic, 0 to 1, calibrated on out-of-fold scores.
    scores
        Probability of each topic, in codebook order. In mode single, what they lack of 1 is the
        probability that none of them fits, where paragraphs with none of the topics were labelled;
        they sum to 1 where there were none. In mode multi each stands for itself.
    windows
        In how many overlapping pieces the text was read; 0 for a blank text.
    topics
        Topics whose probability reaches the model's threshold, the most probable first; in mode
        single at most one. None of a blank text.
    """

    topic: str | None
    confidence: float
    scores: dict[str, float]
    windows: int
    topics: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """A trained model, loaded from its folder.

    Parameters
    ----------
    kind
        ``"baseline"`` or ``"transformer"``.
    folder
        Where it was loaded from.
    mode
        ``"single"``: a text has one topic at most; ``"multi"``: any number of them.
    definitions
        Topic name → definition, in class order.
    calibration
        What the probabilities were calibrated by, and the thresholds of the topics.
    """

    kind: str
    folder: Path
    mode: Mode
    definitions: dict[str, str]
    calibration: Calibration
    _classifier: Classifier

    @property
    def classes_(self) -> tuple[str, ...]:
        """Topic names, in the order of the columns of `predict_proba`."""
        return tuple(self.definitions)

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        """Probabilities of the topics.

        Parameters
        ----------
        texts
            n texts of any length: long ones are read to the end. A blank text (empty or white
            space only) tells nothing: its probabilities are all 1/k, in mode multi 0.

        Returns
        -------
        (n, k) array, columns in the order of `classes_`. In mode single a row sums to the
        probability that the text has one of the topics, 1 for models that saw no paragraph without;
        in mode multi each probability stands for itself.

        Raises
        ------
        TypeError
            `texts` is a single str, or an item is not a str.
        """
        if isinstance(texts, (str, bytes)):
            raise TypeError("texts must be a list of str; for one text write predict_proba([text])")
        return self._read(list(texts))[0]

    @overload
    def predict(self, texts: str) -> Prediction: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, texts: Iterable[str]) -> list[Prediction]: ...
    def predict(self, texts: str | Iterable[str]) -> Prediction | list[Prediction]:
        """Predict the topic of one text, or of each text of an iterable.

        Parameters
        ----------
        texts
            A str gives one `Prediction`, anything else a list of them in the same order.

        Raises
        ------
        TypeError
            An item is not a str.
        """
        if isinstance(texts, str):
            return self.predict([texts])[0]
        scores, windows = self._read(list(texts))
        return [
            self._prediction(row, count)
            for row, count in zip(scores, windows.tolist(), strict=True)
        ]

    def _read(self, texts: list[str]) -> tuple[Scores, npt.NDArray[np.int64]]:
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"texts[{number}] is {type(text).__name__}, not str")
        told = [number for number, text in enumerate(texts) if text.strip()]
        k = len(self.classes_)
        scores = np.full((len(texts), k), 1 / k if self.mode == "single" else 0.0)
        windows = np.zeros(len(texts), dtype=np.int64)
        if told:
            scores[told], windows[told] = self._classifier.read([texts[n] for n in told])
        return scores, windows

    def _prediction(self, row: npt.NDArray[np.float64], windows: int) -> Prediction:
        best, at = int(row.argmax()), self.calibration.thresholds
        scores = dict(zip(self.classes_, row.tolist(), strict=True))
        named: tuple[str, ...] = ()
        if windows and self.mode == "single":
            named = (self.classes_[best],) if row[best] >= at[0] else ()
        elif windows:
            most_probable = np.argsort(-row, kind="stable")
            sure = row >= at
            named = tuple(self.classes_[n] for n in most_probable if sure[n])
        return Prediction(named[0] if named else None, float(row[best]), scores, windows, named)


def named(model: Model, answer: Prediction) -> str | None:
    """The cell of a table for what is named: in mode multi all topics, "" for none of them."""
    return answer.topic if model.mode == "single" else SEPARATOR.join(answer.topics)


def load(folder: str | os.PathLike[str] | None = None) -> Model:
    """Load a trained model.

    Parameters
    ----------
    folder
        A model's folder, such as ``models/transformer``, or a model that MLflow keeps:
        ``models:/paratopic@champion``, ``runs:/ID/model``. None takes what the environment
        variable PARATOPIC_MODEL names, else the champion of the project that the current directory
        lies in.

    Raises
    ------
    UserError
        There is no such folder, it is no paratopic model, or a piece is missing or damaged; the
        message names the piece.
    """
    return _load(_folder(folder))


@overload  # a str is an iterable of str too: the first that fits is meant
def predict(texts: str) -> Prediction: ...  # type: ignore[overload-overlap]
@overload
def predict(texts: Iterable[str]) -> list[Prediction]: ...
def predict(texts: str | Iterable[str]) -> Prediction | list[Prediction]:
    """Predict with the default model (see `load`), which stays loaded until it is trained anew.

    Parameters
    ----------
    texts
        A str gives one `Prediction`, anything else a list of them in the same order.

    Raises
    ------
    UserError
        There is no default model, or it is damaged.
    TypeError
        An item is not a str.
    """
    folder = _folder(None)
    manifest = folder / MANIFEST
    changed = manifest.stat().st_mtime_ns if manifest.exists() else 0
    return _kept(folder, changed).predict(texts)


@functools.lru_cache(maxsize=1)
def _kept(folder: Path, changed: int) -> Model:
    return _load(folder)


def _folder(folder: str | os.PathLike[str] | None) -> Path:
    chosen = folder or os.environ.get("PARATOPIC_MODEL")
    here = Path.cwd()
    found = [root / CHAMPION for root in (here, *here.parents) if (root / CHAMPION).exists()]
    if str(chosen).startswith(("models:/", "runs:/")):
        # By name: prediction from a folder needs nothing of MLflow.
        try:
            tracking = importlib.import_module("paratopic.tracking")
        except ModuleNotFoundError as error:
            raise UserError(
                f"{chosen}: {error.name} is not installed; pip install 'paratopic[train]'"
            ) from None
        path: Path = tracking.fetch(str(chosen), found[0].parents[1] if found else here)
    elif chosen:
        path = Path(chosen)
    else:
        if not found:
            raise UserError(
                f"no model: neither {here} nor a folder above it has {CHAMPION}; run `make repro` "
                "in the project, or name a model's folder (load(folder), PARATOPIC_MODEL)"
            )
        path = found[0]
    # The champion is a pointer: a small file that names the folder beside it.
    if path.is_file():
        try:
            name = json.loads(path.read_text(encoding="utf-8"))["champion"]
            path = path.parent / str(name)
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path} is neither a model's folder nor a champion file") from None
    return path.absolute()


def _load(folder: Path) -> Model:
    if not folder.is_dir():
        raise UserError(f"no model: the folder {folder} does not exist")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        kind, settings = manifest["kind"], manifest["settings"]
        mode, codebook = manifest["topics"]["mode"], manifest["topics"]["codebook"]
        definitions = {topic["name"]: topic["definition"] for topic in codebook}
        version, files = manifest["format"], manifest["files"]
        calibration = read_calibration(manifest["calibration"])
    except FileNotFoundError:
        raise UserError(f"{folder} is no paratopic model: it has no {MANIFEST}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / MANIFEST} is damaged or foreign ({error!r}); train the model again"
        ) from None
    if version != FORMAT or kind not in _KINDS:
        raise UserError(
            f"{folder / MANIFEST}: format {version}, kind {kind!r} is not of this version of "
            f"paratopic (format {FORMAT}, kinds {', '.join(_KINDS)}); train the model again"
        )
    for name, digest in files.items():
        piece = folder / name
        if not piece.is_file():
            raise UserError(f"{folder} lacks {name}; train the model again or copy it whole")
        if _digest(piece) != digest:
            raise UserError(f"{piece} is damaged (its checksum differs); train the model again")
    model = _KINDS[kind](folder, mode, settings)
    return Model(kind, folder, mode, definitions, calibration, model)


def read_calibration(values: Mapping[str, Sequence[float]]) -> Calibration:
    """What `dataclasses.asdict` made of a calibration, and JSON of that."""
    return Calibration(**{name: tuple(numbers) for name, numbers in values.items()})


def write_manifest(
    folder: Path,
    kind: str,
    topics: Topics,
    calibration: Calibration,
    settings: Mapping[str, Any],
    files: Iterable[str],
) -> None:
    """Write the file that makes a folder a model; `files` are the pieces that prediction reads."""
    manifest = {
        "format": FORMAT,
        "kind": kind,
        "topics": {
            "mode": topics.mode,
            "codebook": [{"name": t.name, "definition": t.definition} for t in topics.topics],
        },
        "calibration": asdict(calibration),
        "settings": settings,
        "files": {name: _digest(folder / name) for name in sorted(files)},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class BaselineClassifier:
    """TF-IDF and logistic regression, put together again from a vocabulary and weights.

    Parameters
    ----------
    folder
        Holds vocabulary.json and weights.safetensors.
    mode
        Of the topics.
    settings
        ``features``: name → keyword arguments of its TfidfVectorizer.
    """

    FILES = ("vocabulary.json", "weights.safetensors")

    def __init__(self, folder: Path, mode: Mode, settings: Mapping[str, Any]) -> None:
        from safetensors.numpy import load_file

        terms = json.loads((folder / self.FILES[0]).read_text(encoding="utf-8"))
        weights = load_file(folder / self.FILES[1])
        self._features = [
            TfIdf(terms[name], weights[f"idf.{name}"], keywords)
            for name, keywords in settings["features"].items()
        ]
        self._coef, self._intercept = weights["coef"], weights["intercept"]
        self._mode = mode

    def read(self, texts: Sequence[str]) -> tuple[Scores, npt.NDArray[np.int64]]:
        """Calibrated probabilities, (n texts, k topics); each text is one window."""
        from scipy import sparse

        cleaned = [clean(text) for text in texts]
        parts = [feature.transform(cleaned) for feature in self._features]
        logits = sparse.hstack(parts, format="csr") @ self._coef.T + self._intercept
        scores = topic_probabilities(logits, self._mode)
        return scores, np.ones(len(texts), dtype=np.int64)


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
        self._session = open_graph(folder / settings["graph"])
        self._alone = settings["graph"] == self.INT8
        self._mode = mode

    def read(self, texts: Sequence[str]) -> tuple[Scores, npt.NDArray[np.int64]]:
        """Calibrated probabilities, (n texts, k topics), and the number of windows of each text."""
        windows, owner = read_windows(self._tokenizer, texts)
        scores = run_graph(self._session, windows, self._alone)
        lengths = [len(window) for window in windows]
        combined = combine(logits(scores, self._mode), lengths, owner, len(texts), self._mode)
        return combined, np.bincount(owner, minlength=len(texts))


_KINDS: dict[str, Callable[[Path, Mode, dict[str, Any]], Classifier]] = {
    "baseline": BaselineClassifier,
    "transformer": EncoderClassifier,
}


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


def open_graph(graph: Path | bytes) -> InferenceSession:
    """Load an ONNX graph; a run of it stays on the thread that asks for it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def run_graph(
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


def softmax(logits: npt.NDArray[np.floating[Any]]) -> Scores:
    """Probabilities (n, k) of logits (n, k)."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores: Scores = exponents / exponents.sum(axis=1, keepdims=True)
    return scores


def probabilities(logits: npt.NDArray[np.floating[Any]], mode: Mode) -> Scores:
    """Probabilities of logits.

    Parameters
    ----------
    logits
        In mode single (n, k + 1): of the topics, as for `softmax`, and of having one of them at
        all. In mode multi (n, k): of having each topic.
    mode
        Of the topics.

    Returns
    -------
    In mode single (n, k + 1): of the topics and, last, of none of them. In mode multi (n, k).
    """
    negative = -logits.astype(np.float64)
    with np.errstate(over="ignore"):  # of a topic that is out of the question
        if mode == "multi":
            each: Scores = 1 / (1 + np.exp(negative))
            return each
        none = 1 / (1 + np.exp(-negative[:, -1:]))
    return np.hstack([softmax(logits[:, :-1]) * (1 - none), none])


def topic_probabilities(logits: npt.NDArray[np.floating[Any]], mode: Mode) -> Scores:
    """Probabilities (n, k) of the topics alone; see `probabilities`."""
    scores = probabilities(logits, mode)
    return scores[:, :-1] if mode == "single" else scores


def logits(scores: Scores, mode: Mode) -> Scores:
    """Logits that give these probabilities; log probabilities do for those of `softmax`.

    >>> logits(np.array([[0.5, 0.25, 0.25]]), "single").round(2).tolist()
    [[-0.69, -1.39, 1.1]]
    """
    with np.errstate(divide="ignore"):  # a topic without an example has probability 0
        found: Scores = np.log(scores)
        if mode == "multi":
            return found - np.log1p(-scores)
        found[:, -1] = np.log(scores[:, :-1].sum(axis=1)) - found[:, -1]
    return found


def combine(
    logits: npt.NDArray[np.floating[Any]],
    lengths: Sequence[int],
    owner: npt.NDArray[np.int64],
    n_texts: int,
    mode: Mode,
) -> Scores:
    """Probabilities (n, k) of texts' topics from the logits of their windows.

    In mode single from their mean, in which a window weighs by its length; in mode multi from the
    highest of each topic: a text has the topics that any part of it has. A calibration may be
    applied before or after.
    """
    if mode == "multi":
        highest = np.full((n_texts, logits.shape[1]), -np.inf)
        np.maximum.at(highest, owner, logits)
        return topic_probabilities(highest, mode)
    weight = np.asarray(lengths, dtype=np.float64)
    weight /= np.bincount(owner, weights=weight, minlength=n_texts)[owner]
    mean = np.zeros((n_texts, logits.shape[1]))
    np.add.at(mean, owner, logits * weight[:, None])
    return topic_probabilities(mean, mode)
