"""Held-out texts are neither in the context of texts to train on nor in the pool."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.corpus.folds import TooFewLabels, iterate_folds, make_folds, no_folds
from paratopic.corpus.labelled import Labelled, labelled_rows, make_pool
from paratopic.corpus.table import with_passages
from paratopic.project.passages import Passage
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from tests.samples import paragraph_table, texts_with_context

TOPICS = Topics("single", ("trade", "security"))
LETTERS = "abcdefgh"


def distinct_text(letter: str) -> str:
    """A text that shares no word with that of another letter."""
    return " ".join(letter * length for length in range(2, 12)) + "."


def near_text(letter: str) -> str:
    return distinct_text(letter).capitalize().replace(".", " indeed.")


def labelled(*texts: str, articles: str = "", unlabelled: str = "") -> Labelled:
    """Paragraphs in their order, with labels except at the positions in `unlabelled`."""
    is_labelled = [str(number) not in unlabelled for number in range(len(texts))]
    frame = paragraph_table(
        text=texts,
        article=list(articles) or ["a"] * len(texts),
        heading=["Heading"] * len(texts),
        title=["Title"] * len(texts),
        ordered=[True] * len(texts),
        label=[["trade"] if hand else None for hand in is_labelled],
        label_source=["hand" if hand else "none" for hand in is_labelled],
    )
    rows = with_passages(labelled_rows(frame, TOPICS), frame)
    return Labelled(rows, TOPICS, no_folds(rows, "").table)


def contents(*passages: Passage) -> list[list[str]]:
    return texts_with_context(numbered(passages))


def positions(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def test_neither_part_of_a_divided_article_is_in_the_context_of_the_other() -> None:
    texts = [distinct_text(letter) for letter in "abcdef"]
    data = labelled(*texts)
    to_train, to_score = data.without_leakage(positions(0, 1, 3, 5), positions(2, 4))
    about = {"heading": "Heading", "title": "Title"}
    # A hidden paragraph leaves a gap, so the distance of the others stays the same.
    assert texts_with_context(to_train) == contents(
        Passage(texts[0], (), (texts[1], "", texts[3]), **about),
        Passage(texts[1], texts[0], ("", texts[3], ""), **about),
        Passage(texts[3], (texts[0], texts[1], ""), ("", texts[5]), **about),
        Passage(texts[5], ("", texts[3], ""), (), **about),
    )
    assert texts_with_context(to_score) == contents(Passage(texts[2]), Passage(texts[4]))
    # The data themselves are not changed.
    assert (
        texts_with_context(data.texts)[0] == contents(Passage(texts[0], (), texts[1:4], **about))[0]
    )


def test_contexts_lack_only_near_duplicates_of_held_out_texts() -> None:
    texts = [
        distinct_text("a"),
        near_text("c"),
        distinct_text("b"),
        distinct_text("c"),
        distinct_text("d"),
    ]
    data = labelled(*texts, unlabelled="124")
    to_train, to_score = data.without_leakage(positions(0), positions(1))
    after = ("", distinct_text("b"), "")
    assert texts_with_context(to_train) == contents(
        Passage(distinct_text("a"), (), after, "Heading", "Title")
    )
    assert texts_with_context(to_score) == contents(Passage(distinct_text("c")))


def test_articles_that_are_not_divided_keep_all() -> None:
    texts = [distinct_text(letter) for letter in LETTERS]
    data = labelled(*texts, articles="aaaabbcc")
    complete = texts_with_context(data.texts)
    # Two articles are in the training part, and one is held out.
    to_train, to_score = data.without_leakage(positions(0, 1, 2, 3), positions(4, 5))
    assert (texts_with_context(to_train), texts_with_context(to_score)) == (
        complete[:4],
        complete[4:6],
    )
    # Article a is divided, b is in the training part, and c is held out.
    to_train, to_score = data.without_leakage(positions(0, 1, 4, 5), positions(2, 3, 6, 7))
    assert texts_with_context(to_train)[2:] == complete[4:6]
    assert texts_with_context(to_score) == [
        *contents(Passage(texts[2]), Passage(texts[3])),
        *complete[6:],
    ]
    assert (
        texts_with_context(to_train)[1]
        == contents(Passage(texts[1], texts[0], (), "Heading", "Title"))[0]
    )


def test_texts_without_a_paragraph_table_have_no_context() -> None:
    rows = pd.DataFrame({"id": ["1", "2"], "article": "a", "text": ["A.", "B."]})
    data = Labelled(rows, TOPICS, no_folds(rows, "").table)
    assert texts_with_context(data.texts) == contents(Passage("A."), Passage("B."))
    parts = data.without_leakage(positions(0), positions(1))
    assert [texts_with_context(part) for part in parts] == [
        contents(Passage("A.")),
        contents(Passage("B.")),
    ]


@pytest.mark.parametrize("n_articles", [1, 2, 6])
@settings(max_examples=20)  # of 24 paragraphs each
@given(order=st.permutations(range(24)), seed=st.integers(0, 9))
def test_no_fold_has_a_held_out_text_in_the_context_of_one_to_train_on(
    n_articles: int, order: list[int], seed: int
) -> None:
    """24 paragraphs have a near-duplicate each, in the same article or in another one."""
    letters = [LETTERS[number % 8] * (1 + number // 16) for number in order]
    kinds = [distinct_text if number % 16 < 8 else near_text for number in order]
    texts = [kind(letter) for kind, letter in zip(kinds, letters, strict=True)]
    data = labelled(*texts, articles="".join(str(n * n_articles // 24) for n in range(24)))
    topics = [(TOPICS.names[number % 2],) for number in order]
    rows = data.rows.assign(topic=pd.Series(topics, dtype=object))
    data = replace(data, rows=rows, folds=make_folds(rows, 3, 1, None, seed).table)
    articles = rows["article"].to_numpy()
    for _, _, train, held_out in iterate_folds(data.folds, list(rows["id"])):
        to_train, to_score = data.without_leakage(train, held_out)
        hidden = with_near_texts(rows["text"].iloc[held_out])
        divided = set(articles[train]) & set(articles[held_out])
        for row, (_, *context) in zip(train, texts_with_context(to_train), strict=True):
            assert articles[row] not in divided or not hidden & set(map(str.lower, context))
        for row, (_, *context) in zip(held_out, texts_with_context(to_score), strict=True):
            assert articles[row] not in divided or not any(context)


def with_near_texts(texts: pd.Series) -> set[str]:
    """Texts and their near-duplicates, in lower case."""
    lowered = set(texts.str.lower())
    lowered |= {text.replace(".", " indeed.") for text in lowered}
    return lowered | {text.replace(" indeed.", ".") for text in lowered}


def table_of(*lines: tuple[str, str, str | None]) -> pd.DataFrame:
    """A paragraph table of articles, texts and topics ("" for none, None for no label)."""
    articles, texts, topics = zip(*lines, strict=True)
    return paragraph_table(
        article=articles,
        text=texts,
        label=[None if topic is None else [topic] if topic else [] for topic in topics],
        label_source=["none" if topic is None else "hand" for topic in topics],
    )


def test_the_pool_has_no_other_text_of_an_article_that_is_held_out() -> None:
    table = table_of(
        ("a", "One tariff.", "trade"),
        ("a", "Two armies met.", "security"),
        ("a", "Nobody labelled this.", None),
        ("b", "Three ships sank.", "security"),
    )
    pool = make_pool(table, labelled_rows(table, TOPICS), 10, 0)
    assert pool.without_leakage(positions(2), positions(0, 1)) == ()
    # If the training part has a paragraph of the article, others may be in the pool.
    assert pool.without_leakage(positions(1, 2), positions(0)) == ("Nobody labelled this.",)


def test_a_text_of_a_held_out_article_is_hidden_in_other_articles_too() -> None:
    table = table_of(
        ("agency", "The editors said nothing more that day.", None),
        ("paper", "One tariff.", "trade"),
        ("paper", "The editors said nothing more that day.", None),
        ("paper", "The editors said nothing more that day!", None),
        ("other", "Two armies met.", "security"),
        ("other", "The harbour was quiet.", None),
    )
    pool = make_pool(table, labelled_rows(table, TOPICS), 10, 0)
    assert pool.without_leakage(positions(1), positions(0)) == ("The harbour was quiet.",)
    assert len(pool.without_leakage(positions(0, 1), positions())) == 3


def test_a_large_pool_is_drawn_with_the_seed_from_distinct_texts() -> None:
    texts = [f"Text number {n} is about {'a b c d e'.split()[n % 5]}." for n in range(50)]
    table = table_of(("a", "A tariff.", "trade"), *(("b", text, None) for text in [*texts, *texts]))
    rows = labelled_rows(table, TOPICS)
    assert sorted(make_pool(table, rows, 100, 0).texts) == sorted(texts)
    drawn = make_pool(table, rows, 20, 0).texts
    assert len(set(drawn)) == 20 and drawn == make_pool(table, rows, 20, 0).texts
    assert drawn != make_pool(table, rows, 20, 1).texts
    assert make_pool(table, rows, 0, 0).texts == ()


@pytest.mark.parametrize("n_articles", [1, 8])
@settings(max_examples=25)  # of 32 paragraphs each
@given(data=st.data())
def test_no_pool_has_a_near_duplicate_of_a_held_out_text(
    n_articles: int, data: st.DataObject
) -> None:
    words = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()
    text = st.lists(st.sampled_from(words), min_size=4, max_size=6).map(" ".join)
    lines = [(f"{n % n_articles}", data.draw(text), TOPICS.names[n // 4 % 2]) for n in range(16)]
    article = st.sampled_from([*map(str, range(n_articles)), "other"])
    table = table_of(*lines, *((data.draw(article), f"{line[1]} end", None) for line in lines))
    rows = labelled_rows(table, TOPICS)
    try:
        folds = make_folds(rows, 4, 1, None, 0).table
    except TooFewLabels:
        return
    pool = make_pool(table, rows, 100, 0)
    for _, _, train, held_out in iterate_folds(folds, list(rows["id"])):
        hidden = {text + " end" for text in rows["text"].iloc[held_out]}
        assert not hidden & set(pool.without_leakage(train, held_out))
