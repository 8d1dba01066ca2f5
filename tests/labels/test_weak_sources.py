"""Answers of weak sources: what is learnt from them, and where they change nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paratopic.corpus.folds import make_folds
from paratopic.corpus.labelled import Labelled, labelled_rows
from paratopic.labels.summary import describe_sources
from paratopic.labels.weak import gain_of_labels, learn_sources, teach
from paratopic.project.topics import ModeName, Topics
from paratopic.training.crossval import examples_of
from tests.samples import paragraph_table, weak_answers

NAMES = ("trade", "security")
N = 60


def table(mode: ModeName = "single") -> tuple[pd.DataFrame, pd.DataFrame, Topics]:
    """Half of the rows have a hand label; a source is wrong in every fifth answer."""
    topics = [[NAMES[number % 2]] for number in range(N)]
    frame = paragraph_table(
        article=[f"a{number}" for number in range(N)],
        text=[f"word{number} is {number} of its own" for number in range(N)],
        topics=topics,
        label_source=["hand" if number < N // 2 else "weak" for number in range(N)],
    )
    given = [{"llm": topics[number if number % 5 else number - 1]} for number in range(N)]
    return frame, weak_answers(frame["id"], given), Topics(mode, NAMES)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_sources_are_compared_with_hand_labels_by_topic(mode: ModeName) -> None:
    frame, answers, topics = table(mode)
    sources = learn_sources(frame, answers, topics)
    worth = sources.table()
    assert worth["topic"].tolist() == list(NAMES)
    assert (worth["compared"].sum(), worth["right"].sum()) == (30, 24)
    assert worth["trust"].between(0.7, 0.85).all() and worth["counts"].all()
    lesson = teach(frame, answers, sources)
    assert lesson.targets.tolist() == [
        [name in each for name in NAMES] for each in answers["topics"]
    ]
    line = describe_sources(worth.to_dict("records"))[0]
    assert line.startswith("llm: trade right in 12 of 15 (0.7")


def test_a_label_tells_most_where_sources_disagree_or_are_little_known() -> None:
    frame, answers, topics = table()
    of_rule = weak_answers(["000", "002"], [{"rules": ["trade"]}] * 2)
    others = answers[~answers["paragraph"].isin(["001", "002"])]
    gains, disputed = gain_of_labels(frame, pd.concat([others, of_rule]), topics)
    assert disputed.tolist() == [True] + [False] * (N - 1)
    # The rule for trade has been compared once, the language model many times.
    assert gains[0] == 1 > gains[2] > gains[3] > gains[1] == 0


def test_hand_labels_that_are_held_out_teach_no_trust() -> None:
    frame, answers, topics = table()
    part = np.flatnonzero(np.arange(N) % 3 > 0)
    folds = make_folds(labelled_rows(frame, topics), 5, 1, None, 0).table

    def soft_of(frame: pd.DataFrame) -> object:
        data = Labelled(labelled_rows(frame, topics), topics, folds, answers=answers)
        examples = examples_of(data, part, list("x" * len(part)), ())
        assert examples.soft is not None
        return examples.soft.ratio.tolist()

    is_held_out = (np.arange(N) % 3 == 0) & (frame["label_source"] == "hand")
    others = frame["topics"].where(~is_held_out, pd.Series([["security"]] * N))
    assert soft_of(frame.assign(topics=others)) == soft_of(frame)


def test_where_all_labels_are_by_hand_weak_answers_change_nothing() -> None:
    frame, answers, topics = table()
    rows = labelled_rows(frame[frame["label_source"] == "hand"], topics)
    folds = make_folds(rows, 5, 1, None, 0).table
    one, other = (
        examples_of(data, slice(None), data.passages, ())
        for data in (Labelled(rows, topics, folds), Labelled(rows, topics, folds, answers=answers))
    )
    assert one.soft is None and other.soft is None and one.trust is None and other.trust is None
    assert (one.targets == other.targets).all()


def test_weak_answers_change_no_fold_of_hand_labels() -> None:
    frame, _, topics = table()
    every = make_folds(labelled_rows(frame, topics), 5, 2, None, 0)
    by_hand = frame[frame["label_source"] == "hand"]
    alone = make_folds(labelled_rows(by_hand, topics), 5, 2, None, 0)
    assert (every.split_unit, every.n_folds) == (alone.split_unit, alone.n_folds)
    both = alone.table.merge(every.table, on=["id", "repeat"])
    assert (both["fold_x"] == both["fold_y"]).all()
    weak = every.table[~every.table["id"].isin(by_hand["id"])]
    assert set(weak["fold"]) == set(range(5))
