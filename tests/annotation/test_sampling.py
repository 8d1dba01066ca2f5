"""Draws of unlabelled paragraphs, and the chances that they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.annotation.suggestion import (
    draw_articles,
    draw_from_groups,
    draw_mixed,
    draw_random,
    unlabelled,
)
from paratopic.labels.frames import RANDOM_SHARE
from tests.samples import paragraph_table

SEEDS = range(200)


def table(*articles: str, **columns: Sequence[object]) -> pd.DataFrame:
    """A paragraph of its own text in each of these articles."""
    texts = [f"Text {n}." for n in range(len(articles))]
    return paragraph_table(**{"article": articles, "text": texts, **columns})


def test_of_each_text_without_a_label_one_paragraph_is_left() -> None:
    frame = paragraph_table(
        id=list("gfedcba"),
        text=["A.", "B.", "B.", "C.", "C.", "D.", "E."],
        label_source=["weak", "none", "none", "hand", "none", "none", "none"],
    )
    assert unlabelled(frame, {"b", "not prepared yet"})["id"].tolist() == ["a", "f", "g"]
    assert unlabelled(frame, set(frame["id"])).empty
    slight = frame.assign(boilerplate=frame["id"] == "a")
    assert unlabelled(slight, {"b"})["id"].tolist() == ["f", "g"]
    assert set(draw_articles(slight.assign(label_source="none"), [], 9, 0)) == set("bdfg")


def test_a_random_draw_is_the_same_until_somebody_labels() -> None:
    frame = table(*"abcd" * 5)
    drawn = draw_random(frame, [], 20, 1)
    assert sorted(drawn) == sorted(frame["id"]) and set(drawn.values()) == {"1 of 20"}
    assert list(draw_random(frame.sample(frac=1, random_state=0), [], 7, 1)) == list(drawn)[:7]
    first, *_ = drawn
    again = list(draw_random(frame, [first], 20, 1))
    assert first not in again and again != list(drawn)[1:]
    assert list(draw_random(frame, [], 20, 2)) != list(drawn)
    assert draw_random(frame, set(frame["id"]), 20, 1) == {}


@settings(max_examples=50)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40), st.data())
def test_groups_with_the_fewest_labels_are_drawn_from_first(
    values: list[str], data: st.DataObject
) -> None:
    hand = data.draw(st.sets(st.integers(0, len(values) - 1), max_size=len(values) - 1))
    worth = [1.0 if n in hand else np.nan for n in range(len(values))]
    frame = table(
        *values, label_source=["hand" if n in hand else "none" for n in range(len(worth))]
    )
    frame["effective_count"] = worth
    texts = frame["text"].groupby(frame["article"])
    members = {f"article={value}": {*each} for value, each in texts}
    drawn = draw_from_groups(frame, [], members, len(values), data.draw(st.integers(0, 9)))
    assert sorted(drawn) == sorted(frame["id"][frame["effective_count"].isna()])
    n_labels = Counter(value for n, value in enumerate(values) if n in hand)
    left, article_of = Counter(values) - n_labels, dict(zip(frame["id"], values, strict=True))
    for id_, how in drawn.items():
        value = article_of[id_]
        assert n_labels[value] == min(n_labels[name] for name in left)
        assert how == f"1 of {len(members[f'article={value}'])} in article={value}"
        n_labels[value] += 1
        left -= Counter([value])


def test_each_paragraph_of_a_group_is_as_often_drawn_first() -> None:
    frame = table(*"aaabb").assign(effective_count=np.nan)
    members = {"article=a": {"Text 0.", "Text 1.", "Text 2."}, "most": {*frame["text"][1:]}}
    seeds = range(800)
    firsts = Counter(next(iter(draw_from_groups(frame, [], members, 1, seed))) for seed in seeds)
    expected = [1 / 6, 1 / 6 + 1 / 8, 1 / 6 + 1 / 8, 1 / 8, 1 / 8]
    for id_, share in zip(frame["id"], expected, strict=True):
        assert firsts[id_] / len(seeds) == pytest.approx(share, abs=4 * (0.2 / len(seeds)) ** 0.5)
    # Twice is not once more: what two groups have is drawn from one of them.
    assert len(draw_from_groups(frame, [], members, 9, 0)) == 5


def test_whole_articles_are_drawn_in_which_nothing_has_a_label() -> None:
    frame = table(
        *"aabbbccdd",
        position=[1, 0, 2, 1, 0, 0, 1, 0, 1],
        label_source=["none"] * 5 + ["hand", "none", "none", "none"],
    )
    frame.loc[4, "text"] = "Text 3."  # a copy, of which the one that stands first is drawn
    few = SEEDS[:30]  # of which each order has about half
    orders = {tuple(draw_articles(frame, ["007"], 9, seed)) for seed in few}
    assert orders == {("001", "000", "004", "002"), ("004", "002", "001", "000")}
    assert {len(draw_articles(frame, ["007"], 1, seed)) for seed in few} == {2}
    assert set(draw_articles(frame, [], 9, 0).values()) == {"article of 8"}
    assert draw_articles(frame, ["007", "000", "002"], 9, 0) == {}


def test_a_mixed_draw_says_with_which_chance_each_paragraph_was_drawn() -> None:
    frame = table(*"abcde")
    suggested = ["003", "001", "004", "000", "002"]
    seconds: Counter[tuple[str, ...]] = Counter()
    for seed in SEEDS:
        drawn = draw_mixed(frame, [], suggested, 9, seed)
        assert sorted(drawn) == sorted(frame["id"])
        left = 5
        ahead = list(suggested)
        for id_, chance in drawn.items():
            expected = RANDOM_SHARE + (1 - RANDOM_SHARE) * left * (id_ == ahead[0])
            assert float(chance.removesuffix(" of 5")) == pytest.approx(expected, rel=1e-5)
            ahead.remove(id_)
            left -= 1
        if seed < 30:
            assert draw_mixed(frame, [], suggested[:2], 2, seed) == dict([*drawn.items()][:2])
        seconds[tuple(drawn)[:2]] += 1
    # The suggestion is drawn with .7 + .3 / 5, and so is the next one with .7 + .3 / 4.
    share = seconds[("003", "001")] / len(SEEDS)
    assert share == pytest.approx(0.76 * 0.775, abs=4 * np.sqrt(0.24 / len(SEEDS)))
