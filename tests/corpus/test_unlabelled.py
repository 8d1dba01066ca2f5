"""Which fold holds out which paragraph without a label."""

from __future__ import annotations

import pandas as pd
import pytest

from paratopic.corpus.folds import ALWAYS_TRAIN, Folds, deal_unlabelled, make_folds
from paratopic.corpus.labelled import labelled_rows
from paratopic.project.topics import Topics
from tests.samples import paragraph_table

TOPICS = Topics("single", ("trade", "security"))
N_ARTICLES = 8


def table() -> pd.DataFrame:
    """Eight articles of three labelled paragraphs and three others; 40 articles without labels."""
    labelled = [f"a{n // 6}" for n in range(6 * N_ARTICLES)]
    articles = [*labelled, *(f"b{n}" for n in range(40))]
    is_labelled = [n < len(labelled) and n % 6 < 3 for n in range(len(articles))]
    frame = paragraph_table(
        text=[f"Word{n} stands for{n} nothing{n} at{n} all{n}." for n in range(len(articles))],
        article=articles,
        label=[[TOPICS.names[n % 2]] if known else None for n, known in enumerate(is_labelled)],
        label_source=["hand" if known else "none" for known in is_labelled],
    )
    return frame


def dealt(frame: pd.DataFrame, n_folds: int = 4) -> tuple[pd.DataFrame, Folds]:
    rows = labelled_rows(frame, TOPICS)
    folds = make_folds(rows, n_folds, 2, None, 0)
    return deal_unlabelled(frame, rows, folds, 0), folds


def test_a_paragraph_is_held_out_with_its_article_and_others_in_proportion() -> None:
    frame = table()
    others, folds = dealt(frame)
    assert sorted(others["id"].unique()) == frame["id"][frame["label_source"] == "none"].tolist()
    own = folds.table.merge(frame[["id", "article"]], on="id")
    fold_of = own.groupby(["repeat", "article"])["fold"].first()
    for repeat, part in others.groupby("repeat"):
        beside = part[part["article"].str.startswith("a")]
        assert (beside["fold"] == fold_of[repeat].loc[beside["article"]].to_numpy()).all()
        alone = part[part["article"].str.startswith("b")]
        assert alone["fold"].value_counts().tolist() == [10] * 4
    first, second = (part["fold"].tolist() for _, part in others.groupby("repeat"))
    assert first != second
    pd.testing.assert_frame_equal(others, dealt(frame)[0])


def test_a_near_copy_of_a_labelled_paragraph_is_held_out_with_it() -> None:
    frame = table()
    frame.loc[60, "text"] = frame["text"][0].upper()
    others, folds = dealt(frame)
    copy = others[others["id"] == frame["id"][60]]
    assert set(copy["copy_of"]) == {frame["id"][0]}
    own = folds.table[folds.table["id"] == frame["id"][0]]
    assert copy["fold"].tolist() == own["fold"].tolist()
    assert (others["copy_of"] == "").sum() == len(others) - len(copy)


def test_boilerplate_and_copies_are_left_out_and_many_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = table()
    frame.loc[50, "boilerplate"] = True
    frame.loc[51, "text"] = frame["text"][52]
    frame.loc[53, "text"] = frame["text"][0]  # is labelled
    ids = set(dealt(frame)[0]["id"])
    assert not ids & {*frame["id"][[50, 52, 53]]} and frame["id"][51] in ids
    monkeypatch.setattr("paratopic.corpus.folds.MOST_TEXTS", 10)
    few = dealt(frame)[0]
    assert few["id"].nunique() == 10 and len(few) == 20
    assert set(few["id"]) < ids


def test_articles_that_no_fold_holds_out_are_said() -> None:
    frame = table()
    # A topic in one article alone cannot be held out.
    trade = [None if names is None else ["trade"] for names in frame["label"]]
    frame["label"] = pd.Series(trade, dtype=object)
    frame.loc[[0, 1, 2], "label"] = pd.Series([["law"]] * 3, [0, 1, 2])
    frame.loc[[6, 12, 18], "label"] = pd.Series([["security"]] * 3, [6, 12, 18])
    topics = Topics("single", ("trade", "security", "law"))
    frame.loc[3, "label_source"] = "weak"  # in the same article, so in no fold either
    frame.loc[3:3, "label"] = pd.Series([["trade"]], [3])
    rows = labelled_rows(frame, topics)
    others = deal_unlabelled(frame, rows, make_folds(rows, 4, 1, None, 0), 0)
    assert frame["id"][3] in set(others["id"])
    assert set(others["article"][others["fold"] == ALWAYS_TRAIN]) == {"a0"}


def test_nothing_is_dealt_where_articles_are_divided_or_one_share_is_held_out() -> None:
    frame = table()
    rows = labelled_rows(frame, TOPICS)
    assert deal_unlabelled(frame, rows, make_folds(rows, 4, 1, 0.25, 0), 0).empty
    one = frame.assign(article="a")
    rows = labelled_rows(one, TOPICS)
    assert deal_unlabelled(one, rows, make_folds(rows, 4, 1, None, 0), 0).empty
