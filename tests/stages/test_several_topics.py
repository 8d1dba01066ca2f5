"""Mode multi, room by room: targets, folds, both models, calibration, figures, and what is told."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn import metrics as sk

from paratopic import load
from paratopic.annotation.label_studio import configuration
from paratopic.bulk import jobs
from paratopic.corpus.folds import deal
from paratopic.evaluation.intervals import difference, measure
from paratopic.evaluation.metrics import MetricKey
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.model import Model
from paratopic.inference.modes import Calibration, Scores, Targets, mode_of
from paratopic.project.texts import numbered
from paratopic.project.topics import Topic, Topics
from paratopic.tracking import pyfunc
from paratopic.training import calibration
from paratopic.training.examples import Fitted
from tests.samples import KINDS, WORDS, bounds, examples, fit, paragraph

NAMES = tuple(WORDS)
TOPICS = Topics("multi", tuple(Topic(name, f"About {name}.") for name in NAMES))


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = random.Random(3)
    made = []
    for number in range(60):
        some = rng.sample(NAMES, [0, 1, 1, 2][number % 4])
        text = " ".join(paragraph(name, rng) for name in some) or "It rained, then the sun was out."
        made.append((f"p{number:02}", f"article{number % 12}", text, tuple(some)))
    frame = pd.DataFrame(made, columns=["id", "article", "text", "topic"])
    return frame.assign(label_source="hand", heading="")


@pytest.fixture(scope="module")
def fitted(rows: pd.DataFrame) -> Fitted:
    return fit("baseline", examples(rows, NAMES), TOPICS, Path())


@pytest.fixture(scope="module")
def model(fitted: Fitted, tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("models") / "baseline"
    fitted.save(folder, Calibration((1.0, 2.0, 0.5), (0.0, 1.0, -1.0), (0.3, 0.5, 0.5)))
    return load(folder)


def test_what_is_saved_answers_calibrated(fitted: Fitted, model: Model, rows: pd.DataFrame) -> None:
    texts = [*rows["text"], " ".join(rows["text"])]
    raw = fitted.predict_proba(numbered(texts))
    expected = expit(np.log(raw / (1 - raw)) * [1, 2, 0.5] + [0, 1, -1])
    np.testing.assert_allclose(model.predict_proba(texts), expected, rtol=0, atol=1e-12)
    for answer, row in zip(model.predict(texts), model.predict_proba(texts), strict=True):
        named = [name for name, p, at in zip(NAMES, row, (0.3, 0.5, 0.5), strict=True) if p >= at]
        assert list(answer.topics) == sorted(named, key=lambda name: -answer.scores[name])
        assert answer.topic == (answer.topics[0] if answer.topics else None)
        assert answer.confidence == row.max()
        assert not answer.sure
    blank = model.predict(" ")
    assert (blank.topics, blank.topic, blank.confidence) == ((), None, 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_both_models_learn_topics_apart(kind: str, rows: pd.DataFrame, tiny_encoder: Path) -> None:
    scores = fit(kind, examples(rows, NAMES), TOPICS, tiny_encoder).predict_proba(
        numbered(
            [
                "A tariff duty on export goods. The army and navy at the missile border.",
                "It rained.",
            ]
        )
    )
    assert scores[0, [0, 2]].min() > scores[0, 1]
    assert scores[0].max() > scores[1].max()


def test_each_topic_is_spread_over_the_folds() -> None:
    # Sechidis et al. 2011: rare topics are dealt first, so that each fold gets its share of them.
    rng = np.random.default_rng(0)
    targets = rng.random((400, 4)) < [0.4, 0.2, 0.05, 0.025]
    fold = deal(targets, np.arange(400), 5, 0)
    per_fold = np.array([targets[fold == n].sum(axis=0) for n in range(5)])
    assert (np.ptp(per_fold, axis=0) <= 2).all()
    assert np.ptp(np.bincount(fold)) <= 3


def fit_calibration(true: Targets, scores: Scores) -> Calibration:
    rows = calibration.KnownScores(true, scores, np.ones(len(true)))
    return calibration.fit_calibration(rows, mode_of("multi"))


def test_scale_shift_and_thresholds_of_each_topic_are_found() -> None:
    rng = np.random.default_rng(4)
    honest = rng.normal(size=(4000, 3)) * 2 - 1
    true = rng.random((4000, 3)) < expit(honest)
    scale, shift = np.array([2.0, 0.5, 1.0]), np.array([0.0, 1.0, -2.0])
    raw = expit((honest - shift) / scale)
    found = fit_calibration(true, raw)
    np.testing.assert_allclose(found.scale, scale, rtol=0.1)
    np.testing.assert_allclose(found.shift, shift, atol=0.15)
    told = calibration.apply_calibration(raw, found, mode_of("multi"))
    for topic in range(3):
        *f1s, mine = (
            sk.f1_score(true[:, topic], told[:, topic] >= at)
            for at in (*np.arange(0.1, 0.8, 0.02), found.thresholds[topic])
        )
        assert mine > max(f1s) - 0.01


def test_thresholds_by_hand() -> None:
    # Expected F1 of the first: 2·.9 / (1 + 2) = .6, of two: 2·1.7 / (2 + 2) = .85, of all 4 / 5.
    assert calibration.f1_threshold(np.array([0.3, 0.9, 0.8])) == pytest.approx(0.425)
    # A topic without examples is not calibrated, and asks for half.
    true = np.array([[True, False], [False, False]] * 5)
    found = fit_calibration(true, np.full((10, 2), 0.3))
    assert (found.scale[1], found.shift[1], found.thresholds[1]) == (1, 0, 0.5)


def test_figures_are_scikit_learns_and_a_model_that_predicts_at_random_is_worse() -> None:
    rng = np.random.default_rng(0)
    true = rng.random((60, 3)) < 0.4
    scores = np.clip(true[None] * 0.4 + rng.random((2, 60, 3)) * 0.6, 0.01, 0.99)
    outcome = Outcomes(mode_of("multi"), true, np.arange(60), scores, scores >= 0.5)
    measured = measure(outcome, outcome, 0.95, 500, 1)
    repeats = list(zip(outcome.predicted, outcome.scores, strict=True))
    expected: dict[MetricKey, list[float]] = {
        "macro_f1": [sk.f1_score(true, p, average="macro") for p, _ in repeats],
        "micro_f1": [sk.f1_score(true, p, average="micro") for p, _ in repeats],
        "subset_accuracy": [sk.accuracy_score(true, p) for p, _ in repeats],
        "map": [sk.average_precision_score(true, s) for _, s in repeats],
        "log_loss": [sk.log_loss(true.ravel(), s.ravel()) for _, s in repeats],
        ("recall", 1): [sk.recall_score(true[:, 1], p[:, 1]) for p, _ in repeats],
    }
    for key, values in expected.items():
        assert measured[key].value == pytest.approx(np.mean(values)), key
        low, high = bounds(measured[key])
        assert low < measured[key].value < high, key
    random_scores = np.random.default_rng(9).random(scores.shape)
    chance = replace(outcome, scores=random_scores, predicted=random_scores >= 0.5)
    lead = difference(outcome, chance, 0.95, 2000, 1)
    assert lead.value > 0.2 and lead.p < 0.01 and lead.low > 0
    assert difference(outcome, outcome, 0.95, 500, 1).p == 1


def test_topics_are_told(model: Model, rows: pd.DataFrame, tmp_path: Path) -> None:
    texts = [*rows["text"][:8], " "]
    answers = model.predict(texts)
    expected = [";".join(answer.topics) for answer in answers]
    assert jobs.predict_columns(model, texts)["predicted_topics"] == expected
    place = tmp_path / "served"
    pyfunc.save(model.folder, place, "# A card")
    table = mlflow.pyfunc.load_model(str(place)).predict(texts)
    scores = [f"score_{name}" for name in NAMES]
    assert list(table) == ["topics", "confidence", "sure", *scores]
    assert not table["sure"].any()
    assert table["topics"].tolist() == expected


def test_label_studio_asks_for_all_topics_at_once() -> None:
    page = configuration(TOPICS)
    assert page.count("<Choices ") == 1 and 'choice="multiple" required="true"' in page
    assert page.count("<Choice ") == 4
