"""Trained models and their predictions: loading a model from its folder, and the default model.

Models of every kind have `classes_`, `predict_proba(texts)` and `predict(texts)`. This module does
not train, and imports no training code, torch, transformers or mlflow.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import ClassVar, NoReturn, Protocol, overload

import numpy as np

from paratopic.inference.linear_head import ContextWeights, Reading
from paratopic.inference.manifest import MANIFEST, Manifest, classifier_of, digest_of, read_manifest
from paratopic.inference.modes import (
    SMALLEST,
    Array,
    Calibration,
    Features,
    Integers,
    Mode,
    Scores,
    Targets,
    mode_of,
)
from paratopic.inference.prediction import Explanation, Prediction, Share, sentences
from paratopic.inference.registry import fetch, is_remote
from paratopic.project.errors import UserError
from paratopic.project.files import Paths, find_root
from paratopic.project.kinds import KINDS
from paratopic.project.passages import Passage, article_passages
from paratopic.project.texts import Text, Texts, as_passage, numbered
from paratopic.project.topics import NO_TOPIC_SHORT

# Name of a type → the remedy that an error about an item of this type suggests.
_REMEDIES = {
    "NoneType": "; leave missing texts out, or give '' for them",
    "float": "; if it is NaN, a missing text, leave it out, or call .fillna('')",
    "NAType": "; leave missing texts out, or call .fillna('')",
    "bytes": "; decode it: .decode('utf-8')",
}


class Classifier(Protocol):
    """Interface of the kinds of model, which score texts with the `FILES` of a model's folder.

    The constructor takes the folder, the mode of the topics, and the settings of the manifest,
    which may be untrusted.
    """

    FILES: ClassVar[tuple[str, ...]]
    context: ContextWeights

    def read(self, texts: Texts) -> Reading:
        """Compute the logits of n texts, none of which is blank."""

    def embed(self, texts: Sequence[str]) -> Features:
        """Compute features of n texts without context, (n, d), in rows of unit length."""


@dataclass(frozen=True, repr=False)
class Model:
    """A trained model, which `load` returns. It cannot be pickled: load its folder instead."""

    folder: Path
    _manifest: Manifest
    _classifier: Classifier

    @property
    def kind(self) -> str:
        """``"baseline"`` or ``"transformer"``."""
        return self._manifest.kind

    @property
    def mode(self) -> Mode:
        """Mode of the topics: a text has at most one topic, or any number."""
        return mode_of(self._manifest.topics.mode)

    @property
    def definitions(self) -> dict[str, str]:
        """Definition of each topic, in the order of `classes_`."""
        return {topic.name: topic.definition for topic in self._manifest.topics.topics}

    @property
    def classes_(self) -> tuple[str, ...]:
        """Topic names, in the order of the columns of `predict_proba`."""
        return self._manifest.topics.names

    @property
    def calibration(self) -> Calibration:
        """Calibration of the probabilities, and thresholds of the topics."""
        return self._manifest.calibration

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that it is for, such as ``"en"``; empty if not known."""
        return self._manifest.languages

    def __repr__(self) -> str:
        return f"Model({self.kind!r}, {len(self.classes_)} topics, {str(self.folder)!r})"

    def __reduce__(self) -> NoReturn:
        # The folder may be temporary, or may contain another model when it is read again.
        raise TypeError(
            "a Model cannot be pickled or copied; load it in the other process: "
            f"load({str(self.folder)!r})"
        )

    @property
    def digest(self) -> str:
        """Digest of its folder, which identifies the model."""
        return digest_of(self.folder)

    @property
    def context(self) -> ContextWeights:
        """Weights of the context of a text."""
        return self._classifier.context

    def predict_proba(self, texts: Sequence[Text]) -> Scores:
        """Predict the probabilities of the topics.

        Parameters
        ----------
        texts
            n texts of any length, each a str or a `Passage`. Long texts are read to the end. All
            probabilities of a blank text (empty or white space only) are 0.

        Returns
        -------
        (n, k) array with columns in the order of `classes_`. In mode single, a row sums to the
        probability that the text has a topic, which is 1 if the model was trained without texts
        that have none. In mode multi, each topic has its own probability.

        Raises
        ------
        TypeError
            `texts` is a single str, a DataFrame or a dict, or an item is not a text.
        """
        return self.scored(numbered_texts(texts))[0]

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is an iterable of str: the first that fits
        self, texts: Text
    ) -> Prediction: ...
    @overload
    def predict(self, texts: Iterable[Text]) -> list[Prediction]: ...
    def predict(self, texts: Text | Iterable[Text]) -> Prediction | list[Prediction]:
        """Predict the topics of one text, or of each text of an iterable.

        Parameters
        ----------
        texts
            A str, a `Passage`, which is read with its context, or an iterable of n of them. A blank
            text gets no topic. Half of a surrogate pair is not a character and is read as "?".

        Returns
        -------
        One `Prediction` for a str or `Passage`; for an iterable, a list of n in the same order.

        Raises
        ------
        TypeError
            `texts` is a DataFrame, a dict or bytes, or an item is not a text.
        """
        if isinstance(texts, (str, Passage)):
            return self.predict([texts])[0]
        predictions, classes = [], self.classes_
        rows = zip(*(part.tolist() for part in self.scored(numbered_texts(texts))), strict=True)
        for row, is_predicted, n_windows, sure_from in rows:
            scores = dict(zip(classes, row, strict=True))
            predicted = compress(classes, is_predicted)
            topics = tuple(sorted(predicted, key=scores.__getitem__, reverse=True))
            topic = topics[0] if topics else None
            confidence = max(row) if topic is None else scores[topic]
            sure = topic is not None and confidence >= sure_from
            predictions.append(Prediction(topic, confidence, scores, n_windows, topics, sure))
        return predictions

    def predict_article(
        self, paragraphs: Sequence[str], headings: Sequence[str] | None = None, title: str = ""
    ) -> list[Prediction]:
        """Predict the topics of n paragraphs of one article, each with its context.

        Parameters
        ----------
        paragraphs
            n paragraphs in the order of the article, which is also that of the n predictions. The
            context of each is the paragraphs around it, its heading and the title.
        headings, title
            n headings, one above each paragraph, ``""`` for none, and the title of the article; by
            default none.

        Raises
        ------
        TypeError
            `paragraphs` is a single str, or an item is not a text.
        ValueError
            The numbers of headings and paragraphs differ.
        """
        return self.predict(article_passages(numbered_texts(paragraphs).plain, headings, title))

    def explain(self, text: Text) -> Explanation:
        """Explain the prediction for a text by leaving out each of its parts in turn.

        The parts are the sentences of the text and each part of its context that the model reads:
        title, heading, before, after. A share is the logit of the whole minus that without a part.

        Returns
        -------
        The prediction; logits and shares of each topic and, in mode single, of "(none)"; and the
        lowest probability at which each topic is predicted. A blank text has only a prediction.

        Raises
        ------
        TypeError
            `text` is neither a str nor a `Passage`.
        """
        if not isinstance(text, (str, Passage)):
            raise TypeError(f"text must be a str or a Passage, not {type(text).__name__}")
        prediction, passage = self.predict(text), as_passage(text)
        own = passage.text
        if not own.strip():
            return Explanation(prediction, {}, [], {}, {})
        borders, context_parts = list(sentences(own)), self.context.parts(passage)
        calibration = self.calibration
        if not context_parts:
            calibration = calibration.without_context or calibration
        scores = np.array([[*prediction.scores.values()]])
        named_from = self.mode.named_from(scores, calibration.thresholds)[0].tolist()
        shortened = [replace(passage, text=own[:start] + own[end:]) for start, end in borders]
        shortened += [replace(passage, **{part: ""}) for part in context_parts]
        names, logits = self._relative_logits([passage, *shortened])
        shares = [dict(zip(names, row.tolist(), strict=True)) for row in logits[0] - logits[1:]]
        sentence_shares = zip(borders, shares, strict=False)
        return Explanation(
            prediction,
            dict(zip(names, logits[0].tolist(), strict=True)),
            [Share(own[start:end], start, end, share) for (start, end), share in sentence_shares],
            dict(zip(context_parts, shares[len(borders) :], strict=True)),
            dict(zip(self.classes_, named_from, strict=True)),
        )

    def _relative_logits(self, texts: Sequence[Passage]) -> tuple[list[str], Array]:
        """Names of the r outcomes with p > 0 in the first text; `Mode.centred` logits, (n, r)."""
        probabilities = self.mode.complete(self.predict_proba(texts))
        known = probabilities[0] > 0
        logits = self.mode.logits(np.clip(probabilities[:, known], SMALLEST, 1 - SMALLEST))
        logits[[not text.text.strip() for text in texts]] = 0.0
        return list(compress((*self.classes_, NO_TOPIC_SHORT), known)), self.mode.centred(logits)

    def embed(self, texts: Sequence[Text]) -> Features:
        """Compute features of n texts, each alone: embeddings, or TF-IDF for the baseline.

        The dot product of two rows is the cosine similarity of the texts.

        Returns
        -------
        (n, d) rows of unit length: an array, or for the baseline a sparse matrix, in which a text
        without a known word has a row of zeros.

        Raises
        ------
        TypeError
            `texts` is a single str, a DataFrame or a dict, or an item is not a text.
        """
        plain = _encodable(numbered_texts(texts)).plain
        return self._classifier.embed(plain or [PROBE])[: len(plain)]

    def scored(self, texts: Texts, forced: bool = False) -> tuple[Scores, Targets, Integers, Array]:
        """Compute calibrated scores of n texts, 0 for blank ones, and apply the thresholds.

        Texts in which the model reads no context have the calibration `without_context`, if any.
        In mode single, `forced` scales scores to sum to 1 (for a blank text to 1 / k each), and
        each text gets a topic; in mode multi, it has no effect.

        Returns
        -------
        scores, predicted
            (n, k) probabilities of the topics, and whether they are predicted.
        windows, sure_from
            (n,) numbers of windows, 0 if blank, and lowest probabilities of sure predictions,
            `NEVER` if none is sure.
        """
        filled = np.flatnonzero([bool(text.strip()) for text in texts.plain])
        has_context = self.context.reads(texts)[:, None]
        scores = np.zeros((len(texts), len(self.classes_)))
        windows = np.zeros(len(texts), dtype=np.int64)
        mode, in_context = self.mode, self.calibration
        without = in_context.without_context or in_context
        if len(filled):
            logits, windows[filled] = self._classifier.read(_encodable(texts.select(filled)))
            logits = np.where(has_context[filled], in_context.apply(logits), without.apply(logits))
            scores[filled] = mode.scores(logits)
        if forced:
            scores = mode.conditional(scores)
        thresholds = np.where(has_context, in_context.thresholds, without.thresholds)
        predicted = mode.predicted(scores, thresholds)
        predicted &= forced | (windows[:, None] > 0)
        sure_from = np.where(has_context[:, 0], in_context.sure, without.sure)
        return scores, predicted, windows, sure_from


