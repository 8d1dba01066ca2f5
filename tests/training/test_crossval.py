"""Cross-validation: the examples and the seed of each fit, and the tables of scores."""

from __future__ import annotations

import random
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from paratopic.baseline import fit as baseline
from paratopic.corpus.folds import (
    ALWAYS_TRAIN,
    deal_unlabelled,
    iterate_folds,
    make_folds,
    no_folds,
)
from paratopic.corpus.labelled import Labelled, Pool, Unlabelled, labelled_rows, make_pool
from paratopic.corpus.table import passages_for, with_passages
from paratopic.inference.linear_head import ContextWeights
from paratopic.inference.modes import Scores
from paratopic.project.passages import N_NEIGHBOURS
from paratopic.project.texts import NO_TEXT, Texts, numbered
from paratopic.project.topics import Topics
from paratopic.training import examples as room
from paratopic.training.crossval import (
    cross_validate,
    fit_all,
    n_fits,
    score_by_definitions,
    score_unfolded,
)
from paratopic.training.examples import Advance, Examples, Fitted, Parity
from tests.samples import PARAMS, WORDS, paragraph_table, texts_with_context


class Recorder:
    """A fit that records its arguments; its models score texts by length and the fit's number."""

    def __init__(self) -> None:
        self.examples: list[Examples] = []
        self.seeds: list[int] = []

    def __call__(self, examples: Examples, seed: int, advance: Advance) -> RecordedModel:
        self.examples.append(examples)
        self.seeds.append(seed)
        advance(0.5)
        advance(1.0)
        return RecordedModel(len(self.seeds))


class RecordedModel(Fitted):
    def __init__(self, number: int) -> None:
        history = pd.DataFrame({"step": [1, 2], "loss": [0.5, number]})
        topics = Topics("single", ("trade", "technology", "security"))
        super().__init__(history, ContextWeights(neighbours=0.5), (), topics)
        self._number = number

    def predict_proba(self, texts: Texts) -> Scores:
        before = (texts.at("before") != NO_TEXT).sum(axis=1)
        lengths = [len(text) for text in texts.plain]
        return np.column_stack([lengths, np.full(len(texts), self._number), before]).astype(float)

    def write(self, folder: Path) -> tuple[dict[str, Any], Parity]:
        return {}, {}


@pytest.fixture(scope="module")
def folds(rows: pd.DataFrame) -> pd.DataFrame:
    return make_folds(rows, 2, 2, None, 0).table


@pytest.fixture(scope="module")
def data(rows: pd.DataFrame, topics: Topics, folds: pd.DataFrame) -> Labelled:
    return Labelled(rows, topics, folds)


def test_each_row_is_scored_once_by_a_model_that_did_not_see_its_fold(data: Labelled) -> None:
    fit, rows, folds = Recorder(), data.rows, data.folds
    scores, _, _, _ = cross_validate(data, fit, 1)
    assert len(fit.examples) == n_fits(folds) == 4
    assert list(scores) == ["id", "repeat", "fold", *data.topics.score_columns]
    assert not scores.duplicated(["id", "repeat"]).any() and len(scores) == 2 * len(rows)
    merged = scores.merge(folds, on=["id", "repeat"], suffixes=("", " dealt")).merge(rows, on="id")
    assert (merged["fold"] == merged["fold dealt"]).all()
    assert (merged["score trade"] == merged["text"].str.len()).all()
    for text, number in zip(merged["text"], merged["score technology"], strict=True):
        assert text not in fit.examples[int(number) - 1].texts.plain


def test_examples_carry_the_groups_of_the_folds_and_the_articles(data: Labelled) -> None:
    fit, rows, folds = Recorder(), data.rows, data.folds
    fit_all(data, fit, 1)
    (examples,) = fit.examples
    assert examples.texts.plain == rows["text"].tolist()
    group = folds.drop_duplicates("id").set_index("id")["group"]
    assert examples.groups.tolist() == group[rows["id"]].tolist()
    assert len(set(zip(examples.articles, rows["article"], strict=True))) == 6


def test_each_fit_has_a_seed_of_its_own_that_the_main_seed_determines(data: Labelled) -> None:
    fit = Recorder()
    for seed in (1, 1, 2):
        cross_validate(data, fit, seed)
        fit_all(data, fit, seed)
    first, again, other = fit.seeds[:5], fit.seeds[5:10], fit.seeds[10:]
    assert first == again
    assert len({*first, *other}) == 10


def test_histories_are_joined_and_progress_counts_fits(data: Labelled) -> None:
    done: list[float] = []
    _, history, _, _ = cross_validate(data, Recorder(), 1, done.append)
    assert list(history) == ["repeat", "fold", "step", "loss"]
    assert history["step"].tolist() == [1, 2] * 4
    assert history["loss"].tolist()[1::2] == [1, 2, 3, 4]
    assert done == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]


