"""A third kind of model, for tests: the topic whose definition is nearest by TF-IDF."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic.dataclasses import dataclass
from sklearn.feature_extraction.text import TfidfVectorizer

from paratopic.inference.linear_head import ContextWeights, Reading
from paratopic.inference.modes import Array, Mode, Scores, softmax
from paratopic.project.params import SECTION, Positive
from paratopic.project.texts import Texts
from paratopic.project.topics import Topics
from paratopic.training.examples import Advance, Examples, Fitted, Parity, silent

FILE = "definitions.json"


@dataclass(frozen=True, config=SECTION)
class Settings:
    slope: Positive


def score(texts: Sequence[str], definitions: Sequence[str], slope: float) -> Scores:
    """Probabilities (n, k) from the cosines of texts and definitions; a tenth is for none."""
    words = TfidfVectorizer(stop_words="english").fit(definitions)
    cosines: Array = (words.transform(texts) @ words.transform(definitions).T).toarray()
    return 0.9 * softmax(slope * cosines)


class Nearest(Fitted):
    """A model that is fitted already."""

    KIND = "nearest"

    def __init__(self, topics: Topics, slope: float) -> None:
        history = pd.DataFrame(columns=["step", "loss"], dtype=np.float64)
        super().__init__(history, ContextWeights(), ("labels teach it nothing",), topics)
        self._slope = slope

    def predict_proba(self, texts: Texts) -> Scores:
        """Probabilities (n, k)."""
        return score(texts.plain, self.topics.descriptions, self._slope)

    def write(self, folder: Path) -> tuple[dict[str, object], Parity]:
        (folder / FILE).write_text(json.dumps(self.topics.descriptions), encoding="utf-8")
        return {"slope": self._slope}, {}


def fit(
    examples: Examples, topics: Topics, params: Settings, seed: int, advance: Advance = silent
) -> Nearest:
    """The labels are not looked at."""
    advance(1.0)
    return Nearest(topics, params.slope)


class NearestClassifier:
    """The saved model, which reads nothing around a text."""

    FILES: ClassVar[tuple[str, ...]] = (FILE,)
    context = ContextWeights()

    def __init__(self, folder: Path, mode: Mode, settings: Mapping[str, Any]) -> None:
        self._definitions = json.loads((folder / FILE).read_text(encoding="utf-8"))
        self._slope, self._mode = settings["slope"], mode

    def read(self, texts: Texts) -> Reading:
        """Read texts, each in one window."""
        scores = score(texts.plain, self._definitions, self._slope)
        windows = np.ones(len(texts), dtype=np.int64)
        return Reading(self._mode.logits(self._mode.complete(scores)), windows)
