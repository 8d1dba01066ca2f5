"""A trained model and its predictions; loading it from its folder, and the default model.

A model has `classes_`, `predict_proba(texts)` and `predict(texts)`, whatever its kind. Nothing here
trains, and nothing here imports training code, torch, transformers or mlflow.
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
from paratopic.project.files import Paths, root_with
from paratopic.project.kinds import KINDS
from paratopic.project.passages import Passage, article_passages
from paratopic.project.texts import Text, Texts, as_passage, numbered
from paratopic.project.topics import NONE

# Name of a type → what to do about an item of it.
_REMEDIES = {
    "NoneType": "; leave missing texts out, or give '' for them",
    "float": "; if it is NaN, a missing text, leave it out, or call .fillna('')",
    "NAType": "; leave missing texts out, or call .fillna('')",
    "bytes": "; decode it: .decode('utf-8')",
}


class Classifier(Protocol):
    """How a kind of model scores texts, with the files of its folder.

    It is made from the folder, the mode of the topics, and the settings in the manifest, which may
    come from anybody.

    Attributes
    ----------
    FILES
        Names of the files that it reads.
    """

    FILES: ClassVar[tuple[str, ...]]
    context: ContextWeights

    def read(self, texts: Texts) -> Reading:
        """Read n texts, none of which is blank."""

    def embed(self, texts: Sequence[str]) -> Features:
        """Features of n texts alone, (n, d), each row of unit length."""


@dataclass(frozen=True, repr=False)
class Model:
    """A trained model, loaded from its folder. It cannot be pickled: load the folder instead."""

    folder: Path
    _manifest: Manifest
    _classifier: Classifier

    @property
    def kind(self) -> str:
        """``"baseline"`` or ``"transformer"``."""
        return self._manifest.kind

    @property
    def mode(self) -> Mode:
        """Whether a text has one topic at most or any number, and what scores mean then."""
        return mode_of(self._manifest.topics.mode)

    @property
    def definitions(self) -> dict[str, str]:
        """Topic name → definition, in class order."""
        return {topic.name: topic.definition for topic in self._manifest.topics.topics}

    @property
    def classes_(self) -> tuple[str, ...]:
        """Topic names, in the order of the columns of `predict_proba`."""
        return self._manifest.topics.names

    @property
    def calibration(self) -> Calibration:
        """Calibration of the probabilities, and the topics' thresholds."""
        return self._manifest.calibration

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that it is for, such as ``"en"``; empty where not known."""
        return self._manifest.languages

    def __repr__(self) -> str:
        return f"Model({self.kind!r}, {len(self.classes_)} topics, {str(self.folder)!r})"

    def __reduce__(self) -> NoReturn:
        # The folder may be a temporary one, or hold another model by the time it is read again.
        raise TypeError(
            "a Model cannot be pickled or copied; load it in the other process: "
            f"load({str(self.folder)!r})"
        )

    @property
    def digest(self) -> str:
        """Digest of its folder, which tells it from other models."""
        return digest_of(self.folder)

    @property
    def context(self) -> ContextWeights:
        """How much the model reads of what stands around a text."""
        return self._classifier.context

    def predict_proba(self, texts: Sequence[Text]) -> Scores:
        """Compute the probabilities of the topics.

        Parameters
        ----------
        texts
            n texts of any length, each a str or a `Passage`; long ones are read to the end. A blank
            text (empty or white space only) has all probabilities 0.

        Returns
        -------
        (n, k) array, columns in the order of `classes_`. In mode single a row sums to the
        probability that the text has one of the topics, which is 1 for models that were trained
        without paragraphs that have none. In mode multi each probability stands for itself.

        Raises
        ------
        TypeError
            `texts` is a single str, a DataFrame or a dict, or an item is not a text.
        """
        return self.scored(listed(texts))[0]

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
            A str or `Passage` gives one `Prediction`; any other iterable of them gives a list in
            the same order. A str is read alone, a `Passage` with what stands around it. Half of a
            pair of surrogates, which is no character, is read as "?".

        Raises
        ------
        TypeError
            `texts` is a DataFrame or a dict, or an item is not a text.
        """
        if isinstance(texts, (str, Passage)):
            return self.predict([texts])[0]
        predictions, classes = [], self.classes_
        rows = zip(*(part.tolist() for part in self.scored(listed(texts))), strict=True)
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
        """Predict the topics of the paragraphs of one article, each read with those around it.

        Parameters
        ----------
        paragraphs
            n paragraphs in their order.
        headings
            The heading that each of them stands under, ``""`` for none; none by default.
        title
            The title of the article; none by default.

        Raises
        ------
        TypeError
            `paragraphs` is a single str, or an item is not a str.
        ValueError
            There are not as many headings as paragraphs.
        """
        return self.predict(article_passages(listed(paragraphs).plain, headings, title))

    def explain(self, text: Text) -> Explanation:
        """Predict the topics of a text, also without each of its sentences in turn.

        Parameters
        ----------
        text
            One text of any length, as a str or a `Passage`; of the latter, what stands around it is
            left out in turn, too. A blank one has no parts.

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
        borders, around = list(sentences(own)), self.context.parts(passage)
        read = self.calibration if around else self.calibration.alone or self.calibration
        scores = np.array([[*prediction.scores.values()]])
        named_from = self.mode.named_from(scores, read.thresholds)[0].tolist()
        without = [replace(passage, text=own[:start] + own[end:]) for start, end in borders]
        without += [replace(passage, **{part: ""}) for part in around]
        names, logits = self._relative_logits([passage, *without])
        shares = [dict(zip(names, row.tolist(), strict=True)) for row in logits[0] - logits[1:]]
        places = zip(borders, shares, strict=False)
        return Explanation(
            prediction,
            dict(zip(names, logits[0].tolist(), strict=True)),
            [Share(own[start:end], start, end, each) for (start, end), each in places],
            dict(zip(around, shares[len(borders) :], strict=True)),
            dict(zip(self.classes_, named_from, strict=True)),
        )

    def _relative_logits(self, texts: Sequence[Passage]) -> tuple[list[str], Array]:
        """Names of the r outcomes that the first of n texts may have, and the logits, (n, r)."""
        probabilities = self.mode.complete(self.predict_proba(texts))
        known = probabilities[0] > 0
        logits = self.mode.logits(np.clip(probabilities[:, known], SMALLEST, 1 - SMALLEST))
        logits[[not text.text.strip() for text in texts]] = 0.0
        return list(compress((*self.classes_, NONE), known)), self.mode.centred(logits)

    def embed(self, texts: Sequence[Text]) -> Features:
        """Compute what the model's head reads of texts alone: embeddings, or TF-IDF.

        The products of the rows with each other are how similar the model finds the texts.

        Parameters
        ----------
        texts
            n texts, at least one, of any length. What stands around them is left out.

        Returns
        -------
        (n, d) rows of unit length: an array, or a sparse matrix for the baseline, where a text
        without a known word has a row of zeros.

        Raises
        ------
        TypeError
            `texts` is a single str, a DataFrame or a dict, or an item is not a text.
        """
        return self._classifier.embed(_encodable(listed(texts)).plain)

    def scored(self, texts: Texts, forced: bool = False) -> tuple[Scores, Targets, Integers, Array]:
        """Scores of texts; those of blank ones are 0, and so are their numbers of windows.

        If `forced`, each text, also a blank one, is known to have a topic, where one counts.

        Returns
        -------
        scores, predicted
            (n, k) probabilities of the topics, and whether they are predicted.
        windows, sure_from
            (n,) numbers of windows, and lowest probabilities of sure predictions.
        """
        filled = np.flatnonzero([bool(text.strip()) for text in texts.plain])
        in_context = self.context.reads(texts)[:, None]
        scores = np.zeros((len(texts), len(self.classes_)))
        windows = np.zeros(len(texts), dtype=np.int64)
        mode, read = self.mode, self.calibration
        alone = read.alone or read
        if len(filled):
            logits, windows[filled] = self._classifier.read(_encodable(texts.of(filled)))
            logits = np.where(in_context[filled], read.apply(logits), alone.apply(logits))
            scores[filled] = mode.scores(logits)
        if forced:
            scores = mode.conditional(scores)
        predicted = mode.predicted(scores, np.where(in_context, read.thresholds, alone.thresholds))
        predicted &= forced | (windows[:, None] > 0)
        return scores, predicted, windows, np.where(in_context[:, 0], read.sure, alone.sure)


def listed(texts: object) -> Texts:
    """Number an iterable of texts, which `checked` takes."""
    return numbered(checked(texts))


def checked(texts: object) -> list[Text]:
    """List an iterable of texts; a TypeError says what to do about anything else."""
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
    """Texts that can be encoded: "cut off \\ud83d" → "cut off ?"."""
    distinct = [
        text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
        for text in texts.distinct
    ]
    return replace(texts, distinct=distinct)


log = logging.getLogger(__name__)

# A text that a model has to answer when it is loaded.
PROBE = "Talks on trade went on."


def load(folder: str | os.PathLike[str] | None = None) -> Model:
    """Load a trained model.

    Parameters
    ----------
    folder
        Folder of a model, such as ``models/transformer``; the URI of a model in MLflow,
        ``models:/paratopic@champion`` or ``runs:/ID/model``; or, where there is no such folder, a
        model on a hub, ``OWNER/NAME`` or ``OWNER/NAME@REVISION``. Each may end with the model's
        digest, ``#sha256:HEX``, as its card has it; another model is then refused. None, the
        default, takes the value of the environment variable PARATOPIC_MODEL; without one, the
        champion of the project that the current directory lies in.

    Raises
    ------
    UserError
        The folder does not exist or is not a paratopic model, it is not that of the digest, a
        store or a hub cannot be reached, or a file is missing or damaged; the message names it.
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
    """Predict with the default model (see `load`), which stays loaded until it is trained again.

    A model from MLflow or a hub is fetched once a process.

    Parameters
    ----------
    texts
        A str or `Passage` gives one `Prediction`; any other iterable of them gives a list in the
        same order.

    Raises
    ------
    UserError
        There is no default model, or it is damaged.
    TypeError
        An item is not a text.
    """
    folder = _folder(None, _fetch_once)
    manifest = folder / MANIFEST
    changed = manifest.stat().st_mtime_ns if manifest.exists() else 0
    return _default_model(folder, changed).predict(texts)


