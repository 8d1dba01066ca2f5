"""Cross-validation: what each fit sees, which seed it gets, and how its scores are put together."""

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
from paratopic.corpus.table import texts_of, with_passages
from paratopic.inference.linear_head import ContextWeights
from paratopic.inference.modes import Scores
from paratopic.project.passages import REACH
from paratopic.project.texts import NOTHING, Texts, numbered
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
from tests.samples import PARAMS, WORDS, paragraph_table, read_in


class Recorder:
    """A fit that records what it is given; its models give texts' lengths and the fit's number."""

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
        before = (texts.at("before") != NOTHING).sum(axis=1)
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
    assert list(scores) == ["id", "repeat", "fold", *data.topics.scores]
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
    assert scores.empty and list(scores) == ["id", "repeat", "fold", *topics.scores]
    assert history.empty and list(history) == ["repeat", "fold"]


def test_definitions_alone_score_rows(data: Labelled, rows: pd.DataFrame, topics: Topics) -> None:
    fit = Recorder()
    scores = score_by_definitions(data, fit, 7)
    (examples,) = fit.examples
    assert (len(examples.texts), examples.targets.shape) == (0, (0, 3))
    assert len(examples.groups) == len(examples.articles) == 0
    assert fit.seeds == [7]
    assert list(scores) == ["id", "repeat", *topics.scores]
    assert scores["id"].tolist() == rows["id"].tolist() and set(scores["repeat"]) == {0}
    assert scores["score trade"].tolist() == rows["text"].str.len().tolist()


def test_no_pool_has_held_out_rows(rows: pd.DataFrame, topics: Topics, folds: pd.DataFrame) -> None:
    copies = [text.upper() for text in rows["text"]]
    both = [*rows["text"], *copies, "Nobody labelled this paragraph on the weather at sea."]
    pool = Pool(rows, pd.DataFrame({"article": "another", "text": both[len(rows) :]}))
    fit = Recorder()
    data = Labelled(rows, topics, folds, pool)
    cross_validate(data, fit, 1)
    parts = iterate_folds(folds, list(rows["id"]))
    for examples, (_, _, _, held_out) in zip(fit.examples, parts, strict=True):
        hidden = {copies[row] for row in held_out}
        assert hidden and not hidden & set(examples.unlabelled)
        assert both[-1] in examples.unlabelled
    fit_all(data, fit, 1)
    assert fit.examples[-1].unlabelled == pool.texts


def test_what_is_held_out_is_scored_in_context_and_alone(data: Labelled) -> None:
    rows, fit, texts_alone = data.rows, Recorder(), data
    table = paragraph_table(text=rows["text"], id=rows["id"], article=rows["article"])
    table = table.assign(ordered=True)
    data = replace(data, rows=with_passages(rows, table))
    scores, _, alone, _ = cross_validate(data, fit, 1)
    befores = pd.Series(data.texts.at("before").ravel(), rows["id"].repeat(REACH))
    befores = (befores != NOTHING).groupby(level=0).sum()
    assert scores["score security"].tolist() == befores[scores["id"]].tolist()
    assert scores["score security"].max() == REACH
    # Articles are held out whole, so that each fit learns from all that stands around its texts.
    learnt_from = [each for part in fit.examples for each in read_in(part.texts)]
    assert set(map(tuple, learnt_from)) == set(map(tuple, read_in(data.texts)))
    pd.testing.assert_frame_equal(alone, scores.assign(**{"score security": 0.0}), check_exact=True)
    # A table of texts alone is scored once.
    texts, _, same, _ = cross_validate(texts_alone, Recorder(), 1)
    pd.testing.assert_frame_equal(texts, same, check_exact=True)


class Unmasked(Labelled):
    """As if what stands around texts told nothing of what is held out."""

    def without_leakage(
        self, train: npt.NDArray[np.int64], held_out: npt.NDArray[np.int64]
    ) -> tuple[Texts, Texts]:
        return self.texts.of(train), self.texts.of(held_out)


@pytest.mark.parametrize("n_articles", [1, 2])
def test_neighbours_across_the_split_of_an_article_do_not_tell_what_is_held_out(
    n_articles: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random words tell nothing of labels, which come in runs: a third of the answers is right.

    A model that reads across the split knows the words around each label, and seems to be far
    better.
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
    # Texts of random words are no more like their neighbours than like others.
    monkeypatch.setattr(room, "_are_coherent", lambda *given: True)
    topics = Topics("single", names)
    rows = with_passages(labelled_rows(frame, topics), frame)
    dealt = make_folds(rows, 4, 1, None, 0)
    assert dealt.split_unit == "paragraph"

    def share_right(data: Labelled) -> float:
        scores = cross_validate(data, fit_baseline, 1).scores.set_index("id")
        of_rows = scores.loc[list(rows["id"]), topics.scores].to_numpy()
        answers = np.array(names)[of_rows.argmax(axis=1)]
        pairs = zip(answers, rows["topic"], strict=True)
        return float(np.mean([(answer,) == label for answer, label in pairs]))

    data = Labelled(rows, topics, dealt.table)
    assert fit_all(data, fit_baseline, 1).context.neighbours > 0.5
    assert share_right(Unmasked(rows, topics, dealt.table)) > 0.7
    assert share_right(data) < 0.4


def test_what_is_never_held_out_is_scored_apart(rows: pd.DataFrame, topics: Topics) -> None:
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
    of_one = pd.DataFrame([["new", "one", 0, ALWAYS_TRAIN, ""]], columns=columns)
    beside = replace(data, unlabelled=Unlabelled(of_one, numbered(["A text."])))
    assert score_unfolded(beside, Recorder(), 0)["id"].tolist() == [*rare["id"][:2], "new"]
    whole = Labelled(rows, topics, make_folds(rows, 2, 2, None, 0).table)
    assert score_unfolded(whole, fit, 0).empty and len(fit.examples) == 1


def test_others_are_scored_by_the_model_that_holds_their_article_out() -> None:
    """And nothing that the model learns from tells of them: neither their copies nor the pool."""
    rng, names = random.Random(0), tuple(WORDS)
    texts = [" ".join(rng.choices(string.ascii_lowercase, k=12)) for _ in range(60)]
    frame = paragraph_table(
        text=texts,
        article=[f"a{number // 5}" for number in range(60)],
        label=[[names[n % 3]] if n % 5 < 2 and n < 40 else None for n in range(60)],
        label_source=["hand" if n % 5 < 2 and n < 40 else "none" for n in range(60)],
    )
    frame.loc[3, "text"] = frame["text"][5].upper()  # a copy of a label in another article
    topics = Topics("single", names)
    rows = labelled_rows(frame, topics)
    folds = make_folds(rows, 4, 1, None, 0)
    dealt = deal_unlabelled(frame, rows, folds, 0)
    others = Unlabelled(dealt, numbered(texts_of(frame, dealt["id"])))
    fit = Recorder()
    data = Labelled(rows, topics, folds.table, make_pool(frame, rows, 100, 0), unlabelled=others)
    scores = cross_validate(data, fit, 1).unlabelled
    merged = scores.merge(dealt, on="id", suffixes=("", " dealt")).merge(frame, on="id")
    assert len(merged) == len(dealt) == 44 and (merged["fold"] == merged["fold dealt"]).all()
    assert (merged["score trade"] == merged["text"].str.len()).all()
    for text, number in zip(merged["text"], merged["score technology"], strict=True):
        examples = fit.examples[int(number) - 1]
        known = {each.lower() for each in (*examples.texts.plain, *examples.unlabelled)}
        assert text.lower() not in known
    assert all(examples.unlabelled for examples in fit.examples)
