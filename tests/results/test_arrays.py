"""Arrays of any classifier: the pipeline's own give its figures, and mistakes are refused."""

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
from paratopic.project.errors import UserError
from paratopic.project.files import IN_CONTEXT, UNLABELLED
from tests.cli.test_shares import made

__all__ = ["made"]  # a fixture

CLASSES = ["trade", "security", "none"]
TRUTH = np.array(CLASSES * 20)
GROUPS = np.arange(60) // 6


def one_hot(answers: Any) -> pd.DataFrame:
    return pd.get_dummies(pd.Categorical(answers, CLASSES), dtype=float)


def answers(seed: int, right: float = 0.8) -> np.ndarray:
    """Names that are right where chance says so, and else drawn."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(60) < right, TRUTH, rng.choice(CLASSES, 60))


def rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Estimates and differences to the last digit that is written."""
    return {
        str(name): {key: value if value is None else round(value, 6) for key, value in each.items()}
        for name, each in ((name, asdict(each)) for name, each in figures.items())
    }


def test_arrays_of_a_project_give_its_figures(project: Path) -> None:
    opened = paratopic.Project(project)
    topics, labels = opened.params.topics, opened.labels
    probabilities, thresholds = {}, {}
    for name in opened.params.models:
        scores = read_parquet(opened.paths.scores / name / IN_CONTEXT)
        repeats = [part.set_index("id").loc[labels["id"]] for _, part in scores.groupby("repeat")]
        probabilities[name] = np.stack([part[topics.scores] for part in repeats])
        thresholds[name] = np.stack([part[topics.thresholds] for part in repeats])
    dealt = read_parquet(opened.paths.folds).drop_duplicates("id").set_index("id")
    measured = paratopic.evaluate(
        labels["topic"].map(lambda names: names[0] if names else "none"),
        probabilities,
        dealt["group"].loc[labels["id"]],
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
        metrics = opened.metrics(name)
        assert rounded(measured.models[name]) == rounded(metrics.figures)
        assert measured.topics[name].keys() == metrics.topics.keys()
        for topic, of_topic in metrics.topics.items():
            own = measured.topics[name][topic]
            assert rounded(own) == rounded({key: vars(of_topic)[key] for key in own})


def test_arrays_of_a_project_give_its_shares(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paratopic.results.project.Project.changes", "")
    opened = paratopic.Project(made)
    topics, scores = opened.params.topics, opened.paths.scores / "baseline"
    tables = [read_parquet(scores / name) for name in (IN_CONTEXT, UNLABELLED)]
    frame, labels = opened.paragraphs, opened.labels
    estimated = paratopic.shares(
        pd.concat(tables).set_index("id").loc[frame["id"], topics.scores].to_numpy(),
        frame["id"].isin(labels["id"]),
        labels["topic"].str[0],
        labels["weight"],
        by=frame["date"].rename("month"),
        classes=topics.names,
        none="none",
        random_state=opened.params.seed,
    )
    expected = opened.shares("month")
    # Of texts that were drawn alone, it is not known which articles they are from.
    own, other = (each.table.drop(columns="articles") for each in (estimated, expected))
    pd.testing.assert_frame_equal(own, other)
    pd.testing.assert_frame_equal(estimated.changes, expected.changes)
    assert (estimated.differ, estimated.compared) == (expected.differ, expected.compared)


def test_one_column_of_answers_is_measured_as_scikit_learn_does() -> None:
    given = answers(1)
    measured = paratopic.evaluate(TRUTH, one_hot(given), none="none")
    expected = f1_score(TRUTH, given, average="macro")
    assert measured.models["model"]["answer_macro_f1"].value == pytest.approx(expected)
    expected = f1_score(TRUTH, given, average=None, labels=["trade"])
    assert measured.topics["model"]["trade"]["f1"].value == pytest.approx(expected[0])
    # The dummy knows how frequent classes are; of equals it gives the first.
    assert measured.models["dummy"]["answer_accuracy"].value == pytest.approx(1 / 3)


def test_probabilities_are_those_of_the_classes_in_any_order() -> None:
    table = (2 * one_hot(answers(1)) + one_hot(answers(2))) / 3
    figures = paratopic.evaluate(TRUTH, table, GROUPS, none="none").models["model"]
    others: list[dict[str, Any]] = [
        {"probabilities": table[CLASSES[::-1]]},
        {"probabilities": table.to_numpy(), "classes": CLASSES},
        {"probabilities": table[CLASSES[:2]]},  # none has the rest
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


def test_models_that_learnt_from_other_folds_are_expected_to_gain_from_all_labels() -> None:
    table = one_hot(answers(1))
    used, folded = (
        paratopic.evaluate(TRUTH, table, GROUPS, none="none", folds=folds).models["model"]
        for folds in (None, GROUPS % 5)
    )
    one, other = used["answer_macro_f1"], folded["answer_macro_f1"]
    assert one.value == other.value and (one.low or 0) < (other.low or 0)


def test_weights_are_those_of_the_corpus() -> None:
    given, weights = answers(3), np.where(TRUTH == "trade", 3.0, 1.0)
    figures = paratopic.evaluate(TRUTH, one_hot(given), weights=weights, none="none").models
    expected = np.average(given == TRUTH, weights=weights)
    assert figures["model"]["answer_accuracy"].value == pytest.approx(expected)
    table = paratopic.shares(one_hot(["none"] * 60), range(60), TRUTH, none="none").table
    assert {*table["rests_on"]} == {"a count: all of it is labelled"}
    nothing = np.full((60, 3), 1 / 3)
    drawn = np.arange(0, 60, 2)
    table = paratopic.shares(
        nothing, drawn, TRUTH[drawn], weights[drawn], classes=CLASSES, none="none"
    ).table
    assert table["share"][0] == pytest.approx(3 / 5)


def test_whole_articles_that_were_drawn_make_intervals_wider() -> None:
    topic = np.repeat(CLASSES, 20)  # each article is about one
    given, drawn = np.full((60, 3), 1 / 3), np.arange(30) * 2
    single, whole = (
        paratopic.shares(
            given, drawn, topic[drawn], articles=of, classes=CLASSES, none="none"
        ).table
        for of in (None, np.arange(60) // 6)
    )
    assert single["share"].tolist() == whole["share"].tolist()
    assert ((whole["high"] - whole["low"]) > (single["high"] - single["low"])).all()


def test_a_table_divides_texts_by_its_columns() -> None:
    by = pd.DataFrame({"year": ["2024", "2025"] * 30, "outlet": ["Post"] * 30 + ["Times"] * 30})
    given = one_hot(answers(1))
    found = paratopic.shares(given, range(40), TRUTH[:40], by=by, none="none")
    assert len(found.table) == 3 * (1 + 4) and [*found.table][:2] == ["year", "outlet"]
    found = paratopic.shares(given, range(40), TRUTH[:40], by=by["year"].tolist(), none="none")
    assert found.compared == ("2025", "2024") and [*found.table][0] == "group"
    with pytest.raises(UserError, match="--compare 2026: there is no such value"):
        paratopic.shares(
            given, range(40), TRUTH[:40], by=by["year"], compare=("2026", "2025"), none="none"
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
    ],
)
def test_what_cannot_be_measured_is_refused(changes: dict[str, Any], message: str) -> None:
    usual: dict[str, Any] = {"truth": TRUTH, "probabilities": BAD, "none": "none"}
    with pytest.raises((ValueError, UserError), match=message):
        paratopic.evaluate(**usual | changes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"labelled": [], "truth": []}, ValueError, "labelled: there is no text"),
        ({"labelled": [1, 1]}, ValueError, "one is there twice"),
        ({"labelled": [1, 60]}, IndexError, "60 is out of bounds"),
        ({"truth": TRUTH[:3]}, ValueError, "truth: there are 3 labels for 30 texts"),
        ({"by": ["2025"]}, ValueError, "by, group: there are 1 values for 60 texts"),
        ({"by": pd.Series([None] * 60, name="year")}, ValueError, "by, year, row 0: there is no"),
        ({"articles": [1]}, ValueError, "articles: there are 1 values for 60 texts"),
        ({"labelled": [0, 1], "truth": TRUTH[:2]}, UserError, "2 paragraphs drawn at random have"),
        ({"weights": np.zeros(30)}, UserError, "nothing says how these paragraphs were chosen"),
    ],
)
def test_what_is_no_sample_is_refused(
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
