"""Stage split: the folds of a paragraph table, and tables without folds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paratopic.corpus.folds import ALWAYS_TRAIN, Folds, TooFewLabels
from paratopic.corpus.labelled import Labelled, labelled_in
from paratopic.project.params import Split
from paratopic.project.topics import Topic, Topics
from paratopic.stages import split as stage
from tests.samples import PARAMS, paragraph_table

TOPICS = Topics("single", tuple(Topic(name, f"About {name}.") for name in "xyz"))


def table_of(topics: str, hand: str) -> Labelled:
    """One paragraph per article: "xy", "x" → topics x and y, and a hand label for x."""
    table = paragraph_table(
        article=[f"a{number}" for number in range(len(topics))],
        text=[f"word{number} is {number} of its own" for number in range(len(topics))],
        label=[[topic] for topic in topics],
        label_source=["hand" if topic in hand else "weak" for topic in topics],
    )
    return labelled_in(table, TOPICS)


def split(data: Labelled, settings: Split) -> Folds:
    return stage.split(data, replace(PARAMS, split=settings, seed=0))


def test_labelled_paragraphs_are_dealt() -> None:
    folds = split(table_of("xxxxyyyyz", "xyz"), Split(5, 2, None))
    assert (folds.split_unit, folds.n_folds, folds.n_repeats) == ("article", 4, 2)
    assert folds.messages[0].startswith("topic z is in only one article")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        # Weak labels of the other topics do not count in figures.
        (table_of("xxxxyyyyz", "z"), "only one topic"),
        (table_of("xyz", "xyz"), "fewer than two topics"),
    ],
)
def test_there_are_no_folds_if_nothing_can_be_measured(data: Labelled, why: str) -> None:
    folds = split(data, Split(5, 2, None))
    assert (folds.split_unit, folds.n_folds) == ("nothing", 0)
    assert folds.messages[0].startswith(why) and "nothing is measured" in folds.messages[0]
    assert (folds.table["fold"] == ALWAYS_TRAIN).all() and len(folds.table) == len(data.rows)
    topics = replace(TOPICS, codebook=tuple(Topic(name) for name in "xyz"))
    bare = replace(data, topics=topics)
    if not data.by_hand.all():
        assert "and weak labels" in folds.messages[0]
        assert split(bare, Split(5, 2, None)).n_folds == 0
        return
    with pytest.raises(TooFewLabels, match=why):
        split(bare, Split(5, 2, None))


def test_a_fifth_of_many_labels_is_held_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paratopic.corpus.folds.HOLDOUT_FROM", 100)
    tables = {n: table_of("xy" * (n // 2), "xy") for n in (98, 100)}
    folds = {n: split(table, Split(5, 2, "auto")) for n, table in tables.items()}
    assert (folds[98].n_folds, folds[98].n_repeats) == (5, 2)
    assert (folds[100].n_folds, folds[100].n_repeats) == (1, 1)
    assert (folds[100].table["fold"] == 0).sum() == 20
    always = split(tables[100], Split(5, 2, None))
    assert always.n_folds == 5


def test_few_labels_are_dealt_three_times_and_several_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paratopic.project.params.FEW_LABELS", 50)
    tables = {n: table_of("xy" * (n // 2), "xy") for n in (48, 50)}
    repeats = {n: split(tables[n], Split(5, "auto", None)).n_repeats for n in tables}
    assert repeats == {48: 3, 50: 1}
    assert split(tables[50], Split(5, 4, None)).n_repeats == 4
