"""Arrays of any classifier: those of the pipeline give its figures, and mistakes are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, log_loss

import paratopic
from paratopic.corpus.table import read_parquet
from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.model_report import Metrics
from paratopic.project.errors import UserError
from paratopic.project.files import IN_CONTEXT, UNLABELLED
from tests.cli.test_shares import shares_project

__all__ = ["shares_project"]  # a fixture

CLASSES = ["trade", "security", "none"]
TRUTH = np.array(CLASSES * 20)
GROUPS = np.arange(60) // 6


def one_hot(labels: Any) -> pd.DataFrame:
    return pd.get_dummies(pd.Categorical(labels, CLASSES), dtype=float)


def predicted_labels(seed: int, right: float = 0.8) -> np.ndarray:
    """Labels that are right with this chance, and otherwise drawn at random."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(60) < right, TRUTH, rng.choice(CLASSES, 60))


def rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Estimates and differences to the last digit that is written."""
    values: dict[str, Any] = {}
    for name, figure in figures.items():
        values[str(name)] = {
            key: value if value is None else round(value, 6)
            for key, value in asdict(figure).items()
        }
    return values


def scores_by_repeat(opened: paratopic.Project, model: str) -> list[pd.DataFrame]:
    """A model's out-of-fold scores in each repeat, in the order of the labels."""
    scores = read_parquet(opened.paths.scores / model / IN_CONTEXT)
    ids = opened.labels["id"]
    return [part.set_index("id").loc[ids] for _, part in scores.groupby("repeat")]


def test_arrays_of_a_project_give_its_figures(project: Path) -> None:
    opened = paratopic.Project(project)
    topics, labels = opened.params.topics, opened.labels
    probabilities, thresholds = {}, {}
    for name in opened.params.models:
        repeats = scores_by_repeat(opened, name)
        probabilities[name] = np.stack([part[topics.score_columns] for part in repeats])
        thresholds[name] = np.stack([part[topics.threshold_columns] for part in repeats])
    fold_table = read_parquet(opened.paths.folds).drop_duplicates("id").set_index("id")
    measured = paratopic.evaluate(
        labels["topic"].map(lambda names: names[0] if names else "none"),
        probabilities,
        fold_table["group"].loc[labels["id"]],
        classes=topics.names,
        none="none",
        folds=np.stack([part["fold"] for part in repeats]),
        thresholds=thresholds,
        confidence=opened.params.evaluate.confidence,
        random_state=opened.params.seed,
    )
    comparison = opened.comparison
    assert measured.n == comparison.n and [*measured.models] == [*comparison.models]
    assert rounded(measured.differences) == rounded(comparison.differences)
    for name, figures in comparison.models.items():
        assert rounded(measured.models[name]) == rounded(figures)
    for name in probabilities:
        check_metrics(measured, name, opened.metrics(name))


def check_metrics(measured: Comparison, model: str, metrics: Metrics) -> None:
    assert rounded(measured.models[model]) == rounded(metrics.figures)
    assert measured.topics[model].keys() == metrics.topics.keys()
    for topic, topic_figures in metrics.topics.items():
        figures = measured.topics[model][topic]
        assert rounded(figures) == rounded({key: vars(topic_figures)[key] for key in figures})


