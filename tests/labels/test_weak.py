"""What weak sources answer, which labels it makes, and what is learnt from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paratopic.corpus.folds import make_folds
from paratopic.corpus.labelled import Labelled, labelled_rows, with_labels
from paratopic.labels.answers import of_people
from paratopic.labels.log import Label
from paratopic.labels.resolve import confidence_of, label_rows, resolve, votes_of_weak_sources
from paratopic.labels.summary import describe_sources
from paratopic.labels.weak import combine_votes, learn_sources
from paratopic.project.errors import UserError
from paratopic.project.topics import ModeName, Topic, Topics
from paratopic.reading.article import Article, paragraphs_of
from paratopic.reading.sources import NO_ANSWERS, frame_of
from paratopic.training.examples import examples_of
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


def given(
    frame: pd.DataFrame, *lines: Label, judged: set[str] | None = None
) -> list[list[tuple[str, ...]]]:
    rows = list(votes_of_weak_sources(frame, lines, TOPICS, judged or set()))
    return [
        [(row["source"], *row["given"]) for row in rows if row["paragraph"] == id_]
        for id_ in frame["id"]
    ]


def test_people_and_weak_sources_are_told_apart_by_name() -> None:
    lines = [line("a:1", "trade"), line("a:1", "trade", "ann"), line("a:1", "trade", "")]
    assert [each.annotator for each in of_people(lines, PARAMS.labels)] == ["ann", ""]


def test_headings_rules_and_annotators_answer(frame: pd.DataFrame) -> None:
    """The title is no heading of a section, and gives no label."""
    ids = list(frame["id"])
    of_model = line(ids[0], ""), line(ids[1], "trade"), line(ids[2], "?")
    heading, rule = ("headings", "security"), ("rules", "security")
    assert given(frame, *of_model) == [[("llm-x",)], [("llm-x", "trade"), heading, rule], [heading]]


def test_headings_answer_in_articles_that_nobody_looked_at(frame: pd.DataFrame) -> None:
    """But they are compared with hand labels, and a tie is learnt from by nobody."""
    ids = list(frame["id"])
    assert given(frame, judged={ids[0]}) == [[], [("rules", "security")], []]
    assert given(frame, line(ids[0], "trade"), judged={ids[0]})[0] == []
    frame.loc[1, "label_source"] = "hand"
    assert ("headings", "security") in given(frame, judged={ids[1]})[1]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("single", [["trade"], ["security"]]), ("multi", [["trade", "security"]])],
)
def test_a_text_may_match_several_rules(mode: ModeName, expected: list[list[str]]) -> None:
    frame = without_labels(plain_article("a", "A tariff war began.\n\nIt rained."))
    topics = Topics(mode, TOPICS.codebook)
    answers = votes_of_weak_sources(frame, [], topics, set())
    of_first = [(frame["id"][0], names) for names in expected]
    assert [(row["paragraph"], row["given"]) for row in answers] == of_first


def test_labels_are_those_of_sources_that_count(frame: pd.DataFrame) -> None:
    lines = [line(frame["id"][0], "trade")]
    resolved = resolve(frame, NO_ANSWERS, lines, replace(PARAMS, topics=TOPICS), frame[["id"]])
    table, votes = with_labels(frame, resolved.labels), resolved.votes
    assert table["label_source"].tolist() == ["weak"] * 3
    assert table["label"].tolist() == [["trade"], ["security"], ["security"]]
    alone, two, _ = combine_votes(frame, votes, learn_sources(frame, votes, TOPICS)).weights.max(
        axis=1
    )
    assert 0 < alone < two < 1


def test_without_anything_to_learn_weak_answers_are_left_out(frame: pd.DataFrame) -> None:
    lines = [line(id_, "security", "ann") for id_ in frame["id"]]
    resolved = resolve(frame, NO_ANSWERS, lines, replace(PARAMS, topics=TOPICS), frame[["id"]])
    assert resolved.trusted.names == ("headings", "rules")
    assert resolved.votes["kind"].tolist() == ["person"] * 3


def test_unknown_topics_and_confidences_are_refused_with_their_line(frame: pd.DataFrame) -> None:
    with pytest.raises(UserError, match='line 2: .*"tradee"'):
        given(frame, line(frame["id"][0], "tradee"))
    assert confidence_of(line("a:1", "trade", confidence="0.9")) == 0.9
    assert confidence_of(line("a:1", "trade")) is None
    for cell in ("1.1", "nan", "high"):
        with pytest.raises(UserError, match="line 2: .* not a number from 0 to 1"):
            confidence_of(line("a:1", "trade", confidence=cell))


NAMES = ("trade", "security")
N = 60


def answered(mode: ModeName = "single") -> tuple[pd.DataFrame, pd.DataFrame, Topics]:
    """Half of the rows have a hand label; a source is wrong in every fifth answer."""
    topics = [[NAMES[number % 2]] for number in range(N)]
    frame = paragraph_table(
        article=[f"a{number}" for number in range(N)],
        text=[f"word{number} is {number} of its own" for number in range(N)],
        label=topics,
        label_source=["hand" if number < N // 2 else "weak" for number in range(N)],
    )
    given = [{"llm": topics[number if number % 5 else number - 1]} for number in range(N)]
    return frame, weak_table(frame["id"], given), Topics(mode, NAMES)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_sources_are_compared_with_hand_labels_by_topic(mode: ModeName) -> None:
    frame, answers, topics = answered(mode)
    sources = learn_sources(frame, answers, topics)
    reliabilities = list(sources.reliabilities())
    assert [each.topic for each in reliabilities] == list(NAMES)
    assert (
        sum(each.compared for each in reliabilities),
        sum(each.right for each in reliabilities),
    ) == (30, 24)
    assert all(0.7 < each.trust < 0.85 and each.counts for each in reliabilities)
    lesson = combine_votes(frame, answers, sources)
    expected = [[name in each for name in NAMES] for each in answers["given"]]
    assert lesson.targets.tolist() == expected
    line = describe_sources(reliabilities)[0]
    assert line.startswith("llm: trade right in 12 of 15 (estimated accuracy 0.7")


def test_hand_labels_that_are_held_out_teach_no_trust() -> None:
    frame, answers, topics = answered()
    part = np.flatnonzero(np.arange(N) % 3 > 0)
    folds = make_folds(labelled_rows(frame, topics), 5, 1, None, 0).table

    def soft_of(frame: pd.DataFrame) -> object:
        data = Labelled(labelled_rows(frame, topics), topics, folds, weak=answers)
        examples = examples_of(data, part, data.texts.of(part), ())
        assert examples.soft is not None
        return examples.soft.ratio.tolist()

    is_held_out = (np.arange(N) % 3 == 0) & (frame["label_source"] == "hand")
    others = frame["label"].where(~is_held_out, pd.Series([["security"]] * N))
    assert soft_of(frame.assign(label=others)) == soft_of(frame)


def test_where_all_labels_are_by_hand_weak_answers_change_nothing() -> None:
    frame, answers, topics = answered()
    rows = labelled_rows(frame[frame["label_source"] == "hand"], topics)
    folds = make_folds(rows, 5, 1, None, 0).table
    data = Labelled(rows, topics, folds, weak=answers)
    learnt = examples_of(data, slice(None), data.texts, ())
    # As a fit that knows of no soft labels has them.
    assert learnt.soft is None and learnt.texts is data.texts
    assert (learnt.targets == data.targets).all() and (learnt.groups == data.groups).all()
    assert (learnt.articles == pd.factorize(rows["article"])[0]).all()


def test_weak_answers_change_no_fold_of_hand_labels() -> None:
    frame, _, topics = answered()
    every = make_folds(labelled_rows(frame, topics), 5, 2, None, 0)
    by_hand = frame[frame["label_source"] == "hand"]
    alone = make_folds(labelled_rows(by_hand, topics), 5, 2, None, 0)
    assert (every.split_unit, every.n_folds) == (alone.split_unit, alone.n_folds)
    both = alone.table.merge(every.table, on=["id", "repeat"])
    assert (both["fold_x"] == both["fold_y"]).all()
    weak = every.table[~every.table["id"].isin(by_hand["id"])]
    assert set(weak["fold"]) == set(range(5))
