"""The estimator keeps scikit-learn's contract, and stands in what it offers for others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import Tags
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data

from paratopic import UserError
from paratopic.sklearn import TopicClassifier
from tests.samples import TARIFF, WORDS

# A small baseline: single words and three characters, one strength.
SMALL = {"word_ngrams": [1, 1], "char_ngrams": [3, 3], "strengths": [10.0]}
DEFINITIONS = {name: f"About {' and '.join(words)}." for name, words in WORDS.items()}
# Checks that are skipped → why.
SKIPPED = {
    "check_array_api_input": "there is no such library of arrays for texts",
    "check_classifiers_multilabel_output_format_decision_function": "there is no decision_function",
}


class OfNumbers:
    """Reads rows of numbers, which the checks give, as texts with a word for each number."""

    # mypy does not know the class that `super` is, because it stands beside this one below.
    def fit(self, X: Any = None, y: Any = None, groups: Any = None) -> Any:
        texts = _words(validate_data(self, X))
        return super().fit(texts, y, groups)  # type: ignore[misc]  # mixed in: the other base has it

    def predict_proba(self, X: object) -> Any:
        check_is_fitted(self)
        texts = _words(validate_data(self, X, reset=False))
        return super().predict_proba(texts)  # type: ignore[misc]  # mixed in: the other base has it

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()  # type: ignore[misc]  # mixed in: the other base has it
        tags.input_tags.two_d_array, tags.input_tags.string = True, False
        return tags


def _words(rows: Iterable[npt.NDArray[np.float64]]) -> list[str]:
    """[[1.5, -0.4]] → ["c0v3 c1vm1"]."""
    return [
        " ".join(f"c{column}v{round(2 * n)}".replace("-", "m") for column, n in enumerate(row))
        for row in rows
    ]


class Unfitted(OfNumbers, TopicClassifier):
    """The estimator that is fitted, on rows of numbers."""


@pytest.fixture(scope="module")
def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Labelled paragraphs: text, and label, which is "none" for none of the topics."""
    return rows.assign(label=[";".join(names) or "none" for names in rows["topic"]])


@pytest.fixture(scope="module")
def topical(labelled: pd.DataFrame) -> pd.DataFrame:
    return labelled[labelled["label"] != "none"]


# scikit-learn warns of each check that fails as expected, and of labels with a dimension too many.
@pytest.mark.filterwarnings("ignore")
def test_the_checks_of_scikit_learn_pass() -> None:
    of: dict[str, list[str]] = {"passed": [], "skipped": [], "xfail": []}
    for result in check_estimator(Unfitted(settings=SMALL)):
        of[result["status"]].append(result["check_name"])
    assert set(of["skipped"]) == set(SKIPPED) and not of["xfail"] and len(of["passed"]) >= 55


@pytest.mark.parametrize("kind", ["baseline", "transformer"])
def test_it_is_scored_by_article(kind: str, topical: pd.DataFrame, tiny_encoder: Path) -> None:
    small = {"encoder": str(tiny_encoder), "epochs": 1, "max_tokens": 16, "train_tokens": 16}
    model = TopicClassifier(
        kind, settings=SMALL if kind == "baseline" else small, random_state=np.random.RandomState(1)
    )
    texts, labels = list(topical["text"]), list(topical["label"])
    articles = [number // 6 for number in range(len(texts))]  # each has all topics
    scores = cross_val_score(
        model, texts, labels, groups=articles, cv=GroupKFold(3), params={"groups": articles}
    )
    # An encoder of random weights learns little.
    assert len(scores) == 3 and scores.mean() > (0.9 if kind == "baseline" else 0.4)


def test_it_is_cloned_searched_and_calibrated_and_votes(topical: pd.DataFrame) -> None:
    texts, labels = topical["text"], topical["label"]
    model = TopicClassifier(definitions=DEFINITIONS, settings=SMALL, random_state=1)
    again = clone(model)
    assert again.get_params() == model.get_params()
    search = GridSearchCV(model, {"settings": [SMALL, SMALL | {"strengths": [1.0]}]}, cv=2)
    assert search.fit(texts, labels).best_score_ > 0.9
    calibrated = CalibratedClassifierCV(again, cv=2).fit(texts, labels)
    assert calibrated.predict([TARIFF]) == ["trade"]
    other = make_pipeline(TfidfVectorizer(), LogisticRegression())
    estimators = [("fitted", TopicClassifier(settings=SMALL)), ("other", other)]
    voting = VotingClassifier(estimators, voting="soft").fit(list(texts), list(labels))
    assert voting.predict([TARIFF]) == ["trade"]


def test_none_of_the_topics_is_a_class_like_others(labelled: pd.DataFrame) -> None:
    model = TopicClassifier(none="none", settings=SMALL).fit(labelled["text"], labelled["label"])
    assert model.classes_.tolist() == ["none", "security", "technology", "trade"]
    probabilities = model.predict_proba([TARIFF, "It rained and then the sun came out."])
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert probabilities[1, 0] > probabilities[0, 0]


def test_a_topic_is_predicted_by_its_definition_alone(topical: pd.DataFrame) -> None:
    known = topical[topical["label"] != "trade"]
    model = TopicClassifier(definitions=DEFINITIONS, settings=SMALL, random_state=1)
    model.fit(list(known["text"]), list(known["label"]))
    assert model.classes_.tolist() == sorted(WORDS) and model.predict([TARIFF]) == ["trade"]


def test_texts_may_have_several_topics(topical: pd.DataFrame) -> None:
    targets = np.array([[label == name for name in WORDS] for label in topical["label"]], dtype=int)
    model = TopicClassifier(settings=SMALL).fit(list(topical["text"]), targets)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict([TARIFF]).tolist() == [[1, 0, 0]]


def test_mistakes_are_refused(topical: pd.DataFrame) -> None:
    texts, labels = list(topical["text"]), list(topical["label"])
    with pytest.raises(ValueError, match="no kind of model; there are baseline"):
        TopicClassifier("forest").fit(texts, labels)
    with pytest.raises(UserError, match="baseline.strength: unknown key"):
        TopicClassifier(settings={"strength": [1.0]}).fit(texts, labels)
    with pytest.raises(ValueError, match="'security' has none"):
        TopicClassifier(definitions={"technology": "Chips."}).fit(texts, labels)
    with pytest.raises(ValueError, match="1 class"):
        TopicClassifier().fit(texts, ["trade"] * len(texts))
    with pytest.raises(TypeError, match="df\\["):
        TopicClassifier().fit(topical, labels)  # type: ignore[arg-type]  # the mistake that is tested