def numbered_texts(texts: object) -> Texts:
    """Check texts (see `check_texts`), and number them."""
    return numbered(check_texts(texts))


def check_texts(texts: object) -> list[Text]:
    """List an iterable of texts, each a str or a `Passage`.

    A TypeError refuses a single text, bytes, a dict, a table, and an item that is not a text.
    """
    if isinstance(texts, (str, Passage)):
        raise TypeError("texts must be a list of str; for one text write [text]")
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):
        raise TypeError(
            f"texts is a {type(texts).__name__}, which is iterated by names; give the texts alone, "
            'such as df["text"]'
        )
    if isinstance(texts, bytes) or not isinstance(texts, Iterable):
        raise TypeError(f"texts must be a str or an iterable of str, not {type(texts).__name__}")
    items = list(texts)
    for number, text in enumerate(items):
        if not isinstance(text, (str, Passage)):
            kind = type(text).__name__
            raise TypeError(f"texts[{number}] is {kind}, not str{_REMEDIES.get(kind, '')}")
    return items


def _encodable(texts: Texts) -> Texts:
    """Replace half surrogate pairs, which cannot be encoded: "cut off \\ud83d" → "cut off ?"."""
    distinct = [
        text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
        for text in texts.distinct
    ]
    return replace(texts, distinct=distinct)


