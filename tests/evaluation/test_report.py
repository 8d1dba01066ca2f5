"""Tables of the report, worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from paratopic.corpus.labelled import Labelled
from paratopic.evaluation.outcomes import Outcomes
from paratopic.evaluation.report import (
    EFFECTS,
    OutOfFold,
    candidate_table,
    reliability_table,
)
from paratopic.inference.calibration import Calibration
from paratopic.inference.modes import mode_of
from paratopic.inference.promise import NEVER, Promise
from paratopic.project.topics import ModeName, Topics, split_cell

NAMES = ("trade", "technology", "security")
PROMISE = Promise(0.9, 0.95)


def folds_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Folds of one repeat, in which two rows that follow each other are a group."""
    groups = np.arange(len(rows)) // 2
    return pd.DataFrame({"id": rows["id"], "group": groups, "repeat": 0, "fold": groups})


@pytest.mark.parametrize(
    ("mode", "confidence", "true", "predicted"),
    [
        ("single", [0.6, 0.9], [True, False], [True, True]),
        (
            "multi",
            [0.6, 0.3, 0.1, 0.05, 0.9, 0.05],
            [True, False, False, False, False, False],
            [True, False, False, False, True, False],
        ),
    ],
)
def test_what_might_be_predicted(
    mode: ModeName, confidence: list[float], true: list[bool], predicted: list[bool]
) -> None:
    rows = pd.DataFrame({"id": ["a", "b"], "topic": [("trade",), ()], "label_source": "hand"})
    topics = Topics(mode, NAMES)
    scores = pd.DataFrame([[0.6, 0.3, 0.1], [0.05, 0.9, 0.05]], columns=topics.scores)
    scores = scores.assign(id=["a", "b"], repeat=0, **dict.fromkeys(topics.thresholds, 0.5))
    candidates = candidate_table(Labelled(rows, topics, folds_of(rows)), scores)
    assert candidates["confidence"].tolist() == confidence
    assert candidates["true"].tolist() == true
    assert candidates["predicted"].tolist() == predicted
    assert candidates["topical"].tolist() == np.repeat([True, False], len(true) // 2).tolist()
    calibration = Calibration(thresholds=(0.5,) * 3)
    out_of_fold = OutOfFold(scores, pd.DataFrame(), calibration, PROMISE)
    (effect,) = EFFECTS[mode](candidates, NAMES, out_of_fold).values()
    if mode == "single":
        assert effect["auroc_topical"] == 0
    else:
        assert effect["topics_a_paragraph"] == pytest.approx(0.5)
        assert effect["named_a_paragraph"] == pytest.approx(1)


def test_abstention_by_hand() -> None:
    # Five of a topic, one of none; the two most probable answers of a topic are right.
    labels = ["trade", "trade", "trade", "security", "security", ""]
    rows = pd.DataFrame(
        {"id": list("abcdef"), "topic": list(map(split_cell, labels)), "label_source": "hand"}
    )
    topics = Topics("single", NAMES)
    columns = [[0.9, 0.05, 0.05], [0.7, 0.1, 0.1], [0.2, 0.6, 0.1], [0.0, 0.0, 0.5]]
    columns += [[0.3, 0.2, 0.4], [0.48, 0.0, 0.0]]
    scores = pd.DataFrame(columns, columns=topics.scores).assign(id=list("abcdef"), repeat=0)
    scores = scores.assign(**dict.fromkeys(topics.thresholds, 1.0))
    candidates = candidate_table(Labelled(rows, topics, folds_of(rows)), scores)
    assert candidates["p_topical"].tolist() == pytest.approx([1, 0.9, 0.9, 0.5, 0.9, 0.48])
    assert candidates["predicted"].tolist() == [True, True, True, True, True, False]
    assert candidates["true"].tolist() == [True, True, False, True, True, False]

    def effect(threshold: float) -> dict[str, Any]:
        out_of_fold = OutOfFold(scores, pd.DataFrame(), Calibration(sure=threshold), PROMISE)
        return EFFECTS["single"](candidates, NAMES, out_of_fold)["abstention"]

    assert effect(0.65) == {
        "auroc_topical": 1,
        "sure": {
            "threshold": 0.65,
            "target": 0.9,
            "coverage": pytest.approx(2 / 6),
            "precision": 1,
            "groups_needed": 44,
            "groups": 3,
        },
    }
    # What is not predicted is not sure, however low the threshold.
    assert effect(0.0)["sure"]["coverage"] == pytest.approx(5 / 6)
    assert effect(NEVER)["sure"] == {
        "threshold": None,
        "target": 0.9,
        "coverage": 0,
        "precision": None,
        "groups_needed": 44,
        "groups": 3,
    }


def test_reliability_counts_one_answer_a_row_in_mode_single() -> None:
    true = np.array([[True, False], [True, False]])
    scores = np.array([[[0.95, 0.05], [0.35, 0.65]]])
    mode = mode_of("single")
    table = reliability_table(Outcomes(mode, true, np.arange(2), scores, mode.candidates(scores)))
    assert table["confidence"].tolist() == [0.65, 0.95]
    assert table["accuracy"].tolist() == [0, 1] and table["n"].tolist() == [1, 1]
