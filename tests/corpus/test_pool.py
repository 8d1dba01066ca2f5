"""The pool: what a fold holds out is not in it under another name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.corpus.folds import TooFewLabels, iterate_folds, make_folds
from paratopic.corpus.labelled import draw_pool, labelled_rows
from paratopic.project.topics import Topics
from tests.samples import paragraph_table

TOPICS = Topics("single", ("trade", "security"))
TARIFF = (
    "The tariff on steel rises to a quarter of its price in the month of May, says the ministry."
)
COPY = "the tariff on steel rises to a quarter of its price in the month of May, says a ministry"


def frame(*lines: tuple[str, str, str | None]) -> pd.DataFrame:
    """A paragraph table of articles, texts and topics ("" for none, None for no label)."""
    articles, texts, named = zip(*lines, strict=True)
    return paragraph_table(
        article=articles,
        text=texts,
        topics=[None if topic is None else [topic] if topic else [] for topic in named],
        label_source=["none" if topic is None else "hand" for topic in named],
    )


def positions(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def test_near_duplicates_of_what_is_held_out_are_not_in_the_pool() -> None:
    table = frame(
        ("a", TARIFF, "trade"),
        ("b", "Troops crossed the river at night.", "security"),
        ("b", COPY, None),
        ("c", "It rained on the harbour all day.", None),
    )
    pool = draw_pool(table, labelled_rows(table, TOPICS), 10, 0)
    assert set(pool.texts) == {COPY, "It rained on the harbour all day."}
    assert pool.beside(positions(1), positions(0)) == ("It rained on the harbour all day.",)
    assert pool.beside(positions(0), positions(1)) == (pool.texts[1],)
    assert pool.beside(positions(0, 1), positions()) == pool.texts


def test_the_rest_of_an_article_that_is_held_out_whole_is_not_in_the_pool() -> None:
    table = frame(
        ("a", "One tariff.", "trade"),
        ("a", "Two armies met.", "security"),
        ("a", "Nobody labelled this.", None),
        ("b", "Three ships sank.", "security"),
    )
    pool = draw_pool(table, labelled_rows(table, TOPICS), 10, 0)
    assert pool.beside(positions(2), positions(0, 1)) == ()
    # With a paragraph of the article in the training part, the article is known anyway.
    assert pool.beside(positions(1, 2), positions(0)) == ("Nobody labelled this.",)


def test_a_text_of_an_article_that_is_held_out_is_hidden_where_another_article_has_it_too() -> None:
    table = frame(
        ("agency", "The editors said nothing more that day.", None),
        ("paper", "One tariff.", "trade"),
        ("paper", "The editors said nothing more that day.", None),
        ("paper", "The editors said nothing more that day!", None),
        ("other", "Two armies met.", "security"),
        ("other", "The harbour was quiet.", None),
    )
    pool = draw_pool(table, labelled_rows(table, TOPICS), 10, 0)
    assert pool.beside(positions(1), positions(0)) == ("The harbour was quiet.",)
    assert len(pool.beside(positions(0, 1), positions())) == 3


def test_a_large_pool_is_drawn_with_the_seed_and_each_text_counts_once() -> None:
    texts = [f"Text number {n} is about {'a b c d e'.split()[n % 5]}." for n in range(50)]
    table = frame(("a", "A tariff.", "trade"), *(("b", text, None) for text in [*texts, *texts]))
    rows = labelled_rows(table, TOPICS)
    assert sorted(draw_pool(table, rows, 100, 0).texts) == sorted(texts)
    drawn = draw_pool(table, rows, 20, 0).texts
    assert len(set(drawn)) == 20 and drawn == draw_pool(table, rows, 20, 0).texts
    assert drawn != draw_pool(table, rows, 20, 1).texts
    assert draw_pool(table, rows, 0, 0).texts == ()


@pytest.mark.parametrize("n_articles", [1, 8])
@given(data=st.data())
def test_in_no_fold_does_the_pool_have_a_text_that_is_near_one_held_out(
    n_articles: int, data: st.DataObject
) -> None:
    words = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()
    text = st.lists(st.sampled_from(words), min_size=4, max_size=6).map(" ".join)
    lines: list[tuple[str, str, str | None]] = [
        (f"article {n % n_articles}", data.draw(text), ("trade", "security")[n // 4 % 2])
        for n in range(16)
    ]
    near = [line[1] + " end" for line in lines]
    among = st.sampled_from([f"article {n}" for n in range(n_articles)] + ["other"])
    table = frame(*lines, *((data.draw(among), text, None) for text in near))
    rows = labelled_rows(table, TOPICS)
    try:
        folds = make_folds(rows, 4, 1, None, 0).table
    except TooFewLabels:
        return
    pool = draw_pool(table, rows, 100, 0)
    for _, _, train, held_out in iterate_folds(folds, list(rows["id"])):
        hidden = {text + " end" for text in rows["text"].iloc[held_out]}
        assert not hidden & set(pool.beside(train, held_out))