def test_arrays_of_a_project_give_its_shares(
    shares_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paratopic.results.project.Project.changes", "")
    opened = paratopic.Project(shares_project)
    topics, scores = opened.params.topics, opened.paths.scores / "baseline"
    tables = [read_parquet(scores / name) for name in (IN_CONTEXT, UNLABELLED)]
    frame, labels = opened.paragraphs, opened.labels
    estimated = paratopic.shares(
        pd.concat(tables).set_index("id").loc[frame["id"], topics.score_columns].to_numpy(),
        frame["id"].isin(labels["id"]),
        labels["topic"].str[0],
        labels["weight"],
        by=frame["date"].rename("month"),
        classes=topics.names,
        none="none",
        random_state=opened.params.seed,
    )
    expected = opened.shares("month")
    # Arrays of texts that were drawn by themselves lack the articles.
    pd.testing.assert_frame_equal(
        estimated.table.drop(columns="articles"), expected.table.drop(columns="articles")
    )
    pd.testing.assert_frame_equal(estimated.changes, expected.changes)
    assert (estimated.differ, estimated.compared) == (expected.differ, expected.compared)


def test_one_column_of_answers_is_measured_as_scikit_learn_does() -> None:
    predicted = predicted_labels(1)
    measured = paratopic.evaluate(TRUTH, one_hot(predicted), none="none")
    expected = f1_score(TRUTH, predicted, average="macro")
    assert measured.models["model"]["answer_macro_f1"].value == pytest.approx(expected)
    expected = f1_score(TRUTH, predicted, average=None, labels=["trade"])
    assert measured.topics["model"]["trade"]["f1"].value == pytest.approx(expected[0])
    # The dummy predicts the most frequent class, or the first of equally frequent ones.
    assert measured.models["dummy"]["answer_accuracy"].value == pytest.approx(1 / 3)


def test_probabilities_are_those_of_the_classes_in_any_order() -> None:
    table = (2 * one_hot(predicted_labels(1)) + one_hot(predicted_labels(2))) / 3
    figures = paratopic.evaluate(TRUTH, table, GROUPS, none="none").models["model"]
    others: list[dict[str, Any]] = [
        {"probabilities": table[CLASSES[::-1]]},
        {"probabilities": table.to_numpy(), "classes": CLASSES},
        {"probabilities": table[CLASSES[:2]]},  # The rest is the probability of none.
    ]
    for other in others:
        alike = paratopic.evaluate(TRUTH, groups=GROUPS, none="none", **other).models["model"]
        assert rounded(alike) == rounded(figures)
    two = TRUTH != "none"
    table = table.loc[two, ["trade", "security"]] + 0.25
    table = table.div(table.sum(axis=1), axis=0)
    figures = paratopic.evaluate(TRUTH[two], table).models["model"]
    expected = log_loss(TRUTH[two], table[["security", "trade"]], labels=["security", "trade"])
    assert figures["log_loss"].value == pytest.approx(expected)
    assert figures["coverage"].value == 1


def test_several_topics_are_zeros_and_ones() -> None:
    truth = one_hot(TRUTH)[["trade", "security"]]
    good, bad = truth * 0.6 + 0.2, 0.8 - truth * 0.6
    measured = paratopic.evaluate(truth, {"bad": bad, "good": good})
    assert measured.models["good"]["macro_f1"].value == 1
    assert measured.models["bad"]["macro_f1"].value == 0
    assert measured.differences["good - bad"].significant and measured.champion == "good"
    shares = paratopic.shares(good, np.arange(30), truth[:30]).table.set_index("topic")
    assert [*shares.index] == ["trade", "security"]
    assert shares["share"].tolist() == pytest.approx([1 / 3, 1 / 3])


def test_cross_validated_models_are_expected_to_gain_from_all_labels() -> None:
    table = one_hot(predicted_labels(1))
    final = paratopic.evaluate(TRUTH, table, GROUPS, none="none")
    crossed = paratopic.evaluate(TRUTH, table, GROUPS, none="none", folds=GROUPS % 5)
    one = final.models["model"]["answer_macro_f1"]
    other = crossed.models["model"]["answer_macro_f1"]
    assert one.value == other.value and (one.low or 0) < (other.low or 0)


def test_weights_are_those_of_the_corpus() -> None:
    predicted, weights = predicted_labels(3), np.where(TRUTH == "trade", 3.0, 1.0)
    figures = paratopic.evaluate(TRUTH, one_hot(predicted), weights=weights, none="none").models
    expected = np.average(predicted == TRUTH, weights=weights)
    assert figures["model"]["answer_accuracy"].value == pytest.approx(expected)
    table = paratopic.shares(one_hot(["none"] * 60), range(60), TRUTH, none="none").table
    assert {*table["rests_on"]} == {"a count: all of it is labelled"}
    uniform = np.full((60, 3), 1 / 3)
    drawn = np.arange(0, 60, 2)
    table = paratopic.shares(
        uniform, drawn, TRUTH[drawn], weights[drawn], classes=CLASSES, none="none"
    ).table
    assert table["share"][0] == pytest.approx(3 / 5)


def test_whole_articles_that_were_drawn_make_intervals_wider() -> None:
    topic = np.repeat(CLASSES, 20)  # each article is about one
    uniform, drawn = np.full((60, 3), 1 / 3), np.arange(30) * 2
    names: dict[str, Any] = {"classes": CLASSES, "none": "none"}
    texts = paratopic.shares(uniform, drawn, topic[drawn], **names).table
    articles = paratopic.shares(uniform, drawn, topic[drawn], articles=GROUPS, **names).table
    assert texts["share"].tolist() == articles["share"].tolist()
    assert ((articles["high"] - articles["low"]) > (texts["high"] - texts["low"])).all()


def test_a_table_divides_texts_by_its_columns() -> None:
    by = pd.DataFrame({"year": ["2024", "2025"] * 30, "outlet": ["Post"] * 30 + ["Times"] * 30})
    table = one_hot(predicted_labels(1))
    findings = paratopic.shares(table, range(40), TRUTH[:40], by=by, none="none")
    assert len(findings.table) == 3 * (1 + 4)
    assert list(findings.table)[:2] == ["year", "outlet"]
    findings = paratopic.shares(table, range(40), TRUTH[:40], by=by["year"].tolist(), none="none")
    assert findings.compared == ("2025", "2024") and findings.table.columns[0] == "group"
    with pytest.raises(UserError, match="--compare 2026: there is no such value"):
        paratopic.shares(
            table, range(40), TRUTH[:40], by=by["year"], compare=("2026", "2025"), none="none"
        )


BAD = one_hot(TRUTH)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"truth": TRUTH[:59]}, r"probabilities, model: the shape is \(60, 3\), not \(59, 3\)"),
        ({"groups": GROUPS[:5]}, "groups: there are 5 values for 60 texts"),
        ({"weights": [1.0]}, "weights: there are 1 values for 60 texts"),
        ({"weights": [np.nan] * 60}, "weights, row 0: there is no value"),
        ({"groups": [1] * 60}, "groups: all texts are of one group"),
        ({"truth": ["none"] * 60}, "truth: no text has a topic"),
        ({"truth": pd.Series(TRUTH).where(GROUPS != 1)}, "truth, row 6: there is no value"),
        ({"truth": ["trade", "war"] * 30}, "truth, row 1: 'war' is not in classes, .'trade', "),
        ({"none": None, "truth": TRUTH}, "'none' is not a topic name"),
        (
            {"probabilities": BAD.mask(BAD == 0)},
            "probabilities, model, row 0, 1, 2 and 57 more: probabilities are",
        ),
        ({"probabilities": BAD + 1.0}, "row 0, 1, .* from 0 to 1 that sum to 1"),
        ({"probabilities": {"a": BAD, "b": BAD / 2}}, "probabilities, b, row 0, "),
        ({"probabilities": BAD[["trade"]].assign(war=0.0)}, "'security' is not in classes"),
        ({"probabilities": {"a": BAD, "b": BAD[["trade"]]}}, "probabilities, b: the columns are"),
        ({"probabilities": {"dummy": BAD}}, "dummy is the most frequent answer"),
        ({"probabilities": BAD.to_numpy()}, "classes: name the columns"),
        ({"probabilities": BAD.to_numpy(), "classes": CLASSES[:2]}, "'none' is not|the shape is"),
        ({"folds": GROUPS[:5]}, "folds: give each of 60 texts"),
        ({"folds": GROUPS - 1}, "folds: give each of 60 texts"),
        ({"thresholds": {"other": [0.5, 0.5]}}, "thresholds: there is no model 'other', only mo"),
    ],
)
def test_invalid_arrays_are_refused(changes: dict[str, Any], message: str) -> None:
    usual: dict[str, Any] = {"truth": TRUTH, "probabilities": BAD, "none": "none"}
    with pytest.raises((ValueError, UserError), match=message):
        paratopic.evaluate(**usual | changes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"labelled": [], "truth": []}, ValueError, "labelled: there is no text"),
        ({"labelled": [1, 1]}, ValueError, "one is there twice"),
        ({"labelled": range(-30, 0)}, ValueError, "a number is negative"),
        ({"labelled": [1, 60]}, IndexError, "60 is out of bounds"),
        ({"truth": TRUTH[:3]}, ValueError, "truth: there are 3 labels for 30 texts"),
        ({"by": ["2025"]}, ValueError, "by, group: there are 1 values for 60 texts"),
        ({"by": pd.Series([None] * 60, name="year")}, ValueError, "by, year, row 0: there is no"),
        ({"articles": [1]}, ValueError, "articles: there are 1 values for 60 texts"),
        ({"labelled": [0, 1], "truth": TRUTH[:2]}, UserError, "2 paragraphs drawn at random have"),
        ({"weights": np.zeros(30)}, UserError, "nothing says how these paragraphs were chosen"),
    ],
)
def test_invalid_samples_are_refused(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    usual: dict[str, Any] = {
        "probabilities": BAD,
        "labelled": range(30),
        "truth": TRUTH[:30],
        "none": "none",
    }
    with pytest.raises(error, match=message):
        paratopic.shares(**usual | changes)


def test_figures_of_topics_are_not_in_the_file(tmp_path: Path) -> None:
    measured = paratopic.evaluate(TRUTH, BAD, none="none")
    measured.save(tmp_path / "comparison.json")
    assert measured.topics and not Comparison.load(tmp_path / "comparison.json").topics
