"""Weak sources beside a model, on the paragraphs that both answered."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paratopic.corpus.folds import make_folds
from paratopic.corpus.labelled import Labelled, labelled_rows
from paratopic.evaluation.sources import LEAST, beside_model
from paratopic.labels.summary import describe_beside
from paratopic.project.params import Evaluate
from paratopic.project.topics import Topics
from tests.samples import paragraph_table, weak_table

TOPICS = Topics("single", ("security", "trade"))
N = 40


def test_a_source_and_the_model_are_measured_on_the_same_paragraphs() -> None:
    truth = [[TOPICS.names[number % 2]] for number in range(N)]
    frame = paragraph_table(
        article=[f"a{number}" for number in range(N)],
        text=[f"word{number} is {number} of its own" for number in range(N)],
        topics=truth,
        label_source=["hand"] * N,
    )
    # The source is wrong in a quarter of 20 answers; a rule answered for too few to be measured.
    wrong = [["trade"], ["security"]]
    given = [{"llm-m": wrong[n % 2] if n % 4 == 0 else truth[n]} for n in range(20)]
    given += [{"rules": truth[n]} for n in range(20, 19 + LEAST)]
    answers = weak_table(frame["id"][: len(given)], given)
    rows = labelled_rows(frame, TOPICS)
    data = Labelled(rows, TOPICS, make_folds(rows, 5, 2, None, 0).table, answers=answers)
    has = np.array([name == TOPICS.names[1] for (name,) in truth], dtype=np.float64)
    scores = pd.DataFrame({"id": frame["id"], "fold": 0} | dict.fromkeys(TOPICS.thresholds, 0.5))
    scores = scores.assign(
        **dict(zip(TOPICS.scores, (0.9 - 0.8 * has, 0.1 + 0.8 * has), strict=True))
    )
    scores = pd.concat([scores.assign(repeat=repeat) for repeat in (0, 1)])
    measured = beside_model(data, scores, Evaluate(0.95, 100), 99, 0)
    assert list(measured) == ["llm-m"]
    beside = measured["llm-m"]
    assert beside.n == 20 and beside.model.value == 1.0
    # Of security 5 of 10 are answered as trade: F1 of 2/3 and 0.8.
    assert beside.source.value == np.mean([2 / 3, 0.8])
    assert beside.lead.value == 1 - beside.source.value
    (line,) = describe_beside(
        {"llm-m": beside.as_json()}, "baseline", {"llm-m": {"seconds": 812.3, "cost": 0.214}}
    )
    assert line.startswith(
        "macro-F1 on the 20 paragraphs that llm-m and people answered: llm-m 0.733"
    )
    assert "baseline 1.000" in line
    assert line.endswith("; 1,000 answers of llm-m take 812 s and cost 0.21")