log = logging.getLogger(__name__)

# `load` predicts this text to test a model.
PROBE = "Talks on trade went on."


def load(folder: str | os.PathLike[str] | None = None) -> Model:
    """Load a trained model.

    Parameters
    ----------
    folder
        Folder of a model, such as ``models/transformer``; the URI of a model in MLflow,
        ``models:/paratopic@champion`` or ``runs:/ID/model``; or, if there is no such folder, a
        model on a hub, ``OWNER/NAME`` or ``OWNER/NAME@REVISION``. Each may end with the digest in
        the model's card, ``#sha256:HEX``; a model with another digest is then refused. By default,
        the value of the environment variable PARATOPIC_MODEL; without it, the champion of the
        project that contains the current directory.

    Raises
    ------
    UserError
        The folder does not exist or is not a paratopic model, its digest differs, a store or a hub
        cannot be reached, or a file is missing or damaged; the message says which.
    """
    started = time.monotonic()
    model = _load(_folder(folder))
    log.info("%s (%s): loaded in %.2f s", model.folder, model.kind, time.monotonic() - started)
    return model


@overload
def predict(  # type: ignore[overload-overlap]  # a str is an iterable of str: the first that fits
    texts: Text,
) -> Prediction: ...


@overload
def predict(texts: Iterable[Text]) -> list[Prediction]: ...


