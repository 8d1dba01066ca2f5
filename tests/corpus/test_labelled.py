"""What is held out is neither read by what is learnt from, nor in the pool under another name."""

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
from tests.samples import paragraph_table, read_in

TOPICS = Topics("single", ("trade", "security"))
LETTERS = "abcdefgh"


def text_of(letter: str) -> str:
    """A text that shares no word with that of another letter."""
    return " ".join(letter * length for length in range(2, 12)) + "."


def near(letter: str) -> str:
    return text_of(letter).capitalize().replace(".", " indeed.")


def labelled(*texts: str, articles: str = "", unlabelled: str = "") -> Labelled:
    """Paragraphs in their order, with labels but for the numbers that are `unlabelled`."""
    has = [str(number) not in unlabelled for number in range(len(texts))]
    frame = paragraph_table(
        text=texts,
        article=list(articles) or ["a"] * len(texts),
        heading=["Heading"] * len(texts),
        title=["Title"] * len(texts),
        ordered=[True] * len(texts),
        label=[["trade"] if each else None for each in has],
        label_source=["hand" if each else "none" for each in has],
    )
    rows = with_passages(labelled_rows(frame, TOPICS), frame)
    return Labelled(rows, TOPICS, no_folds(rows, "").table)


def read(*passages: Passage) -> list[list[str]]:
    return read_in(numbered(passages))


