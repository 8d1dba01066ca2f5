"""Votes of weak sources, the weak labels, and the training examples from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paratopic.corpus.folds import make_folds
from paratopic.corpus.labelled import Labelled, labelled_rows, with_labels
from paratopic.corpus.table import targets_of
from paratopic.labels.log import Label
from paratopic.labels.resolve import confidence_of, label_rows, resolve, votes_of_weak_sources
from paratopic.labels.summary import describe_sources
from paratopic.labels.votes import votes_of_people
from paratopic.labels.weak import combine_votes, estimate_sources
from paratopic.project.errors import UserError
from paratopic.project.topics import ModeName, Topic, Topics
from paratopic.reading.article import Article, paragraphs_of
from paratopic.reading.sources import NO_VOTES, frame_of
from paratopic.training.examples import Examples
from tests.samples import PARAMS, paragraph_table, plain_article, weak_table

TOPICS = Topics(
    "single",
    (
        Topic("trade", heading=r"\btrade\b", pattern="tariff"),
        Topic("security", heading="security", pattern="troops|tariff war"),
    ),
)
TEXT = "Trade talks\n\nIt rained.\n\nSecurity\n\nTroops crossed the border.\n\nThey left."


def line(paragraph: str, cell: str, annotator: str = "llm-x", **more: str) -> Label:
    return Label("line 2", paragraph, cell, "", annotator, more=tuple(more.items()))


@pytest.fixture
def frame() -> pd.DataFrame:
    """A titled article with a section; nothing is labelled yet."""
    return without_labels(plain_article("titled", TEXT))


def without_labels(article: Article) -> pd.DataFrame:
    return with_labels(frame_of(paragraphs_of(article)), label_rows({}, "hand"))


def weak_votes(
    frame: pd.DataFrame, *lines: Label, voted_on: set[str] | None = None
) -> list[list[tuple[str, ...]]]:
    """Source and topics of each vote, for each paragraph."""
    votes: dict[str, list[tuple[str, ...]]] = {id_: [] for id_ in frame["id"]}
    for row in votes_of_weak_sources(frame, lines, TOPICS, voted_on or set()):
        votes[row["paragraph"]].append((row["source"], *row["given"]))
    return list(votes.values())


def test_people_and_weak_sources_have_different_names() -> None:
    lines = [line("a:1", "trade"), line("a:1", "trade", "ann"), line("a:1", "trade", "")]
    assert [vote.annotator for vote in votes_of_people(lines, PARAMS.labels)] == ["ann", ""]


def test_headings_rules_and_models_vote(frame: pd.DataFrame) -> None:
    """The title is not a heading of a section, and is not a vote."""
    ids = list(frame["id"])
    model_lines = line(ids[0], ""), line(ids[1], "trade"), line(ids[2], "?")
    heading, rule = ("headings", "security"), ("rules", "security")
    assert weak_votes(frame, *model_lines) == [
        [("llm-x",)],
        [("llm-x", "trade"), heading, rule],
        [heading],
    ]


def test_headings_vote_in_articles_without_votes_of_people(frame: pd.DataFrame) -> None:
    """Paragraphs with a hand label get a vote for comparison, and those with a tie get none."""
    ids = list(frame["id"])
    assert weak_votes(frame, voted_on={ids[0]}) == [[], [("rules", "security")], []]
    assert weak_votes(frame, line(ids[0], "trade"), voted_on={ids[0]})[0] == []
    frame.loc[1, "label_source"] = "hand"
    assert ("headings", "security") in weak_votes(frame, voted_on={ids[1]})[1]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("single", [["trade"], ["security"]]), ("multi", [["trade", "security"]])],
)
def test_a_text_may_match_several_rules(mode: ModeName, expected: list[list[str]]) -> None:
    frame = without_labels(plain_article("a", "A tariff war began.\n\nIt rained."))
    topics = Topics(mode, TOPICS.codebook)
    votes = votes_of_weak_sources(frame, [], topics, set())
    expected_votes = [(frame["id"][0], names) for names in expected]
    assert [(row["paragraph"], row["given"]) for row in votes] == expected_votes


def test_labels_are_those_of_sources_that_count(frame: pd.DataFrame) -> None:
    lines = [line(frame["id"][0], "trade")]
    resolved = resolve(frame, NO_VOTES, lines, replace(PARAMS, topics=TOPICS), frame[["id"]])
    table, votes = with_labels(frame, resolved.labels), resolved.votes
    assert table["label_source"].tolist() == ["weak"] * 3
    assert table["label"].tolist() == [["trade"], ["security"], ["security"]]
    combined = combine_votes(frame, votes, estimate_sources(frame, votes, TOPICS))
    one_vote, two_votes, _ = combined.weights.max(axis=1)
    assert 0 < one_vote < two_votes < 1


def test_weak_votes_are_left_out_if_all_paragraphs_have_hand_labels(frame: pd.DataFrame) -> None:
    lines = [line(id_, "security", "ann") for id_ in frame["id"]]
    resolved = resolve(frame, NO_VOTES, lines, replace(PARAMS, topics=TOPICS), frame[["id"]])
    assert resolved.weak_sources.names == ("headings", "rules")
    assert resolved.votes["kind"].tolist() == ["person"] * 3


def test_unknown_topics_and_confidences_are_refused_with_their_line(frame: pd.DataFrame) -> None:
    with pytest.raises(UserError, match='line 2: .*"tradee"'):
        weak_votes(frame, line(frame["id"][0], "tradee"))
    assert confidence_of(line("a:1", "trade", confidence="0.9")) == 0.9
    assert confidence_of(line("a:1", "trade")) is None
    for cell in ("1.1", "nan", "high"):
        with pytest.raises(UserError, match="line 2: .* not a number from 0 to 1"):
            confidence_of(line("a:1", "trade", confidence=cell))


NAMES = ("trade", "security")
N = 60


def example(mode: ModeName = "single") -> tuple[pd.DataFrame, pd.DataFrame, Topics]:
    """Half of the rows have a hand label, and every fifth vote of a source is wrong."""
    topics = [[NAMES[number % 2]] for number in range(N)]
    frame = paragraph_table(
        article=[f"a{number}" for number in range(N)],
        text=[f"word{number} is {number} of its own" for number in range(N)],
        label=topics,
        label_source=["hand" if number < N // 2 else "weak" for number in range(N)],
    )
    votes = [{"llm": topics[number if number % 5 else number - 1]} for number in range(N)]
    return frame, weak_table(frame["id"], votes), Topics(mode, NAMES)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_sources_are_compared_with_hand_labels_by_topic(mode: ModeName) -> None:
    frame, votes, topics = example(mode)
    sources = estimate_sources(frame, votes, topics)
    reliabilities = list(sources.reliabilities())
    assert [row.topic for row in reliabilities] == list(NAMES)
    assert sum(row.compared for row in reliabilities) == 30
    assert sum(row.right for row in reliabilities) == 24
    assert all(0.7 < row.trust < 0.85 and row.counts for row in reliabilities)
    combined = combine_votes(frame, votes, sources)
    assert (combined.targets == targets_of(votes["given"], NAMES)).all()
    line = describe_sources(reliabilities)[0]
    assert line.startswith("llm: trade right in 12 of 15 (estimated accuracy 0.7")


def test_held_out_hand_labels_do_not_change_accuracies() -> None:
    frame, votes, topics = example()
    part = np.flatnonzero(np.arange(N) % 3 > 0)
    folds = make_folds(labelled_rows(frame, topics), 5, 1, None, 0).table

    def soft_ratios(frame: pd.DataFrame) -> object:
        data = Labelled(labelled_rows(frame, topics), topics, folds, weak=votes)
        examples = Examples.make(data, part, data.texts.select(part), ())
        assert examples.soft is not None
        return examples.soft.ratio.tolist()

    is_held_out = (np.arange(N) % 3 == 0) & (frame["label_source"] == "hand")
    others = frame["label"].where(~is_held_out, pd.Series([["security"]] * N))
    assert soft_ratios(frame.assign(label=others)) == soft_ratios(frame)


def test_weak_votes_change_nothing_if_all_labels_are_by_hand() -> None:
    frame, votes, topics = example()
    rows = labelled_rows(frame[frame["label_source"] == "hand"], topics)
    folds = make_folds(rows, 5, 1, None, 0).table
    data = Labelled(rows, topics, folds, weak=votes)
    examples = Examples.make(data, slice(None), data.texts, ())
    assert examples.soft is None and examples.texts is data.texts
    assert (examples.targets == data.targets).all() and (examples.groups == data.groups).all()
    assert (examples.articles == pd.factorize(rows["article"])[0]).all()


def test_weak_votes_do_not_change_folds_of_hand_labels() -> None:
    frame, _, topics = example()
    folds = make_folds(labelled_rows(frame, topics), 5, 2, None, 0)
    by_hand = frame[frame["label_source"] == "hand"]
    hand_folds = make_folds(labelled_rows(by_hand, topics), 5, 2, None, 0)
    assert (folds.split_unit, folds.n_folds) == (hand_folds.split_unit, hand_folds.n_folds)
    merged = hand_folds.table.merge(folds.table, on=["id", "repeat"])
    assert (merged["fold_x"] == merged["fold_y"]).all()
    weak = folds.table[~folds.table["id"].isin(by_hand["id"])]
    assert set(weak["fold"]) == set(range(5))
