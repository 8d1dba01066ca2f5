"""A trained model and its predictions.

A model has `classes_`, `predict_proba(texts)` and `predict(texts)`, whatever its kind. Nothing here
trains, and nothing here imports training code, torch, transformers or mlflow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, NoReturn, Protocol, overload

import numpy as np

from paratopic.inference.calibration import Calibration
from paratopic.inference.explanation import Contributions, Explanation, explain
from paratopic.inference.modes import mode_of
from paratopic.inference.prediction import Prediction
from paratopic.inference.scores import Features, Integers, Scores
from paratopic.project.topics import ModeName


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

    def score(self, texts: Sequence[str]) -> tuple[Scores, Integers]:
        """Score n texts, none of which is blank.

        Returns
        -------
        scores
            (n, k) calibrated probabilities. In mode single a row sums to the probability that the
            text has one of the topics.
        windows
            (n,) number of windows that each text was read in.
        """
        ...

    def embed(self, texts: Sequence[str]) -> Features:
        """Features that the head reads of n texts, (n, d), each row of unit length."""
        ...

    def contributions(self, text: str) -> Contributions:
        """What each token of a text that is not blank adds to its logits.

        Raises
        ------
        UserError
            The kind of model cannot tell.
        """
        ...


@dataclass(frozen=True, repr=False)
class Model:
    """A trained model, loaded from its folder. It cannot be pickled: load the folder instead.

    Parameters
    ----------
    kind
        ``"baseline"`` or ``"transformer"``.
    folder
        Folder that the model was loaded from.
    mode
        ``"single"``: a text has one topic at most; ``"multi"``: any number of them.
    definitions
        Topic name → definition, in class order.
    calibration
        Calibration of the probabilities, and the topics' thresholds.
    """

    kind: str
    folder: Path
    mode: ModeName
    definitions: dict[str, str]
    calibration: Calibration
    _classifier: Classifier

    @property
    def classes_(self) -> tuple[str, ...]:
        """Topic names, in the order of the columns of `predict_proba`."""
        return tuple(self.definitions)

    def __repr__(self) -> str:
        return f"Model({self.kind!r}, {len(self.definitions)} topics, {str(self.folder)!r})"

    def __reduce__(self) -> NoReturn:
        # The folder may be a temporary one, or hold another model by the time it is read again.
        raise TypeError(
            "a Model cannot be pickled or copied; load it in the other process: "
            f"load({str(self.folder)!r})"
        )

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        """Compute the probabilities of the topics.

        Parameters
        ----------
        texts
            n texts of any length; long ones are read to the end. A blank text (empty or white
            space only) has all probabilities 0.

        Returns
        -------
        (n, k) array, columns in the order of `classes_`. In mode single a row sums to the
        probability that the text has one of the topics, which is 1 for models that were trained
        without paragraphs that have none. In mode multi each probability stands for itself.

        Raises
        ------
        TypeError
            `texts` is a single str, a DataFrame or a dict, or an item is not a str.
        """
        if isinstance(texts, str):
            raise TypeError("texts must be a list of str; for one text write predict_proba([text])")
        return self._score(_listed(texts))[0]

    @overload  # a str is an iterable of str too: the first that fits is meant
    def predict(self, texts: str) -> Prediction: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, texts: Iterable[str]) -> list[Prediction]: ...
    def predict(self, texts: str | Iterable[str]) -> Prediction | list[Prediction]:
        """Predict the topics of one text, or of each text of an iterable.

        Parameters
        ----------
        texts
            A str gives one `Prediction`; any other iterable gives a list of them in the same order.
            Half of a pair of surrogates, which is no character, is read as "?".

        Raises
        ------
        TypeError
            `texts` is a DataFrame or a dict, or an item is not a str.
        """
        if isinstance(texts, str):
            return self.predict([texts])[0]
        scores, windows = self._score(_listed(texts))
        classes = self.classes_
        sure_from = mode_of(self.mode).sure_from(self.calibration.thresholds)
        rows = zip(scores.tolist(), windows.tolist(), self._topics(scores, windows), strict=True)
        return [
            Prediction(
                topic=topics[0] if topics else None,
                confidence=max(row),
                scores=dict(zip(classes, row, strict=True)),
                windows=n_windows,
                topics=topics,
                sure=bool(topics) and max(row) >= sure_from,
            )
            for row, n_windows, topics in rows
        ]

    def explain(self, text: str) -> Explanation:
        """Predict the topics of a text, and take the logits apart by sentence and by token.

        What the parts add is exact, not an estimate: the logits are sums over the text's tokens.
        But each token's embedding depends on the tokens around it, so without a sentence the others
        add a little more or less.

        Parameters
        ----------
        text
            One text of any length. A blank one has no parts.

        Raises
        ------
        TypeError
            `text` is not a str.
        UserError
            The model's encoder makes something else of a text than the mean of its tokens.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, not {type(text).__name__}")
        prediction = self.predict(text)
        if not text.strip():
            return Explanation(prediction, {}, {}, [], [])
        contributions = self._classifier.contributions(_without_surrogates(text))
        return explain(text, prediction, self.classes_, mode_of(self.mode), contributions)

    def embed(self, texts: Sequence[str]) -> Features:
        """Compute what the model's head reads of texts: embeddings, or TF-IDF for the baseline.

        The products of the rows with each other are how similar the model finds the texts.

        Parameters
        ----------
        texts
            n texts, at least one, of any length.

        Returns
        -------
        (n, d) rows of unit length: an array, or a sparse matrix for the baseline, where a text
        without a known word has a row of zeros.

        Raises
        ------
        TypeError
            `texts` is a single str, a DataFrame or a dict, or an item is not a str.
        """
        if isinstance(texts, str):
            raise TypeError("texts must be a list of str; for one text write embed([text])")
        return self._classifier.embed([_without_surrogates(text) for text in _listed(texts)])

    def _score(self, texts: list[str]) -> tuple[Scores, Integers]:
        """Scores (n, k) and numbers of windows (n,), blank texts among them: those have zeros."""
        filled = [number for number, text in enumerate(texts) if text.strip()]
        scores = np.zeros((len(texts), len(self.classes_)))
        windows = np.zeros(len(texts), dtype=np.int64)
        if filled:
            scores[filled], windows[filled] = self._classifier.score(
                [_without_surrogates(texts[n]) for n in filled]
            )
        return scores, windows

    def _topics(self, scores: Scores, windows: Integers) -> list[tuple[str, ...]]:
        """Topics predicted for each row of scores, the most probable first."""
        predicted = mode_of(self.mode).predicted(scores, self.calibration.thresholds)
        predicted &= windows[:, None] > 0
        order = np.argsort(-scores, axis=1, kind="stable")
        ranked = np.take_along_axis(predicted, order, axis=1)
        classes = self.classes_
        names = [classes[column] for column in order[ranked].tolist()]
        ends = np.cumsum(ranked.sum(axis=1)).tolist()
        return [tuple(names[start:end]) for start, end in pairwise([0, *ends])]


