"""The estimator keeps scikit-learn's contract, and works with its tools."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable
from functools import partial
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
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator
from sklearn.utils.validation import check_is_fitted, validate_data

from paratopic import UserError, load
from paratopic.corpus.table import read_paragraphs
from paratopic.inference.model import Model
from paratopic.project.folder import Project
from paratopic.sklearn import TopicClassifier
from paratopic.stages import calibrate, fit, package, prepare, split, train
from paratopic.training.crossval import labelled_for
from tests.samples import TARIFF, WORDS, paragraph, write_params

# A small baseline: single words and three characters, one strength.
SMALL = {"word_ngrams": [1, 1], "char_ngrams": [3, 3], "strengths": [10.0]}
DEFINITIONS = {name: f"About {' and '.join(words)}." for name, words in WORDS.items()}
# Checks that are skipped → why.
SKIPPED = {
    "check_array_api_input": "there is no such library of arrays for texts",
    "check_classifiers_multilabel_output_format_decision_function": "there is no decision_function",
}
# Some of those that pass after calibration, too; `check_classifiers_train` does not.
CALIBRATED = [
    "check_fit2d_1sample",
    "check_dict_unchanged",
    "check_estimators_pickle",
    "check_classifiers_classes",
]


class NumberRows:
    """Reads rows of numbers, which the checks pass, as texts with a word for each number."""

    # mypy does not know the class of `super`, because `Unfitted` inherits from both.
    def fit(self, X: Any = None, y: Any = None, groups: Any = None, pool: Any = None) -> Any:
        texts = _words(validate_data(self, X))
        return super().fit(texts, y, groups, pool)  # type: ignore[misc]  # mixed in

    def _predict(self, X: object) -> Any:
        check_is_fitted(self)
        texts = _words(validate_data(self, X, reset=False))
        return super()._predict(texts)  # type: ignore[misc]  # mixed in

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()  # type: ignore[misc]  # mixed in
        tags.input_tags.two_d_array, tags.input_tags.string = True, False
        return tags


def _words(rows: Iterable[npt.NDArray[np.float64]]) -> list[str]:
    """[[1.5, -0.4]] → ["c0v3 c1vm1"]."""
    texts = []
    for row in rows:
        words = [f"c{column}v{round(2 * number)}" for column, number in enumerate(row)]
        texts.append(" ".join(words).replace("-", "m"))
    return texts


class Unfitted(NumberRows, TopicClassifier):
    """The estimator that is fitted, on rows of numbers."""


@pytest.fixture(scope="module")
def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Labelled paragraphs: text, and label, which is "none" for none of the topics."""
    return rows.assign(label=[";".join(names) or "none" for names in rows["topic"]])


@pytest.fixture(scope="module")
def topical(labelled: pd.DataFrame) -> pd.DataFrame:
    return labelled[labelled["label"] != "none"]


# scikit-learn warns of labels with a dimension too many.
@pytest.mark.filterwarnings("ignore")
def test_the_checks_of_scikit_learn_pass() -> None:
    names: dict[str, list[str]] = {"passed": [], "skipped": [], "xfail": []}
    for result in check_estimator(Unfitted("baseline", settings=SMALL, calibrate=False)):
        names[result["status"]].append(result["check_name"])
    assert set(names["skipped"]) == set(SKIPPED) and not names["xfail"]
    assert len(names["passed"]) >= 55


@pytest.mark.filterwarnings("ignore")
def test_checks_pass_after_calibration_except_that_the_likeliest_class_is_predicted() -> None:
    checks = {
        getattr(check, "func", check).__name__: partial(check, estimator)
        for estimator, check in estimator_checks_generator(Unfitted("baseline", settings=SMALL))
    }
    for name in CALIBRATED:
        checks[name]()


@pytest.fixture(scope="module")
def tiny(tiny_encoder: Path) -> dict[str, object]:
    """Settings of a small transformer."""
    few = {"epochs": 1, "max_tokens": 16, "train_tokens": 16, "unlabelled": 40}
    return {"encoder": str(tiny_encoder), "device": "cpu", **few}


