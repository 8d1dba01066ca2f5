"""The dummy, weak sources, the choice of the champion, and what comparison.json says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paratopic.corpus.labelled import Labelled
from paratopic.evaluation.comparison import (
    LEAST_VOTES,
    Comparison,
    Lead,
    choose_champion,
    compare,
    compare_with_sources,
    describe_weak,
    majority_scores,
    unmeasured_comparison,
    with_basis,
)
from paratopic.evaluation.intervals import Estimate
from paratopic.project.params import Compare, Evaluate
from paratopic.project.topics import ModeName, Topics
from tests.reports import compared, prepared, split
from tests.samples import held_out, weak_table

SPLIT = split(messages=["a note"])
METRICS = ("macro_f1", "accuracy", "log_loss", "brier")
TOPICS = Topics("single", ("trade", "security"))


def lead(value: float, p: float) -> Lead:
    return Lead(value, value - 0.1, value + 0.1, p, significant=p <= 0.05)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_the_dummy_scores_shares_of_the_training_part(mode: ModeName) -> None:
    rows = pd.DataFrame({"id": list("abcd"), "topic": [("trade",), ("trade",), ("security",), ()]})
    folds = pd.DataFrame({"id": list("abcd"), "repeat": 0, "fold": [0, 1, 1, 1]})
    folds = folds.assign(group=range(4), duplicates=range(4))
    scores = majority_scores(Labelled(rows, Topics(mode, TOPICS.names), folds))
    first = scores[scores["id"] == "a"].iloc[0]
    assert first[TOPICS.score_columns].tolist() == pytest.approx([1 / 3, 1 / 3])
    others = scores[scores["id"] != "a"]
    np.testing.assert_array_equal(others[TOPICS.score_columns].to_numpy(), [[1.0, 0.0]] * 3)
    assert (scores[TOPICS.threshold_columns] == 0).all(axis=None)


def test_the_dummy_weighs_labels_that_were_drawn_by_group() -> None:
    """20 of 30 labels are from a small group about trade; most of the corpus has no topic."""
    topic = [("trade",)] * 20 + [()] * 10
    rows = pd.DataFrame({"id": [f"{n}" for n in range(30)], "topic": topic, "draw": "paragraph"})
    rows = rows.assign(frame="", weight=[0.1] * 20 + [2.8] * 10)
    folds = rows[["id"]].assign(repeat=0, fold=np.arange(30) % 3, group=range(30))
    data = Labelled(rows, TOPICS, folds.assign(duplicates=range(30)))
    assert data.weights is not None
    assert majority_scores(data)[TOPICS.score_columns[0]].max() < 0.1
    # Chosen labels are measured, too, until a topic is among those drawn at random.
    looked_for = replace(data, rows=rows.assign(draw=["paragraph"] * 20 + [""] * 10))
    assert looked_for.weights is not None
    without_topic = [()] * 20 + [("trade",)] * 10
    assert (
        replace(looked_for, rows=looked_for.rows.assign(topic=pd.Series(without_topic))).weights
        is None
    )


@pytest.mark.parametrize("p", [0.04, 0.6])
@pytest.mark.parametrize(
    ("value", "champion"),
    [(0.1, "transformer"), (0.001, "transformer"), (0.0, "baseline"), (-0.1, "baseline")],
)
def test_the_higher_estimate_is_champion_and_the_simpler_of_equals(
    value: float, p: float, champion: str
) -> None:
    """The significance of the lead does not matter."""
    leads = {"transformer - baseline": lead(value, p)}
    assert choose_champion(["baseline", "transformer"], leads) == champion


def test_each_of_three_models_must_lead_the_best_simpler_one() -> None:
    leads = {"b - a": lead(0.05, 0.5), "c - a": lead(0.06, 0.5), "c - b": lead(0.01, 0.5)}
    assert choose_champion(["a", "b", "c"], leads) == "c"
    leads["c - b"] = lead(-0.01, 0.5)
    assert choose_champion(["a", "b", "c"], leads) == "b"
    assert choose_champion(["a"], {}) == "a"


def test_models_trained_on_definitions_only_decide_the_champion_if_there_are_any() -> None:
    labels, right, wrong = [["trade"], ["security"]] * 40, [0.8, 0.2], [0.2, 0.8]
    data, good = held_out(TOPICS, labels, [right, wrong] * 40, 0.5)
    _, bad = held_out(TOPICS, labels, [right, wrong] * 20 + [wrong, right] * 20, 0.5)
    out_of_fold = {"baseline": good, "transformer": bad}
    by_definitions = {"baseline": bad, "transformer": good}
    arguments = Evaluate(0.95, 100), Compare(4000)

    usual = compare(data, out_of_fold, {}, *arguments, 1)
    assert usual.champion == "baseline"
    assert usual.leads == usual.differences
    assert re.match("the macro-F1.* 0.500 higher than the transformer's.*p < 0.001", usual.reason)

    informed = compare(data, out_of_fold, by_definitions, *arguments, 1)
    assert informed.champion == "transformer"
    # The reported figures are out-of-fold as before.
    assert informed.models == usual.models
    assert informed.differences == usual.differences
    pair = "transformer - baseline"
    assert set(informed.leads) == {pair}
    # Half of each topic's predictions are right, so its F1 is 1/2.
    assert informed.leads[pair].value == pytest.approx(0.5)
    assert informed.differences[pair].value == pytest.approx(-0.5)
    assert re.match("with the definitions and no labels.* 0.500 higher", informed.reason)

    equal = compare(data, {"baseline": good, "transformer": good}, {}, *arguments, 1)
    assert equal.champion == "baseline"
    single = compare(data, {"baseline": good}, {}, *arguments, 1)
    assert single.champion == "baseline"


def test_comparison_json(tmp_path: Path) -> None:
    estimates = {metric: Estimate(0.5, 0.4, 0.6) for metric in METRICS}
    comparison = Comparison(
        mode="single",
        champion="baseline",
        n=20,
        notes=("few labels",),
        models={"dummy": dict.fromkeys(METRICS, Estimate(0.5)), "baseline": estimates},
        differences={"baseline - dummy": lead(0.2, 0.2)},
        leads={"baseline - dummy": lead(0.3, 0.01)},
        reason="no other model was trained",
    )
    report = with_basis(comparison, SPLIT, None)
    assert (report.split_unit, report.n_folds, report.labels) == ("article", 4, "hand")
    assert report.notes == ("a note", "few labels")
    report.save(tmp_path / "comparison.json")
    again = Comparison.load(tmp_path / "comparison.json")
    assert (again.models, again.notes, [*again.leads]) == (
        report.models,
        report.notes,
        [*report.leads],
    )
    # Without measurements the most complex model is the champion.
    comparison = unmeasured_comparison("single", ["baseline", "transformer"])
    assert comparison.champion == "transformer"
    report = with_basis(comparison, SPLIT, None)
    assert (report.n, report.leads) == (0, {})
    assert report.reason.startswith("nothing was measured")


def test_a_source_and_the_model_are_measured_on_the_same_paragraphs() -> None:
    topics, n = Topics("single", ("security", "trade")), 40
    truth = [[topics.names[number % 2]] for number in range(n)]
    data, scores = held_out(topics, truth, [[0.9, 0.1], [0.1, 0.9]] * (n // 2), 0.5)
    # The source is wrong in a quarter of 20 votes; a rule has too few votes to be measured.
    wrong = [["trade"], ["security"]]
    votes = [{"llm-m": wrong[n % 2] if n % 4 == 0 else truth[n]} for n in range(20)]
    votes += [{"rules": truth[n]} for n in range(20, 19 + LEAST_VOTES)]
    data = replace(data, weak=weak_table(data.rows["id"][: len(votes)], votes))
    measured = compare_with_sources(data, scores, Evaluate(0.95, 100), 99, 0)
    assert list(measured) == ["llm-m"]
    pair = measured["llm-m"]
    assert pair.n == 20 and pair.model.value == 1.0
    # 5 of 10 paragraphs about security have a vote for trade: F1 of 2/3 and 0.8.
    assert pair.source.value == np.mean([2 / 3, 0.8])
    assert pair.lead.value == 1 - pair.source.value
    (line,) = describe_weak(prepared(), compared(sources=measured))
    assert "20 paragraphs" in line and "llm-m 0.733" in line and "baseline 1.000" in line
    # With too few labels of a topic there is no interval.
    few = {"llm-m": replace(pair, source=Estimate(pair.source.value))}
    (line,) = describe_weak(prepared(), compared(sources=few))
    assert "llm-m 0.733, baseline 1.000 (" in line
