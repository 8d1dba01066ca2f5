"""Weak answers in the paragraph table: what is learnt from them, and where they change nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paratopic.corpus.answers import WEAK
from paratopic.corpus.folds import make_folds
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import labelled_rows
from paratopic.labels.summary import describe_sources
from paratopic.labels.weak import gain_of_labels, learn_sources, teach
from paratopic.project.topics import ModeName, Topics
from paratopic.training.examples import examples_of
from tests.samples import paragraph_table

NAMES = ("trade", "security")
N = 60


def table(mode: ModeName = "single") -> tuple[pd.DataFrame, Topics]:
    """Half of the rows have a hand label; a source is wrong in every fifth answer."""
    topics = [[NAMES[number % 2]] for number in range(N)]
    given = [topics[number if number % 5 else number - 1] for number in range(N)]
    frame = paragraph_table(
        article=[f"a{number}" for number in range(N)],
        text=[f"word{number} is {number} of its own" for number in range(N)],
        topics=topics,
        label_source=["hand" if number < N // 2 else "weak" for number in range(N)],
    )
    answer = {"source": "llm", "certainty": None}
    cells = [[answer | {"topics": each}] for each in given]
    column = pd.Series(cells, frame.index, dtype=object)
    return frame.assign(**{WEAK: column}), Topics(mode, NAMES)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_sources_are_compared_with_hand_labels_by_topic(mode: ModeName) -> None:
    frame, topics = table(mode)
    worth = learn_sources(frame, topics).table()
    assert worth["topic"].tolist() == list(NAMES)
    assert (worth["compared"].sum(), worth["right"].sum()) == (30, 24)
    assert worth["trust"].between(0.7, 0.85).all() and worth["counts"].all()
    lesson = teach(frame, learn_sources(frame, topics))
    assert lesson.targets.tolist() == [
        [name in cell[0]["topics"] for name in NAMES] for cell in frame[WEAK]
    ]
    line = describe_sources(worth.to_dict("records"))[0]
    assert line.startswith("llm: trade right in 12 of 15 (0.7")


def test_a_label_tells_most_where_sources_disagree_or_are_little_known() -> None:
    frame, topics = table()
    cells = list(frame[WEAK])
    cells[0] = [*cells[0], {"source": "rules", "topics": ["trade"], "certainty": None}]
    cells[1] = None
    cells[2] = [{"source": "rules", "topics": ["trade"], "certainty": None}]
    gains, disputed = gain_of_labels(
        frame.assign(**{WEAK: pd.Series(cells, frame.index, dtype=object)}), topics
    )
    assert disputed.tolist() == [True] + [False] * (N - 1)
    # The rule for trade has been compared once, the language model many times.
    assert gains[0] == 1 > gains[2] > gains[3] > gains[1] == 0


def test_hand_labels_that_are_held_out_teach_no_trust() -> None:
    frame, topics = table()
    rows = labelled_rows(frame, topics)
    data = Labelled(rows, topics, make_folds(rows, 5, 1, None, 0).table)
    part = np.flatnonzero(np.arange(N) % 3 > 0)

    def soft_of(frame: pd.DataFrame) -> object:
        rows = labelled_rows(frame, topics)
        examples = examples_of(Labelled(rows, topics, data.folds), part, list("x" * len(part)), ())
        assert examples.soft is not None
        return examples.soft.ratio.tolist()

    others = frame.copy()
    held_out = set(rows["id"]) - set(rows["id"].iloc[part])
    is_held_out = others["id"].isin(held_out) & (others["label_source"] == "hand")
    others.loc[is_held_out, "topics"] = pd.Series([["security"]] * N, others.index)[is_held_out]
    assert soft_of(others) == soft_of(frame)


def test_where_all_labels_are_by_hand_weak_answers_change_nothing() -> None:
    frame, topics = table()
    frame = frame[frame["label_source"] == "hand"].reset_index(drop=True)
    examples = []
    for each in (frame, frame.drop(columns=WEAK)):
        rows = labelled_rows(each, topics)
        data = Labelled(rows, topics, make_folds(rows, 5, 1, None, 0).table)
        examples.append(examples_of(data, slice(None), data.passages, ()))
    one, other = examples
    assert one.soft is None and other.soft is None
    assert (one.targets == other.targets).all() and (one.trust == other.trust).all()  # type: ignore[union-attr]  # set above


def test_weak_answers_change_no_fold_of_hand_labels() -> None:
    frame, topics = table()
    every = make_folds(labelled_rows(frame, topics), 5, 2, None, 0)
    by_hand = frame[frame["label_source"] == "hand"]
    alone = make_folds(labelled_rows(by_hand, topics), 5, 2, None, 0)
    assert (every.split_unit, every.n_folds) == (alone.split_unit, alone.n_folds)
    both = alone.table.merge(every.table, on=["id", "repeat"])
    assert (both["fold_x"] == both["fold_y"]).all()
    weak = every.table[~every.table["id"].isin(by_hand["id"])]
    assert set(weak["fold"]) == set(range(5))