def fit_baseline(examples: Examples, seed: int, advance: Advance) -> Fitted:
    return baseline.fit(
        examples, Topics("single", tuple(WORDS)), PARAMS.section("baseline"), seed, advance
    )


def test_several_processes_give_the_same_bytes_as_one(data: Labelled) -> None:
    done: list[float] = []
    one = cross_validate(data, fit_baseline, 1)
    two = cross_validate(data, fit_baseline, 1, done.append, processes=2)
    for here, there in zip(one, two, strict=True):
        pd.testing.assert_frame_equal(here, there, check_exact=True)
    assert done == [1, 2, 3, 4]


def test_without_folds_there_are_no_scores(rows: pd.DataFrame, topics: Topics) -> None:
    nothing = no_folds(rows, "too few labels").table
    scores, history, _, _ = cross_validate(Labelled(rows, topics, nothing), Recorder(), 1)
    assert n_fits(nothing) == 0
    assert scores.empty and list(scores) == ["id", "repeat", "fold", *topics.score_columns]
    assert history.empty and list(history) == ["repeat", "fold"]


def test_a_fit_to_definitions_scores_rows(
    data: Labelled, rows: pd.DataFrame, topics: Topics
) -> None:
    fit = Recorder()
    scores = score_by_definitions(data, fit, 7)
    (examples,) = fit.examples
    assert (len(examples.texts), examples.targets.shape) == (0, (0, 3))
    assert len(examples.groups) == len(examples.articles) == 0
    assert fit.seeds == [7]
    assert list(scores) == ["id", "repeat", *topics.score_columns]
    assert scores["id"].tolist() == rows["id"].tolist() and set(scores["repeat"]) == {0}
    assert scores["score trade"].tolist() == rows["text"].str.len().tolist()


def test_no_pool_has_held_out_rows(rows: pd.DataFrame, topics: Topics, folds: pd.DataFrame) -> None:
    copies = [text.upper() for text in rows["text"]]
    new = "Nobody labelled this paragraph on the weather at sea."
    pool = Pool(rows, pd.DataFrame({"article": "another", "text": [*copies, new]}))
    fit = Recorder()
    data = Labelled(rows, topics, folds, pool)
    cross_validate(data, fit, 1)
    parts = iterate_folds(folds, list(rows["id"]))
    for examples, (_, _, _, held_out) in zip(fit.examples, parts, strict=True):
        hidden = {copies[row] for row in held_out}
        assert hidden and not hidden & set(examples.unlabelled)
        assert new in examples.unlabelled
    fit_all(data, fit, 1)
    assert fit.examples[-1].unlabelled == pool.texts


def test_held_out_texts_are_scored_with_and_without_context(data: Labelled) -> None:
    rows, fit = data.rows, Recorder()
    table = paragraph_table(text=rows["text"], id=rows["id"], article=rows["article"])
    table = table.assign(ordered=True)
    in_articles = replace(data, rows=with_passages(rows, table))
    scores, _, without_context, _ = cross_validate(in_articles, fit, 1)
    befores = pd.Series(in_articles.texts.at("before").ravel(), rows["id"].repeat(N_NEIGHBOURS))
    befores = (befores != NO_TEXT).groupby(level=0).sum()
    assert scores["score security"].tolist() == befores[scores["id"]].tolist()
    assert scores["score security"].max() == N_NEIGHBOURS
    # No fold divides an article, so that each fit reads all context of its texts.
    training_texts = [text for part in fit.examples for text in texts_with_context(part.texts)]
    assert set(map(tuple, training_texts)) == set(map(tuple, texts_with_context(in_articles.texts)))
    expected = scores.assign(**{"score security": 0.0})
    pd.testing.assert_frame_equal(without_context, expected, check_exact=True)
    # A table of texts without context is scored once.
    scores, _, without_context, _ = cross_validate(data, Recorder(), 1)
    pd.testing.assert_frame_equal(scores, without_context, check_exact=True)


class Unmasked(Labelled):
    """Training texts and held-out texts keep all of their context."""

    def without_leakage(
        self, train: npt.NDArray[np.int64], held_out: npt.NDArray[np.int64]
    ) -> tuple[Texts, Texts]:
        return self.texts.select(train), self.texts.select(held_out)


