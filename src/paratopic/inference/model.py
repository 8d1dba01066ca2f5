"""The contract of a trained model, and its answers.

A model has `classes_` and `predict_proba(texts)`. Nothing here trains, and nothing here imports
training code, torch, transformers or mlflow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, overload

import numpy as np
import numpy.typing as npt

from paratopic.inference.folder import Calibration
from paratopic.inference.scores import Scores
from paratopic.project.topics import SEPARATOR, Mode


class Classifier(Protocol):
    """What a kind of model does with its folder's files."""

    def read(self, texts: Sequence[str]) -> tuple[Scores, npt.NDArray[np.int64]]:
        """Calibrated probabilities, (n texts, k topics), and the number of windows of each text.

        In mode single a row sums to the probability that the text has one of the topics.
        """
        ...


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
        predicted: tuple[str, ...] = ()
        if windows and self.mode == "single":
            predicted = (self.classes_[best],) if row[best] >= at[0] else ()
        elif windows:
            most_probable = np.argsort(-row, kind="stable")
            sure = row >= at
            predicted = tuple(self.classes_[n] for n in most_probable if sure[n])
        return Prediction(
            predicted[0] if predicted else None, float(row[best]), scores, windows, predicted
        )


def topic_cell(model: Model, answer: Prediction) -> str | None:
    """The cell of a table for what is named: in mode multi all topics, "" for none of them."""
    return answer.topic if model.mode == "single" else SEPARATOR.join(answer.topics)