@functools.lru_cache(maxsize=1)
def _default_model(folder: Path, changed: int) -> Model:
    return _load(folder)


# Of a process: what an alias points to may change meanwhile.
_fetch_once = functools.cache(fetch)


def _folder(
    folder: str | os.PathLike[str] | None, fetch: Callable[[str, Path], Path] = fetch
) -> Path:
    """Find the folder of a model that is given, or of the default one where none is."""
    named = str(folder or os.environ.get("PARATOPIC_MODEL") or "")
    chosen, mark, digest = named.partition("#sha256:")
    if mark and not digest:
        raise UserError(f"{named}: the digest after #sha256: is missing")
    here, place = Path.cwd(), Paths().champion
    project = root_with(place)
    if is_remote(chosen):
        path = fetch(chosen, project or here)
    elif chosen:
        path = Path(chosen)
    elif project:
        path = project / place
    else:
        raise UserError(
            f"no model: neither {here} nor a folder above it has {place}; run `dvc repro` "
            "in the project, or give a model's folder (--model, load(folder), PARATOPIC_MODEL)"
        )
    # A file is a champion file, which names the folder beside it.
    path = (_champion(path) if path.is_file() else path).absolute()
    if digest and (path / MANIFEST).exists() and (own := digest_of(path)) != digest:
        raise UserError(f"{chosen} is another model than sha256:{digest}: its digest is {own}")
    return path


def _champion(path: Path) -> Path:
    try:
        return path.parent / KINDS[json.loads(path.read_text(encoding="utf-8"))["champion"]].name
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path} is neither a model's folder nor a champion file") from None


def _load(folder: Path) -> Model:
    manifest = read_manifest(folder)
    kind, topics = manifest.kind, manifest.topics
    try:
        classifier = classifier_of(kind)(folder, mode_of(topics.mode), manifest.settings)
        # Pieces that do not fit together, or weights that are no numbers, show in an answer.
        logits, n_logits = classifier.read(numbered([PROBE])).logits, len(topics.outcomes)
        if logits.shape != (1, n_logits) or np.isnan(logits).any():
            raise ValueError(f"it gives {logits.tolist()} as {n_logits} logits")
    except (ImportError, KeyboardInterrupt, SystemExit):
        raise
    # Each library has its own for a file that it cannot read; panics of Rust are no `Exception`.
    except BaseException as error:
        raise UserError(
            f"{folder} cannot be loaded as a {kind} ({error!r}); train the model again"
        ) from None
    return Model(folder, manifest, classifier)