def _listed(texts: object) -> list[str]:
    """The texts as a list; a TypeError says what to do about anything but an iterable of str."""
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):
        raise TypeError(
            f"texts is a {type(texts).__name__}, which is iterated by names; give the texts alone, "
            'such as df["text"]'
        )
    if isinstance(texts, bytes) or not isinstance(texts, Iterable):
        raise TypeError(f"texts must be a str or an iterable of str, not {type(texts).__name__}")
    listed = list(texts)
    for number, text in enumerate(listed):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise TypeError(f"texts[{number}] is {kind}, not str{_REMEDIES.get(kind, '')}")
    return listed


# Name of a type → what to do about an item of it.
_REMEDIES = {
    "NoneType": "; leave missing texts out, or give '' for them",
    "float": "; if it is NaN, a missing text, leave it out, or call .fillna('')",
    "NAType": "; leave missing texts out, or call .fillna('')",
    "bytes": "; decode it: .decode('utf-8')",
}


def _without_surrogates(text: str) -> str:
    """A text that can be encoded: "cut off \\ud83d" → "cut off ?"."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def topic_cell(model: Model, answer: Prediction) -> str | None:
    """Cell of a table with the predicted topics; None for no topic in mode single, "" in multi."""
    return mode_of(model.mode).cell(answer.topics)