def predict(texts: Text | Iterable[Text]) -> Prediction | list[Prediction]:
    """Predict topics with the default model (see `load`), which stays loaded until it changes.

    A str or a `Passage` gives one `Prediction`, and an iterable of them a list in the same order. A
    process downloads a model from MLflow or a hub only once.

    Raises
    ------
    UserError
        There is no default model, or it is damaged.
    TypeError
        `texts` is a DataFrame or a dict, or an item is not a text.
    """
    folder = _folder(None, _fetch_once)
    manifest = folder / MANIFEST
    changed = manifest.stat().st_mtime_ns if manifest.exists() else 0
    return _default_model(folder, changed).predict(texts)


@functools.lru_cache(maxsize=1)
def _default_model(folder: Path, changed: int) -> Model:
    return _load(folder)


# A process keeps the model that it downloaded first, although an alias may change meanwhile.
_fetch_once = functools.cache(fetch)


def _folder(
    folder: str | os.PathLike[str] | None, fetch: Callable[[str, Path], Path] = fetch
) -> Path:
    """Find the absolute path of a model's folder, by a name that `load` takes; it need not exist.

    None stands for PARATOPIC_MODEL or else the champion. `fetch` downloads a remote model, from its
    address and the project's root or, without a project, the current directory. A `UserError`
    reports an empty or wrong digest, a file that names no champion, and a missing champion.
    """
    name = str(folder or os.environ.get("PARATOPIC_MODEL") or "")
    address, mark, digest = name.partition("#sha256:")
    if mark and not digest:
        raise UserError(f"{name}: the digest after #sha256: is missing")
    here, place = Path.cwd(), Paths().champion
    project = find_root(place)
    if is_remote(address):
        path = fetch(address, project or here)
    elif address:
        path = Path(address)
    elif project:
        path = project / place
    else:
        raise UserError(
            f"no model: neither {here} nor a folder above it has {place}; run `dvc repro` "
            "in the project, or give a model's folder (--model, load(folder), PARATOPIC_MODEL)"
        )
    path = (_champion_folder(path) if path.is_file() else path).absolute()
    if digest and (path / MANIFEST).exists() and (own := digest_of(path)) != digest:
        raise UserError(f"{address} is another model than sha256:{digest}: its digest is {own}")
    return path


def _champion_folder(path: Path) -> Path:
    """Folder of the model that a champion file names; it is next to the file."""
    try:
        return path.parent / KINDS[json.loads(path.read_text(encoding="utf-8"))["champion"]].name
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path} is neither a model's folder nor a champion file") from None


def _load(folder: Path) -> Model:
    """Load a model and try it on `PROBE`; errors except ImportErrors become a `UserError`."""
    manifest = read_manifest(folder)
    kind, topics = manifest.kind, manifest.topics
    try:
        classifier = classifier_of(kind)(folder, mode_of(topics.mode), manifest.settings)
        # A prediction reveals files that do not fit each other, and weights that are not numbers.
        logits, n_logits = classifier.read(numbered([PROBE])).logits, len(topics.outcomes)
        if logits.shape != (1, n_logits) or np.isnan(logits).any():
            raise ValueError(f"it gives {logits.tolist()} as {n_logits} logits")
    except (ImportError, KeyboardInterrupt, SystemExit):
        raise
    # Each library raises its own error for a damaged file; a panic in Rust is no `Exception`.
    except BaseException as error:
        raise UserError(
            f"{folder} cannot be loaded as a {kind} ({error!r}); train the model again"
        ) from None
    return Model(folder, manifest, classifier)
