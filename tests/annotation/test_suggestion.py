"""Suggestions: which paragraphs are chosen or drawn, and their context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import compress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import normalize

from paratopic.annotation import suggestion
from paratopic.annotation.suggestion import (
    CANDIDATES,
    choose,
    draw_articles,
    draw_from_groups,
    draw_mixed,
    draw_random,
    make_suggestions,
    match_texts,
    search_order,
    unlabelled_rows,
)
from paratopic.inference.model import Model, load
from paratopic.inference.modes import Array, mode_of
from paratopic.labels.sample import RANDOM_SHARE
from paratopic.project.errors import UserError
from paratopic.project.passages import Passage
from tests.samples import TARIFF, paragraph_table


def chosen_of(scores: Array, features: Array, n: int, seed: int = 0) -> list[int]:
    """Numbers of n rows, chosen by their scores."""
    return list(choose(mode_of("single").uncertainty(scores), features.__getitem__, n, seed))


def test_uncertain_rows_of_different_kinds_are_chosen() -> None:
    # Three kinds of doubtful rows, one of them ten times as frequent, and many sure rows.
    rng = np.random.default_rng(0)
    kind = np.array([0] * 20 + [1] * 2 + [2] * 2 + [3] * 100)
    features = normalize(np.eye(4)[kind] + 0.01 * rng.standard_normal((124, 4)))
    scores = np.where((kind == 3)[:, None], [0.99, 0.01], [0.52, 0.48])
    scores = scores + np.linspace(0, 1e-3, 124)[:, None] * [1, -1]
    assert sorted(kind[chosen_of(scores, features, 2)]) != [3, 3]
    assert sorted(kind[chosen_of(scores[:24], features, 3)]) == [0, 1, 2]
    # Only the most uncertain are candidates at all.
    doubt = np.argsort(scores[:, 0], kind="stable")[: 2 * CANDIDATES]
    assert set(chosen_of(scores, features, 2)) <= set(doubt)


def test_a_row_that_clearly_has_none_of_the_topics_is_not_uncertain() -> None:
    # 1 minus the sum of a row is the probability of none of the topics.
    scores = np.array([[0.01, 0.01], [0.8, 0.1], [0.45, 0.1], [0.02, 0.01]])
    assert chosen_of(scores, np.eye(4), 4) == [2, 1, 3, 0]


def test_the_choice_is_reproducible_and_the_most_uncertain_row_comes_first() -> None:
    rng = np.random.default_rng(1)
    scores = rng.dirichlet([1.0, 1.0, 1.0], size=300)
    features = normalize(rng.standard_normal((300, 8)))
    chosen = chosen_of(scores, features, 12, 5)
    assert chosen == chosen_of(scores, features, 12, 5)
    assert len(set(chosen)) == 12
    ordered = np.sort(scores[chosen], axis=1)
    assert (np.diff(ordered[:, -1] - ordered[:, -2]) >= 0).all()


def test_choosing_more_rows_than_there_are_or_among_equal_rows() -> None:
    scores = np.array([[0.9, 0.1], [0.5, 0.5], [0.6, 0.4]])
    assert chosen_of(scores, np.eye(3), 5) == [1, 2, 0]
    same = np.tile([0.6, 0.4], (9, 1))
    with pytest.warns(match="distinct clusters"):
        assert sorted(chosen_of(same, np.ones((9, 1)), 3)) == [0, 1, 2]


@pytest.fixture
def frame(rows: pd.DataFrame) -> pd.DataFrame:
    return paragraph_table(
        **{name: rows[name] for name in ("id", "article", "text")},
        ordered=[True] * len(rows),
        label_source=["hand" if n % 2 else "none" for n in range(len(rows))],
    )


def test_labelled_paragraphs_are_not_suggested(frame: pd.DataFrame, model: Model) -> None:
    unlabelled = set(frame["id"][frame["label_source"] == "none"])
    suggestions = suggestion.suggest(frame, {"p00", "p02"}, model, 5, 0)
    assert len(suggestions) == 5
    assert suggestions.keys() <= unlabelled - {"p00", "p02"}
    assert suggestion.suggest(frame, set(frame["id"]), model, 5, 0) == {}


def test_texts_are_scored_in_batches(
    frame: pd.DataFrame, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, score = suggestion.suggest(frame, set(), model, 5, 0), Model.predict_proba
    sizes: list[int] = []

    def scored(self: Model, texts: list[str]) -> Array:
        sizes.append(len(texts))
        return score(self, texts)

    monkeypatch.setattr(Model, "predict_proba", scored)
    monkeypatch.setattr(suggestion, "BATCH_SIZE", 4)
    assert suggestion.suggest(frame, set(), model, 5, 0) == expected
    assert max(sizes) == 4 and sum(sizes) == (frame["label_source"] == "none").sum()


def test_the_model_reads_what_stands_around_a_paragraph(context_model_folder: Path) -> None:
    """Context has labelled and unlabelled neighbours, neighbours that are no rows, and headings."""
    frame = paragraph_table(
        id=["c", "b", "a", "z"],
        article=["one", "one", "one", "two"],
        text=["The army left.", "It rained.", "A tariff.", "The talks went on."],
        position=[2, 1, 0, 0],
        ordered=[True, True, True, False],
        title=["The Navy"] * 4,
        heading=["The Navy / Customs", "The Navy / Customs", "The Navy", ""],
        before=["", "", "", "A missile."],
        label_source=["none", "none", "hand", "none"],
    )
    passages = {
        "b": Passage("It rained.", "A tariff.", "The army left.", "Customs", "The Navy"),
        "c": Passage("The army left.", ("A tariff.", "It rained."), (), "Customs", "The Navy"),
        "z": Passage("The talks went on.", "A missile.", title="The Navy"),
    }
    model = load(context_model_folder)
    suggested = make_suggestions(frame, suggestion.suggest(frame, set(), model, 5, 0), model)
    assert {item.id for item in suggested} == passages.keys()
    for item in suggested:
        assert item.scores == pytest.approx(model.predict(passages[item.id]).scores)
    # The annotator sees two neighbours on each side.
    shown = {item.id: (item.title, item.before, item.after) for item in suggested}
    assert shown == {
        "b": ("The Navy", ("A tariff.",), ("The army left.",)),
        "c": ("The Navy", ("A tariff.", "It rained."), ()),
        "z": ("The Navy", ("A missile.",), ()),
    }
    # Another table of the same rows has them in another order, and with other row names.
    turned = frame.iloc[::-1].set_axis([7, 3, 5, 1])
    again = make_suggestions(turned, suggestion.suggest(turned, {"z"}, model, 5, 0), model)
    assert {item.id: item.scores for item in again} == {
        item.id: pytest.approx(item.scores) for item in suggested if item.id != "z"
    }


def test_a_suggestion_has_neighbours_and_scores(frame: pd.DataFrame, model: Model) -> None:
    drawn = {"p00": "1", "p18": ""}
    plain, (first, later) = make_suggestions(frame, drawn), make_suggestions(frame, drawn, model)
    article = frame[frame["article"] == "article0"]
    assert (first.before, first.after) == ((), tuple(article["text"][1:3]))
    assert list(later.before) == [t for t in article["text"] if t != later.text][1:3]
    answer = model.predict(first.text)
    assert (first.scores, first.topics, first.sure) == (answer.scores, answer.topics, answer.sure)
    assert (first.topic, first.confidence) == (answer.topic, answer.confidence)
    assert (plain[0].topic, plain[0].confidence, plain[0].drawn) == ("", 0.0, "1")


def test_near_duplicates_of_a_labelled_text_come_last(model: Model) -> None:
    tariffs = [f"{TARIFF[:-1]} on day {day}." for day in (3, 4)]
    frame = paragraph_table(
        text=[tariffs[0], tariffs[1], "The army left the island at the border."],
        label_source=["hand", "none", "none"],
    )
    assert [*suggestion.suggest(frame, set(), model, 1, 0)] == ["002"]
    assert [*suggestion.suggest(frame, set(), model, 5, 0)] == ["002", "001"]


def test_probable_texts_take_turns_with_those_at_the_boundary() -> None:
    scores = np.array([[0.1, 0.9], [0.9, 0.1], [0.7, 0.1], [0.6, 0.1], [0.4, 0.3], [0.3, 0.2]])
    predicted = scores > 0.5
    assert search_order(scores[:, :1], predicted[:, :1]).tolist() == [1, 4, 2, 3, 5, 0]
    # The two topics take turns.
    assert search_order(scores, predicted).tolist()[:5] == [1, 4, 0, 2, 3]


@pytest.mark.parametrize(
    ("wanted", "texts"),
    [
        ("tariff", ["TARIFFS rose."]),
        ("STRASSE", ["Die Straße."]),
        ("cafe\u0301", ["Caf\u00e9."]),
        ("new york", ["New\u00a0York."]),
        ("e.g", ["E.g."]),
        ("/^e.g/", ["E.g.", "Eggs."]),
        ("/", ["1/2"]),
    ],
)
def test_texts_are_searched_whatever_their_case_and_form(wanted: str, texts: list[str]) -> None:
    every = ["TARIFFS rose.", "Die Straße.", "Caf\u00e9.", "New\u00a0York.", "E.g.", "Eggs.", "1/2"]
    assert list(compress(every, match_texts(every, wanted))) == texts


def test_an_expression_that_would_take_for_ever_is_an_error() -> None:
    with pytest.raises(UserError, match=r"--contains /\(a\|aa\)\+\$/ takes more than 1 s"):
        match_texts(["a" * 60 + "!"], "/(a|aa)+$/")


def test_near_copies_come_last_in_a_search(model: Model) -> None:
    """The search for a text does not match the first copy, so that the second one is new."""
    day = "on that day, which was the first of many days of trade in steel."
    texts = ["The army met.", f"Ministers met {day}", f"Ministers ate {day}", "They met again."]
    frame = paragraph_table(text=texts, label_source=["none"] * 4)
    matches = suggestion.search(frame, set(), "", ("trade",), model, 9, 0)
    assert set(matches.values()) == {""} and matches.keys() == {"000", "001", "002", "003"}
    assert list(matches)[-1] in ("001", "002")
    assert list(suggestion.search(frame, set(), "ate", ("trade",), model, 9, 0)) == ["002"]
    unlabelled = list(suggestion.search(frame, {"001"}, "", (), None, 9, 0))
    assert {*unlabelled} >= {"000", "002", "003"} and unlabelled[-1] == "002"
    assert suggestion.search(frame, set(), "zebra", (), None, 9, 0) == {}


SEEDS = range(200)


def table(*articles: str, **columns: Sequence[object]) -> pd.DataFrame:
    """A paragraph of its own text in each of these articles."""
    texts = [f"Text {n}." for n in range(len(articles))]
    return paragraph_table(**{"article": articles, "text": texts, **columns})


def test_one_paragraph_of_each_unlabelled_text_is_left() -> None:
    frame = paragraph_table(
        id=list("gfedcba"),
        text=["A.", "B.", "B.", "C.", "C.", "D.", "E."],
        label_source=["weak", "none", "none", "hand", "none", "none", "none"],
    )
    assert unlabelled_rows(frame, {"b", "not prepared yet"})["id"].tolist() == ["a", "f", "g"]
    assert unlabelled_rows(frame, set(frame["id"])).empty
    slight = frame.assign(boilerplate=frame["id"] == "a")
    assert unlabelled_rows(slight, {"b"})["id"].tolist() == ["f", "g"]
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
    sources = ["hand" if n in hand else "none" for n in range(len(values))]
    frame = table(*values, label_source=sources)
    frame["effective_count"] = [1.0 if n in hand else np.nan for n in range(len(values))]
    texts = frame["text"].groupby(frame["article"])
    members = {f"article={value}": {*members} for value, members in texts}
    drawn = draw_from_groups(frame, [], members, len(values), data.draw(st.integers(0, 9)))
    assert sorted(drawn) == sorted(frame["id"][frame["effective_count"].isna()])
    n_labels = Counter(value for n, value in enumerate(values) if n in hand)
    unlabelled = Counter(values) - n_labels
    article_of = dict(zip(frame["id"], values, strict=True))
    for id_, draw in drawn.items():
        value = article_of[id_]
        assert n_labels[value] == min(n_labels[name] for name in unlabelled)
        assert draw == f"1 of {len(members[f'article={value}'])} in article={value}"
        n_labels[value] += 1
        unlabelled -= Counter([value])


def test_paragraphs_of_a_group_have_equal_chances() -> None:
    frame = table(*"aaabb").assign(effective_count=np.nan)
    members = {"article=a": {"Text 0.", "Text 1.", "Text 2."}, "most": {*frame["text"][1:]}}
    seeds = range(800)
    firsts = Counter(next(iter(draw_from_groups(frame, [], members, 1, seed))) for seed in seeds)
    expected = [1 / 6, 1 / 6 + 1 / 8, 1 / 6 + 1 / 8, 1 / 8, 1 / 8]
    for id_, share in zip(frame["id"], expected, strict=True):
        assert firsts[id_] / len(seeds) == pytest.approx(share, abs=4 * (0.2 / len(seeds)) ** 0.5)
    # A paragraph of two groups is drawn from one of them.
    assert len(draw_from_groups(frame, [], members, 9, 0)) == 5


def test_whole_articles_without_a_label_are_drawn() -> None:
    frame = table(
        *"aabbbccdd",
        position=[1, 0, 2, 1, 0, 0, 1, 0, 1],
        label_source=["none"] * 5 + ["hand", "none", "none", "none"],
    )
    frame.loc[4, "text"] = "Text 3."  # The first copy is drawn.
    few = SEEDS[:30]
    orders = {tuple(draw_articles(frame, ["007"], 9, seed)) for seed in few}
    assert orders == {("001", "000", "004", "002"), ("004", "002", "001", "000")}
    assert {len(draw_articles(frame, ["007"], 1, seed)) for seed in few} == {2}
    assert set(draw_articles(frame, [], 9, 0).values()) == {"article of 8"}
    assert draw_articles(frame, ["007", "000", "002"], 9, 0) == {}


def test_a_mixed_draw_records_the_chance_of_each_paragraph() -> None:
    frame = table(*"abcde")
    suggested = ["003", "001", "004", "000", "002"]
    seconds: Counter[tuple[str, ...]] = Counter()
    for seed in SEEDS:
        drawn = draw_mixed(frame, [], suggested, 9, seed)
        assert sorted(drawn) == sorted(frame["id"])
        n_left = 5
        queue = list(suggested)
        for id_, chance in drawn.items():
            expected = RANDOM_SHARE + (1 - RANDOM_SHARE) * n_left * (id_ == queue[0])
            assert float(chance.removesuffix(" of 5")) == pytest.approx(expected, rel=1e-5)
            queue.remove(id_)
            n_left -= 1
        if seed < 30:
            assert draw_mixed(frame, [], suggested[:2], 2, seed) == dict(list(drawn.items())[:2])
        seconds[tuple(drawn)[:2]] += 1
    # The first suggestion has the chance .7 + .3 / 5, and the next one .7 + .3 / 4.
    share = seconds[("003", "001")] / len(SEEDS)
    assert share == pytest.approx(0.76 * 0.775, abs=4 * np.sqrt(0.24 / len(SEEDS)))
