"""What folds guarantee, and the messages about them."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.corpus.folds import ALWAYS_TRAIN, TooFewLabels, iterate_folds, make_folds


def frame(topics: list[str], articles: list[str] | None = None) -> pd.DataFrame:
    n = len(topics)
    return pd.DataFrame(
        {
            "id": [f"p{i:03}" for i in range(n)],
            "article": articles or [f"a{i}" for i in range(n)],
            "text": [f"word{i} is {i} and only {i} of its own" for i in range(n)],
            "topic": topics,
        }
    )


LABELLED = st.lists(
    st.tuples(st.sampled_from(["x", "y", "z", ""]), st.integers(0, 8)), min_size=4, max_size=40
)


@settings(deadline=None, max_examples=60)
@given(LABELLED, st.integers(2, 5), st.integers(1, 3), st.integers(0, 1000))
def test_every_paragraph_is_held_out_once_and_no_group_is_divided(
    items: list[tuple[str, int]], n_folds: int, repeats: int, seed: int
) -> None:
    rows = frame([topic for topic, _ in items], [f"a{number}" for _, number in items])
    present = set(rows["topic"]) - {""}
    if len(present) < 2 or len(present) == (rows["topic"] != "").sum():
        with pytest.raises(TooFewLabels):
            make_folds(rows, n_folds, repeats, None, seed)
        return
    folds = make_folds(rows, n_folds, repeats, None, seed)
    table = folds.table
    assert 2 <= folds.n_folds <= n_folds
    # Every paragraph is held out exactly once a repeat, whatever its topic.
    assert (table.groupby(["id", "repeat"]).size() == 1).all()
    assert len(table) == len(rows) * repeats
    assert table["fold"].between(0, folds.n_folds - 1).all()
    # A group is never divided, and it holds whole articles where the split is by article.
    units = table.merge(rows, on="id")
    key = ["article"] if folds.split_unit == "article" else ["group"]
    assert (units.groupby([*key, "repeat"])["fold"].nunique() == 1).all()
    # Messages tell of fewer folds and of topics that some training part lacks.
    if folds.n_folds < n_folds:
        assert any("folds" in message for message in folds.messages)
    lacking = {
        topic
        for _, _, train, _ in iterate_folds(table, list(rows["id"]))
        for topic in set(rows["topic"]) - {""} - set(rows["topic"].iloc[train])
    }
    assert all(any(topic in message for message in folds.messages) for topic in lacking)
    # The order of the rows does not matter.
    again = make_folds(rows.sample(frac=1, random_state=seed), n_folds, repeats, None, seed)
    pd.testing.assert_frame_equal(again.table, table)


def test_one_article_is_split_by_paragraph() -> None:
    folds = make_folds(frame(["x", "y"] * 6, ["a"] * 12), 3, 1, None, 0)
    assert folds.split_unit == "paragraph"
    assert folds.messages == ("one article: expect lower figures on new articles",)


def test_a_topic_in_one_article_only_splits_by_paragraph_and_is_named() -> None:
    rows = frame(["x", "y", "x", "y", "x", "x"], ["a", "a", "b", "a", "c", "d"])
    folds = make_folds(rows, 2, 1, None, 0)
    assert folds.split_unit == "paragraph"
    assert "topic y is in one article only" in folds.messages[0]


def test_a_rare_topic_reduces_the_folds_and_is_named() -> None:
    folds = make_folds(frame(["x"] * 10 + ["y"] * 4), 6, 1, None, 0)
    assert folds.n_folds == 4
    assert folds.messages == ("topic y has 4 articles, fewer than the 6 folds: 4 folds",)
    # Not below four while another topic has as many: training parts stay big.
    assert make_folds(frame(["x"] * 10 + ["y"] * 2), 5, 1, None, 0).n_folds == 4
    assert make_folds(frame(["x"] * 3 + ["y"] * 2), 5, 1, None, 0).n_folds == 3


def test_a_topic_that_some_training_part_lacks_is_named() -> None:
    folds = make_folds(frame(["x"] * 5 + ["y"] * 5 + ["z"]), 5, 1, None, 0)
    assert folds.n_folds == 4
    assert any("z: in some folds every example" in message for message in folds.messages)


def test_a_holdout_is_one_share_held_out_once() -> None:
    folds = make_folds(frame(["x", "y"] * 50), 5, 3, 0.2, 0)
    assert (folds.n_folds, folds.n_repeats) == (1, 1)
    assert (folds.table["fold"] == 0).sum() == 20
    assert (folds.table["fold"] == ALWAYS_TRAIN).sum() == 80
    walk = list(iterate_folds(folds.table, list(folds.table["id"])))
    assert [(repeat, fold, len(train), len(test)) for repeat, fold, train, test in walk] == [
        (0, 0, 80, 20)
    ]


def test_topics_are_spread_over_folds() -> None:
    rows = frame(["x"] * 20 + ["y"] * 10 + ["z"] * 5)
    folds = make_folds(rows, 5, 2, None, 3).table.merge(rows, on="id")
    counts = folds.groupby(["repeat", "fold", "topic"]).size().unstack()
    assert (counts == [4, 2, 1]).all(axis=None)


def test_repeats_and_seeds_deal_differently() -> None:
    rows = frame(["x", "y"] * 20)
    table = make_folds(rows, 5, 2, None, 0).table
    one, other = (part["fold"].tolist() for _, part in table.groupby("repeat"))
    assert one != other
    assert make_folds(rows, 5, 2, None, 9).table["fold"].tolist() != table["fold"].tolist()


def test_near_duplicates_stay_together_across_articles() -> None:
    rows = frame(["x", "y"] * 10)
    rows.loc[7, "text"] = f"{rows['text'][0]}!"
    table = make_folds(rows, 5, 5, None, 0).table
    pair = table[table["id"].isin(["p000", "p007"])]
    assert (pair.groupby("repeat")["fold"].nunique() == 1).all()


@pytest.mark.parametrize(
    ("topics", "message"),
    [(["", ""], "no labelled"), (["x", ""], "only one"), (["x", "y"], "two paragraphs")],
)
def test_too_few_labels_are_refused(topics: list[str], message: str) -> None:
    with pytest.raises(TooFewLabels, match=message):
        make_folds(frame(topics), 5, 1, None, 0)