@pytest.mark.parametrize("kind", ["baseline", "transformer"])
def test_it_is_scored_by_article(kind: str, topical: pd.DataFrame, tiny: dict[str, object]) -> None:
    state, settings = np.random.RandomState(1), SMALL if kind == "baseline" else tiny
    model = TopicClassifier(kind, settings=settings, calibrate=False, random_state=state)
    texts, labels = list(topical["text"]), list(topical["label"])
    articles = [number // 6 for number in range(len(texts))]  # each has all topics
    scores = cross_val_score(
        model, texts, labels, groups=articles, cv=GroupKFold(3), params={"groups": articles}
    )
    # An encoder with random weights predicts badly.
    assert len(scores) == 3 and scores.mean() > (0.9 if kind == "baseline" else 0.4)


def test_it_is_cloned_searched_and_calibrated_and_votes(topical: pd.DataFrame) -> None:
    texts, labels = topical["text"], topical["label"]
    make = partial(TopicClassifier, "baseline", settings=SMALL, calibrate=False, random_state=1)
    model = make(definitions=DEFINITIONS)
    again = clone(model)
    assert again.get_params() == model.get_params()
    search = GridSearchCV(model, {"settings": [SMALL, SMALL | {"strengths": [1.0]}]}, cv=2)
    assert search.fit(texts, labels).best_score_ > 0.9
    calibrated = CalibratedClassifierCV(again, cv=2).fit(texts, labels)
    assert calibrated.predict([TARIFF]) == ["trade"]
    other = make_pipeline(TfidfVectorizer(), LogisticRegression())
    estimators = [("fitted", make()), ("other", other)]
    voting = VotingClassifier(estimators, voting="soft").fit(list(texts), list(labels))
    assert voting.predict([TARIFF]) == ["trade"]


def test_none_of_the_topics_is_a_class_like_others(labelled: pd.DataFrame) -> None:
    model = TopicClassifier("baseline", none="none", settings=SMALL).fit(
        labelled["text"], labelled["label"]
    )
    assert model.classes_.tolist() == ["none", "security", "technology", "trade"]
    probabilities = model.predict_proba([TARIFF, "It rained and then the sun came out."])
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert probabilities[1, 0] > probabilities[0, 0]


def test_a_topic_without_labels_is_predicted_by_its_definition(topical: pd.DataFrame) -> None:
    known = topical[topical["label"] != "trade"]
    model = TopicClassifier("baseline", definitions=DEFINITIONS, settings=SMALL, random_state=1)
    model.fit(list(known["text"]), list(known["label"]))
    assert model.classes_.tolist() == sorted(WORDS) and model.predict([TARIFF]) == ["trade"]


def test_texts_may_have_several_topics(topical: pd.DataFrame) -> None:
    targets = np.column_stack([topical["label"] == name for name in WORDS]).astype(int)
    model = TopicClassifier("baseline", settings=SMALL).fit(list(topical["text"]), targets)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict([TARIFF]).tolist() == [[1, 0, 0]]


def test_mistakes_are_refused(topical: pd.DataFrame) -> None:
    texts, labels = list(topical["text"]), list(topical["label"])
    with pytest.raises(ValueError, match="no kind of model; there are baseline"):
        TopicClassifier("forest").fit(texts, labels)
    with pytest.raises(UserError, match="baseline.strength: unknown key"):
        TopicClassifier("baseline", settings={"strength": [1.0]}).fit(texts, labels)
    with pytest.raises(ValueError, match="'security' has none"):
        TopicClassifier("baseline", definitions={"technology": "Chips."}).fit(texts, labels)
    with pytest.raises(ValueError, match="1 class"):
        TopicClassifier().fit(texts, ["trade"] * len(texts))
    with pytest.raises(TypeError, match="df\\["):
        TopicClassifier().fit(topical, labels)  # type: ignore[arg-type]  # the mistake that is tested
    for missing in (None, float("nan")):
        with pytest.raises(ValueError, match=r"y\[1\] is missing"):
            TopicClassifier().fit(texts, [labels[0], missing, *labels[2:]])
    with pytest.warns(UserWarning, match="no text has the label 'nothing'"):
        TopicClassifier("baseline", none="nothing", calibrate=False).fit(texts, labels)


def made_up(n: int, share_none: float, n_pool: int) -> pd.DataFrame:
    """Rows of a table: labelled ones, two of each article, and others without a label."""
    rng, rows = random.Random(3), []
    for number in range(n + n_pool):
        topic = rng.choice([*WORDS])
        label = "other" if rng.random() < share_none else topic
        text = paragraph(topic, rng, 14 if label != "other" else 6)
        group = f"document {number // 2:03}" if number < n else f"other {number:03}"
        rows.append((f"{number:03}", text, label if number < n else "", group))
    table = pd.DataFrame(rows, columns=["id", "text", "label", "group"])
    following = table.groupby("group")["text"].shift(-1)
    return table.assign(text_following=following.fillna(""))


def run_pipeline(
    folder: Path,
    table: pd.DataFrame,
    kind: str,
    settings: dict[str, Any],
    definitions: dict[str, str] | None,
) -> Project:
    """A project of a table, with one packaged model."""
    codebook = [{"name": name} for name in sorted(WORDS)]
    if definitions:
        codebook = [{"name": name, "definition": text} for name, text in definitions.items()]
    changes: dict[str, Any] = {f"{kind}.{key}": value for key, value in settings.items()}
    changes |= {"prepare.sources": ["table.csv"], "prepare.no_topic": ["other"], "seed": 5}
    changes |= {"prepare.labels": None, "topics.codebook": codebook, "models": [kind]}
    write_params(changes, folder / "params.yaml")
    table.to_csv(folder / "table.csv", index=False)
    project = Project(folder)
    for stage in (prepare, split):
        stage.main(project)
    for stage_of_kind in (fit, calibrate, train, package):
        stage_of_kind.main(project, kind)
    return project


@pytest.mark.parametrize(
    ("kind", "share_none", "described"),
    [("baseline", 0.2, True), ("transformer", 0.2, True), ("transformer", 0.7, False)],
)
def test_it_is_the_model_that_the_pipeline_makes(
    kind: str, share_none: float, described: bool, tiny: dict[str, object], tmp_path: Path
) -> None:
    settings = SMALL if kind == "baseline" else tiny
    definitions = DEFINITIONS if described else None
    table = made_up(60, share_none, 50)
    project = run_pipeline(tmp_path, table, kind, settings, definitions)
    data = labelled_for(kind, project.paths, project.params)
    rows, paragraphs = data.rows, read_paragraphs(project.paths.paragraphs)
    labels = [label[0] if label else "other" for label in rows["topic"]]
    pool = paragraphs["text"][~paragraphs["id"].isin(rows["id"])]
    assert rows["passage"][0].after and (data.pool is None) != (kind == "transformer" and described)
    classifier = TopicClassifier(
        kind, definitions=definitions, none="other", settings=settings, random_state=5
    )
    classifier.fit(list(rows["passage"]), labels, groups=rows["article"], pool=pool)
    classifier.save(tmp_path / "saved")
    saved, shipped = load(tmp_path / "saved"), load(project.paths.models / kind)
    columns = [classifier.classes_.tolist().index(name) for name in saved.classes_]
    for texts in (list(rows["passage"]), list(pool)):
        assert_same_model(saved, shipped, texts)
        scores = classifier.predict_proba(texts)[:, columns]
        np.testing.assert_array_equal(scores, saved.predict_proba(texts))
        expected = [prediction.topic or "other" for prediction in shipped.predict(texts)]
        assert classifier.predict(texts).tolist() == expected


def assert_same_model(one: Model, other: Model, texts: Any) -> None:
    """Scores differ by less than 1e-8, because stages write calibrations with ten decimals."""
    assert one.definitions == other.definitions and one.languages == other.languages
    np.testing.assert_allclose(one.predict_proba(texts), other.predict_proba(texts), atol=1e-8)
    predictions = zip(one.predict(texts), other.predict(texts), strict=True)
    assert all((a.topics, a.sure) == (b.topics, b.sure) for a, b in predictions)


def test_without_calibration_the_fit_is_the_same(labelled: pd.DataFrame) -> None:
    texts, labels = list(labelled["text"]), list(labelled["label"])
    make = partial(TopicClassifier, "baseline", none="none", settings=SMALL, random_state=1)
    before = np.log(make(calibrate=False).fit(texts, labels).predict_proba(texts))
    after = np.log(make(calibrate=True).fit(texts, labels).predict_proba(texts))
    # They differ by one factor and a shift for each outcome.
    for column in range(1, 4):
        x = before[:, column] - before[:, 0]
        y = after[:, column] - after[:, 0]
        slope, shift = np.polyfit(x, y, 1)
        assert slope != pytest.approx(1, abs=0.01)
        np.testing.assert_allclose(slope * x + shift, y, atol=1e-6)


def test_few_labels_are_not_calibrated_and_a_warning_says_so(topical: pd.DataFrame) -> None:
    few = topical.drop_duplicates("label")
    model = TopicClassifier("baseline", settings=SMALL, random_state=1)
    with pytest.warns(UserWarning, match="not calibrated: fewer than two topics"):
        model.fit(few["text"], few["label"])
    assert set(model.predict(few["text"])) <= set(few["label"])


def test_a_copy_has_its_predictions_and_its_files(topical: pd.DataFrame, tmp_path: Path) -> None:
    model = TopicClassifier("baseline", settings=SMALL, random_state=1)
    model.fit(list(topical["text"]), list(topical["label"]))
    # Copying works like pickling, which scikit-learn's `check_estimators_pickle` checks.
    again = copy.deepcopy(model)
    texts = [*topical["text"], "", "Nothing of this kind."]
    np.testing.assert_array_equal(again.predict_proba(texts), model.predict_proba(texts))
    assert again.predict(texts).tolist() == model.predict(texts).tolist()
    again.save(tmp_path / "model")
    again.save(tmp_path / "model")  # replaces the first
    assert load(tmp_path / "model").predict(TARIFF).topic == "trade"


def test_a_label_that_is_no_name_is_refused(labelled: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="'none' is not a topic name"):
        TopicClassifier("baseline").fit(labelled["text"], labelled["label"])


def test_a_definition_of_no_column_is_refused() -> None:
    model = TopicClassifier("baseline", definitions={0: "Trade.", 1: "Law.", 2: "Sport."})
    with pytest.raises(ValueError, match="2 is no column of y; give it one of zeros"):
        model.fit(["a b", "c d", "e f", "g h"], np.array([[1, 0], [0, 1], [1, 0], [0, 1]]))