def positions(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def test_of_an_article_that_is_divided_neither_part_reads_the_other() -> None:
    texts = [text_of(letter) for letter in "abcdef"]
    data = labelled(*texts)
    to_learn, to_score = data.without_leakage(positions(0, 1, 3, 5), positions(2, 4))
    about = {"heading": "Heading", "title": "Title"}
    # What is left out leaves a gap: what stands behind it is as far away as it was.
    assert read_in(to_learn) == read(
        Passage(texts[0], (), (texts[1], "", texts[3]), **about),
        Passage(texts[1], texts[0], ("", texts[3], ""), **about),
        Passage(texts[3], (texts[0], texts[1], ""), ("", texts[5]), **about),
        Passage(texts[5], ("", texts[3], ""), (), **about),
    )
    assert read_in(to_score) == read(Passage(texts[2]), Passage(texts[4]))
    # Nothing is changed for good.
    assert read_in(data.texts)[0] == read(Passage(texts[0], (), texts[1:4], **about))[0]


def test_near_duplicates_of_what_is_held_out_are_not_read_and_other_texts_are() -> None:
    texts = [text_of("a"), near("c"), text_of("b"), text_of("c"), text_of("d")]
    data = labelled(*texts, unlabelled="124")
    to_learn, to_score = data.without_leakage(positions(0), positions(1))
    after = ("", text_of("b"), "")
    assert read_in(to_learn) == read(Passage(text_of("a"), (), after, "Heading", "Title"))
    assert read_in(to_score) == read(Passage(text_of("c")))


def test_articles_that_are_not_divided_keep_all() -> None:
    texts = [text_of(letter) for letter in LETTERS]
    data = labelled(*texts, articles="aaaabbcc")
    whole = read_in(data.texts)
    # Held out whole.
    to_learn, to_score = data.without_leakage(positions(0, 1, 2, 3), positions(4, 5))
    assert (read_in(to_learn), read_in(to_score)) == (whole[:4], whole[4:6])
    # One article is divided: c is held out whole, and b is only learnt from.
    to_learn, to_score = data.without_leakage(positions(0, 1, 4, 5), positions(2, 3, 6, 7))
    assert read_in(to_learn)[2:] == whole[4:6]
    assert read_in(to_score) == [*read(Passage(texts[2]), Passage(texts[3])), *whole[6:]]
    assert read_in(to_learn)[1] == read(Passage(texts[1], texts[0], (), "Heading", "Title"))[0]


def test_texts_without_a_paragraph_table_are_read_alone() -> None:
    rows = pd.DataFrame({"id": ["1", "2"], "article": "a", "text": ["A.", "B."]})
    data = Labelled(rows, TOPICS, no_folds(rows, "").table)
    assert read_in(data.texts) == read(Passage("A."), Passage("B."))
    parts = data.without_leakage(positions(0), positions(1))
    assert [read_in(part) for part in parts] == [read(Passage("A.")), read(Passage("B."))]


@pytest.mark.parametrize("n_articles", [1, 2, 6])
@settings(max_examples=20)  # of 24 paragraphs each
@given(order=st.permutations(range(24)), seed=st.integers(0, 9))
def test_in_no_fold_is_a_text_that_is_held_out_read_with_one_that_is_learnt_from(
    n_articles: int, order: list[int], seed: int
) -> None:
    """Of 24 paragraphs, each has a near-duplicate, in the same article or in another one."""
    letters = [LETTERS[number % 8] * (1 + number // 16) for number in order]
    kinds = [text_of if number % 16 < 8 else near for number in order]
    texts = [kind(letter) for kind, letter in zip(kinds, letters, strict=True)]
    data = labelled(*texts, articles="".join(str(n * n_articles // 24) for n in range(24)))
    topics = [(TOPICS.names[number % 2],) for number in order]
    rows = data.rows.assign(topic=pd.Series(topics, dtype=object))
    data = replace(data, rows=rows, folds=make_folds(rows, 3, 1, None, seed).table)
    articles = rows["article"].to_numpy()
    for _, _, train, held_out in iterate_folds(data.folds, list(rows["id"])):
        to_learn, to_score = data.without_leakage(train, held_out)
        hidden = {text.lower() for text in rows["text"].iloc[held_out]}
        hidden |= {text.replace(".", " indeed.") for text in hidden}
        hidden |= {text.replace(" indeed.", ".") for text in hidden}
        divided = set(articles[train]) & set(articles[held_out])
        for row, (_, *around) in zip(train, read_in(to_learn), strict=True):
            if articles[row] in divided:
                assert not hidden & {text.lower() for text in around}
        for row, (_, *around) in zip(held_out, read_in(to_score), strict=True):
            assert articles[row] not in divided or not any(around)


def table_of(*lines: tuple[str, str, str | None]) -> pd.DataFrame:
    """A paragraph table of articles, texts and topics ("" for none, None for no label)."""
    articles, texts, named = zip(*lines, strict=True)
    return paragraph_table(
        article=articles,
        text=texts,
        label=[None if topic is None else [topic] if topic else [] for topic in named],
        label_source=["none" if topic is None else "hand" for topic in named],
    )


def test_the_rest_of_an_article_that_is_held_out_whole_is_not_in_the_pool() -> None:
    table = table_of(
        ("a", "One tariff.", "trade"),
        ("a", "Two armies met.", "security"),
        ("a", "Nobody labelled this.", None),
        ("b", "Three ships sank.", "security"),
    )
    pool = make_pool(table, labelled_rows(table, TOPICS), 10, 0)
    assert pool.without_leakage(positions(2), positions(0, 1)) == ()
    # With a paragraph of the article in the training part, the article is known anyway.
    assert pool.without_leakage(positions(1, 2), positions(0)) == ("Nobody labelled this.",)


def test_a_text_of_an_article_that_is_held_out_is_hidden_where_another_article_has_it_too() -> None:
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


def test_a_large_pool_is_drawn_with_the_seed_and_each_text_counts_once() -> None:
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
def test_in_no_fold_does_the_pool_have_a_text_that_is_near_one_held_out(
    n_articles: int, data: st.DataObject
) -> None:
    words = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()
    text = st.lists(st.sampled_from(words), min_size=4, max_size=6).map(" ".join)
    lines = [(f"{n % n_articles}", data.draw(text), TOPICS.names[n // 4 % 2]) for n in range(16)]
    among = st.sampled_from([*map(str, range(n_articles)), "other"])
    table = table_of(*lines, *((data.draw(among), f"{line[1]} end", None) for line in lines))
    rows = labelled_rows(table, TOPICS)
    try:
        folds = make_folds(rows, 4, 1, None, 0).table
    except TooFewLabels:
        return
    pool = make_pool(table, rows, 100, 0)
    for _, _, train, held_out in iterate_folds(folds, list(rows["id"])):
        hidden = {text + " end" for text in rows["text"].iloc[held_out]}
        assert not hidden & set(pool.without_leakage(train, held_out))
