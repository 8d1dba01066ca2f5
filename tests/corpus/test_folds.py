"""Guarantees of folds, the messages about them, and the folds of paragraphs without a label."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.corpus.folds import (
    ALWAYS_TRAIN,
    Folds,
    TooFewLabels,
    deal,
    deal_unlabelled,
    iterate_folds,
    make_folds,
)
from paratopic.corpus.labelled import labelled_rows
from paratopic.project.topics import Topics, split_cell
from tests.samples import paragraph_table

RECURRING = "Reporting by the agency, with additional material of its partners"


def frame(
    topics: list[str], articles: list[str] | None = None, texts: list[int] | None = None
) -> pd.DataFrame:
    """Paragraphs with one article and one text each, unless these are given."""
    n = len(topics)
    return pd.DataFrame(
        {
            "id": [f"p{i:04}" for i in range(n)],
            "article": articles or [f"a{i}" for i in range(n)],
            "text": [f"word{i} is {i} and only {i} of its own" for i in texts or range(n)],
            "topic": list(map(split_cell, topics)),
        }
    )


def thirty_articles() -> pd.DataFrame:
    """Three paragraphs of 30 articles each, one of each of three topics."""
    return frame(["x", "y", "z"] * 30, [f"a{i // 3}" for i in range(90)])


def dealt(rows: pd.DataFrame, n_folds: int = 5, holdout: float | None = None) -> Folds:
    return make_folds(rows, n_folds, 1, holdout, 0)


def tables(*cells: str) -> st.SearchStrategy[list[tuple[str, int, int]]]:
    row = st.tuples(st.sampled_from(cells), st.integers(0, 8), st.integers(0, 60))
    return st.lists(row, min_size=4, max_size=40)


TABLES = tables("x", "y", "z", "") | tables("x", "y", "z", "", "x;y", "y;z")


def table_of(items: list[tuple[str, int, int]]) -> pd.DataFrame:
    topics, articles, texts = zip(*items, strict=True)
    return frame(list(topics), [f"a{number}" for number in articles], list(texts))


@settings(max_examples=50)
@given(TABLES, st.integers(2, 5), st.integers(1, 3), st.integers(0, 1000))
def test_guarantees_of_folds(
    items: list[tuple[str, int, int]], n_folds: int, repeats: int, seed: int
) -> None:
    rows = table_of(items)
    topics = rows["topic"].map(set)
    texts = rows.assign(topics=topics).explode("topics").groupby("topics")["text"].nunique()
    if (texts >= 2).sum() < 2:
        with pytest.raises(TooFewLabels):
            make_folds(rows, n_folds, repeats, None, seed)
        return
    folds = make_folds(rows, n_folds, repeats, None, seed)
    table = folds.table
    assert 2 <= folds.n_folds <= n_folds
    # Neither a set of near-duplicates nor an article of a split by article is divided.
    first = table[table["repeat"] == 0].merge(rows, on="id")
    assert first.groupby("text")["duplicates"].nunique().max() == 1
    unit = "article" if folds.split_unit == "article" else "text"
    assert first.groupby(unit)["group"].nunique().max() == 1
    # Each paragraph is held out once a repeat, unless all of its topics are in one unit.
    names = topics_in_one_unit(first.assign(topics=topics))
    always_trains = topics.map(lambda labels: bool(labels) and labels <= names)
    assert (table["fold"] == ALWAYS_TRAIN).tolist() == always_trains.tolist() * repeats
    assert table["fold"].max() < folds.n_folds
    assert names == {*topics.explode().dropna()} & named_as_not_measurable(folds)
    parts = [part for *_, part in iterate_folds(table, list(rows["id"]))]
    assert sum(map(len, parts)) == (~always_trains).sum() * repeats
    check_training_parts(folds, first, topics)
    if folds.n_folds < n_folds:
        assert f"{folds.n_folds} folds instead of {n_folds}" in " ".join(folds.messages)


def check_training_parts(folds: Folds, rows: pd.DataFrame, topics: pd.Series) -> None:
    """Training parts lack no other rows than near ones, and messages name the topics they lack."""
    messages = " ".join(folds.messages)
    for _, _, train, held_out in iterate_folds(folds.table, list(rows["id"])):
        assert train.tolist() == distant_rows(rows, held_out).tolist()
        assert topics[train].map(bool).any()
        lacking = set().union(*topics[held_out]) - set().union(*topics[train])
        assert all(name in messages for name in lacking)


def topics_in_one_unit(rows: pd.DataFrame) -> set[str]:
    """Topics in fewer than two groups or fewer than two sets of near-duplicates."""
    counts = rows.explode("topics").groupby("topics")[["group", "duplicates"]].nunique()
    return set(counts.index[counts.min(axis=1) < 2])


def named_as_not_measurable(folds: Folds) -> set[str]:
    """All words of the messages on topics that cannot be measured."""
    messages = [message for message in folds.messages if message.endswith("be measured yet")]
    return set(" ".join(messages).replace(",", "").split())


def distant_rows(rows: pd.DataFrame, held_out: np.ndarray) -> np.ndarray:
    """Positions of rows that share neither group nor near-duplicates with a held-out row."""
    is_near = np.zeros(len(rows), dtype=bool)
    for name in ("group", "duplicates"):
        numbers = rows[name].to_numpy()
        is_near |= np.isin(numbers, numbers[held_out])
    return np.flatnonzero(~is_near)


@given(TABLES, st.permutations(["c", "a", "b"]), st.integers(0, 1000))
def test_the_order_of_rows_and_the_names_of_topics_do_not_matter(
    items: list[tuple[str, int, int]], names: list[str], seed: int
) -> None:
    rows = table_of(items)
    try:
        table = make_folds(rows, 5, 1, None, seed).table
    except TooFewLabels:
        return
    again = make_folds(rows.sample(frac=1, random_state=seed), 5, 1, None, seed)
    pd.testing.assert_frame_equal(again.table, table)
    new = dict(zip("xyz", names, strict=True))
    topic = rows["topic"].map(lambda label: tuple(new[name] for name in label))
    renamed = make_folds(rows.assign(topic=topic), 5, 1, None, seed)
    pd.testing.assert_frame_equal(renamed.table, table)


def test_a_topic_in_one_article_always_trains_and_changes_no_fold_of_other_topics() -> None:
    few = frame(["w", "w"], ["a3", "a3"]).assign(id=["q0", "q1"], text=["one of w", "two of w"])
    rows = pd.concat([thirty_articles(), few], ignore_index=True)
    folds = dealt(rows)
    assert (folds.split_unit, folds.n_folds) == ("article", 5)
    (message,) = folds.messages
    assert message.startswith("topic w is in only one article")
    fold = folds.table.set_index("id")["fold"]
    assert (fold[["q0", "q1"]] == ALWAYS_TRAIN).all()
    two = few.assign(topic=frame(["w", "v"])["topic"])
    two_folds = dealt(pd.concat([thirty_articles(), two], ignore_index=True))
    assert two_folds.messages[0].startswith("topics v, w are in only one article each")
    assert fold.drop(["q0", "q1"]).tolist() == dealt(thirty_articles()).table["fold"].tolist()
    # They are left out of the training part only if their article is held out.
    parts = iterate_folds(folds.table, list(rows["id"]))
    trained = [{90, 91} <= set(train) for *_, train, _ in parts]
    assert sorted(trained) == [False, True, True, True, True]


def test_a_sentence_that_recurs_in_all_articles_does_not_put_them_in_one_group() -> None:
    rows = frame(["x", "y", "z", "x"] * 30, [f"a{i // 4}" for i in range(120)])
    recurs = rows.index % 4 == 3
    rows.loc[recurs, "text"] = RECURRING
    folds = dealt(rows)
    assert (folds.split_unit, folds.n_folds, folds.messages) == ("article", 5, ())
    assert folds.table["group"].nunique() == 30
    for *_, train, held_out in iterate_folds(folds.table, list(rows["id"])):
        assert recurs[held_out].any() and not recurs[train].any()
        assert len(train) == 3 * 24


def test_copies_of_an_article_are_one_group() -> None:
    texts = [*range(30), 0, 1, 99]  # of three paragraphs, two are those of article a0
    rows = frame(["x", "y", "z"] * 11, [f"a{i // 3}" for i in range(33)], texts)
    group = dealt(rows).table["group"]
    assert set(group[30:]) == set(group[:3])
    assert group.nunique() == 10


@pytest.mark.parametrize(
    ("articles", "topics", "message"),
    [
        ("a" * 12, "xy" * 6, "one article"),
        ("aabbcc", "xyxyxy", "3 distinct articles .* needs 4"),
        ("aaaabcd", "xyxy   ", "1 distinct article .* needs 4"),
        ("abcdd", "xxxyy", "fewer than two topics"),
    ],
)
def test_too_few_articles_are_split_by_paragraph(articles: str, topics: str, message: str) -> None:
    folds = dealt(frame([topic.strip() for topic in topics], list(articles)), 2)
    assert folds.split_unit == "paragraph"
    (note,) = folds.messages
    assert re.search(f"{message}.* split by paragraph", note)


def test_a_rare_topic_reduces_the_folds_and_is_named() -> None:
    folds = dealt(frame(["x"] * 10 + ["y"] * 4), 6)
    assert folds.n_folds == 4
    assert re.search("topic y .* 4 articles, so 4 folds instead of 6", folds.messages[0])
    # The number is at least four if another topic has as many groups.
    assert dealt(frame(["x"] * 10 + ["y"] * 2)).n_folds == 4
    assert dealt(frame(["x"] * 3 + ["y"] * 2)).n_folds == 3
    # A topic that is not measurable reduces nothing.
    assert dealt(frame(["x"] * 10 + ["y"] * 6 + ["z"])).n_folds == 5


@pytest.mark.parametrize(
    ("holdout", "n"), [(0.2, 40), (0.3, 60), (0.4, 80), (0.45, 90), (0.5, 100), (0.04, 8)]
)
def test_a_holdout_is_the_share_that_was_asked_for(holdout: float, n: int) -> None:
    folds = make_folds(frame(["x", "y"] * 100), 5, 3, holdout, 0)
    assert (folds.n_folds, folds.n_repeats, folds.messages) == (1, 1, ())
    assert folds.table["fold"].value_counts().to_dict() == {0: n, ALWAYS_TRAIN: 200 - n}
    ((repeat, fold, train, test),) = iterate_folds(folds.table, list(folds.table["id"]))
    assert (repeat, fold, len(train), len(test)) == (0, 0, 200 - n, n)


@pytest.mark.parametrize(
    ("holdout", "n_rare", "share"), [(0.42, 5, "0.40"), (0.2, 3, "0.25"), (0.05, 10, "0.10")]
)
def test_a_rare_topic_makes_the_share_coarser(holdout: float, n_rare: int, share: str) -> None:
    folds = dealt(frame(["x"] * (200 - n_rare) + ["y"] * n_rare), holdout=holdout)
    held_out = f"{float(share):.0%} of all are held out instead of {holdout:.0%}"
    assert re.search(f"topic y .* {n_rare} articles, .*{held_out}", folds.messages[0])
    assert (folds.table["fold"] == 0).mean() == pytest.approx(float(share), abs=0.01)


def test_a_holdout_of_undivided_articles_comes_near_to_the_share() -> None:
    # If 30 articles are dealt to 20 folds, some are twice as big as others.
    table = dealt(thirty_articles(), holdout=0.45).table
    assert (table["fold"] == 0).sum() in (3 * 13, 3 * 14)
    # Paragraphs that are always in the training part are not counted.
    rows = frame(["x", "y"] * 50 + [f"t{number}" for number in range(40)])
    assert (dealt(rows, holdout=0.4).table["fold"] == 0).sum() == 40


@given(TABLES, st.floats(0.001, 0.5), st.integers(0, 99))
def test_any_holdout_holds_some_out_and_trains_some(
    items: list[tuple[str, int, int]], holdout: float, seed: int
) -> None:
    rows = table_of(items)
    try:
        table = make_folds(rows, 5, 1, holdout, seed).table
    except TooFewLabels:
        return
    ((*_, train, held_out),) = iterate_folds(table, list(table["id"]))
    assert len(train) and len(held_out)
    only_trains = make_folds(rows, 5, 1, None, seed).table["fold"] == ALWAYS_TRAIN
    assert (table["fold"][only_trains] == ALWAYS_TRAIN).all()


def test_topics_are_spread_over_folds() -> None:
    rows = frame(["x"] * 20 + ["y"] * 10 + ["z"] * 5)
    folds = make_folds(rows, 5, 2, None, 3).table.merge(rows, on="id")
    counts = folds.groupby(["repeat", "fold", "topic"]).size().unstack()
    assert (counts == [4, 2, 1]).all(axis=None)


def test_repeats_and_seeds_deal_differently() -> None:
    rows = frame(["x", "y"] * 20)
    table = make_folds(rows, 5, 2, None, 0).table
    assert len({tuple(part["fold"]) for _, part in table.groupby("repeat")}) == 2
    other_seeds = [make_folds(rows, 5, 3, None, seed).table for seed in (1, 2)]
    deals = [tuple(part["fold"]) for table in other_seeds for _, part in table.groupby("repeat")]
    assert len(set(deals)) == 6


def test_too_few_labels_are_refused() -> None:
    for topics, message in (
        (["", ""], "no labelled paragraph"),
        (["x", ""], "only one"),
        (["x", "y"], "two distinct paragraphs"),
        (["x", "x", "y"], "two distinct paragraphs"),
    ):
        with pytest.raises(TooFewLabels, match=message):
            dealt(frame(topics))


def test_several_topics_are_spread_over_the_folds() -> None:
    # Rare topics are dealt first, so that each fold gets its share of them (Sechidis et al. 2011).
    rng = np.random.default_rng(0)
    targets = rng.random((400, 4)) < [0.4, 0.2, 0.05, 0.025]
    fold = deal(targets, np.arange(400), 5, 0)
    per_fold = np.array([targets[fold == n].sum(axis=0) for n in range(5)])
    assert (np.ptp(per_fold, axis=0) <= 2).all()
    assert np.ptp(np.bincount(fold)) <= 3


TOPICS = Topics("single", ("trade", "security"))
N_ARTICLES = 8


def with_others() -> pd.DataFrame:
    """Eight articles of three labelled paragraphs and three others; 40 articles without labels."""
    with_labels = [f"a{n // 6}" for n in range(6 * N_ARTICLES)]
    articles = [*with_labels, *(f"b{n}" for n in range(40))]
    is_labelled = [n < len(with_labels) and n % 6 < 3 for n in range(len(articles))]
    frame = paragraph_table(
        text=[f"Word{n} stands for{n} nothing{n} at{n} all{n}." for n in range(len(articles))],
        article=articles,
        label=[[TOPICS.names[n % 2]] if hand else None for n, hand in enumerate(is_labelled)],
        label_source=["hand" if hand else "none" for hand in is_labelled],
    )
    return frame


def dealt_with_others(frame: pd.DataFrame, n_folds: int = 4) -> tuple[pd.DataFrame, Folds]:
    rows = labelled_rows(frame, TOPICS)
    folds = make_folds(rows, n_folds, 2, None, 0)
    return deal_unlabelled(frame, rows, folds, 0), folds


def test_a_paragraph_is_held_out_with_its_article_and_others_in_proportion() -> None:
    frame = with_others()
    others, folds = dealt_with_others(frame)
    assert sorted(others["id"].unique()) == frame["id"][frame["label_source"] == "none"].tolist()
    labelled_folds = folds.table.merge(frame[["id", "article"]], on="id")
    fold_of = labelled_folds.groupby(["repeat", "article"])["fold"].first()
    for repeat, part in others.groupby("repeat"):
        labelled = part[part["article"].str.startswith("a")]
        assert (labelled["fold"] == fold_of[repeat].loc[labelled["article"]].to_numpy()).all()
        new = part[part["article"].str.startswith("b")]
        assert new["fold"].value_counts().tolist() == [10] * 4
    assert len({tuple(part["fold"]) for _, part in others.groupby("repeat")}) == 2
    pd.testing.assert_frame_equal(others, dealt_with_others(frame)[0])


def test_a_near_copy_of_a_labelled_paragraph_is_held_out_with_it() -> None:
    frame = with_others()
    frame.loc[60, "text"] = frame["text"][0].upper()
    others, folds = dealt_with_others(frame)
    copy = others[others["id"] == frame["id"][60]]
    assert set(copy["copy_of"]) == {frame["id"][0]}
    labelled_folds = folds.table[folds.table["id"] == frame["id"][0]]
    assert copy["fold"].tolist() == labelled_folds["fold"].tolist()
    assert (others["copy_of"] == "").sum() == len(others) - len(copy)


def test_boilerplate_and_copies_are_left_out_and_many_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = with_others()
    frame.loc[50, "boilerplate"] = True
    frame.loc[51, "text"] = frame["text"][52]
    frame.loc[53, "text"] = frame["text"][0]  # is labelled
    ids = set(dealt_with_others(frame)[0]["id"])
    assert not ids & {*frame["id"][[50, 52, 53]]} and frame["id"][51] in ids
    monkeypatch.setattr("paratopic.corpus.folds.MOST_TEXTS", 10)
    few = dealt_with_others(frame)[0]
    assert few["id"].nunique() == 10 and len(few) == 20
    assert set(few["id"]) < ids


def test_articles_that_no_fold_holds_out_always_train() -> None:
    frame = with_others()
    # A topic in only one article cannot be held out.
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


def test_nothing_is_dealt_if_articles_are_divided_or_one_share_is_held_out() -> None:
    frame = with_others()
    rows = labelled_rows(frame, TOPICS)
    assert deal_unlabelled(frame, rows, make_folds(rows, 4, 1, 0.25, 0), 0).empty
    one = frame.assign(article="a")
    rows = labelled_rows(one, TOPICS)
    assert deal_unlabelled(one, rows, make_folds(rows, 4, 1, None, 0), 0).empty