@pytest.mark.parametrize("n_articles", [1, 2])
def test_neighbours_across_the_split_of_an_article_leak_no_label(
    n_articles: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of the predictions is right, because texts of random words contain no label.

    Neighbours have the same label. A model that reads across the split has seen the words around
    each label, and seems to be far better.
    """
    rng, n, names = random.Random(0), 120, tuple(WORDS)
    words = ["".join(rng.choices(string.ascii_lowercase, k=6)) for _ in range(8 * n)]
    frame = paragraph_table(
        text=[" ".join(words[start : start + 8]) for start in range(0, 8 * n, 8)],
        article=[str(number * n_articles // n) for number in range(n)],
        ordered=[True] * n,
        label=[[names[number // 5 % 3]] for number in range(n)],
        label_source=["hand"] * n,
    )
    # Texts of random words are no more similar to their neighbours than to other texts.
    monkeypatch.setattr(room, "_are_coherent", lambda *_: True)
    topics = Topics("single", names)
    rows = with_passages(labelled_rows(frame, topics), frame)
    dealt = make_folds(rows, 4, 1, None, 0)
    assert dealt.split_unit == "paragraph"

    def share_right(data: Labelled) -> float:
        scores = cross_validate(data, fit_baseline, 1).scores.set_index("id")
        row_scores = scores.loc[list(rows["id"]), topics.score_columns].to_numpy()
        predicted = np.array(names)[row_scores.argmax(axis=1)]
        pairs = zip(predicted, rows["topic"], strict=True)
        return float(np.mean([(name,) == label for name, label in pairs]))

    data = Labelled(rows, topics, dealt.table)
    assert fit_all(data, fit_baseline, 1).context.neighbours > 0.5
    assert share_right(Unmasked(rows, topics, dealt.table)) > 0.7
    assert share_right(data) < 0.4


def test_paragraphs_in_no_fold_are_scored_by_one_more_fit(
    rows: pd.DataFrame, topics: Topics
) -> None:
    names = ["security" if n < 2 else topics.names[n % 2] for n in range(len(rows))]
    rare = rows.assign(topic=pd.Series([(name,) for name in names], dtype=object))
    rare["article"] = ["one" if n < 2 else f"article {n % 6}" for n in range(len(rows))]
    data = Labelled(rare, topics, make_folds(rare, 2, 2, None, 0).table)
    fit = Recorder()
    scores = score_unfolded(data, fit, 0)
    assert scores["id"].tolist() == rare["id"][:2].tolist()
    (examples,) = fit.examples
    assert not examples.targets[:, topics.names.index("security")].any()
    assert len(examples.texts) == len(rare) - 2
    # So are paragraphs without a label in the same article.
    columns = ["id", "article", "repeat", "fold", "copy_of"]
    unlabelled = pd.DataFrame([["new", "one", 0, ALWAYS_TRAIN, ""]], columns=columns)
    extended = replace(data, unlabelled=Unlabelled(unlabelled, numbered(["A text."])))
    assert score_unfolded(extended, Recorder(), 0)["id"].tolist() == [*rare["id"][:2], "new"]
    all_folded = Labelled(rows, topics, make_folds(rows, 2, 2, None, 0).table)
    assert score_unfolded(all_folded, fit, 0).empty and len(fit.examples) == 1


def partly_labelled() -> pd.DataFrame:
    """Two of five paragraphs in each of eight articles have a label, none in four articles."""
    rng, numbers, names = random.Random(0), np.arange(60), tuple(WORDS)
    texts = [" ".join(rng.choices(string.ascii_lowercase, k=12)) for _ in numbers]
    is_labelled = (numbers % 5 < 2) & (numbers < 40)
    labels = [[names[number % 3]] for number in numbers]
    frame = paragraph_table(
        text=texts,
        article=[f"a{number // 5}" for number in numbers],
        label=pd.Series(labels).where(is_labelled, None),
        label_source=pd.Series(np.where(is_labelled, "hand", "none")),
    )
    frame.loc[3, "text"] = frame["text"][5].upper()  # a copy of a label in another article
    return frame


def test_others_are_scored_by_the_model_that_holds_their_article_out() -> None:
    """The model is fitted neither to copies of them nor to a pool that contains them."""
    frame, topics = partly_labelled(), Topics("single", tuple(WORDS))
    rows = labelled_rows(frame, topics)
    folds = make_folds(rows, 4, 1, None, 0)
    dealt = deal_unlabelled(frame, rows, folds, 0)
    others = Unlabelled(dealt, numbered(passages_for(frame, dealt["id"])))
    fit = Recorder()
    data = Labelled(rows, topics, folds.table, make_pool(frame, rows, 100, 0), unlabelled=others)
    scores = cross_validate(data, fit, 1).unlabelled
    merged = scores.merge(dealt, on="id", suffixes=("", " dealt")).merge(frame, on="id")
    assert len(merged) == len(dealt) == 44 and (merged["fold"] == merged["fold dealt"]).all()
    assert (merged["score trade"] == merged["text"].str.len()).all()
    for text, number in zip(merged["text"], merged["score technology"], strict=True):
        examples = fit.examples[int(number) - 1]
        known = {known.lower() for known in (*examples.texts.plain, *examples.unlabelled)}
        assert text.lower() not in known
    assert all(examples.unlabelled for examples in fit.examples)
