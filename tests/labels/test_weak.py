"""Which answers weak sources give, and what labels they make."""

from __future__ import annotations

import pandas as pd
import pytest

from paratopic.corpus.answers import answer_rows, with_labels
from paratopic.labels.answers import of_people, of_weak_sources
from paratopic.labels.log import Label
from paratopic.labels.resolve import resolve_answers
from paratopic.labels.weak import certainty_of, learn_sources, teach, weak_answers
from paratopic.project.errors import UserError
from paratopic.project.topics import ModeName, Topic, Topics
from paratopic.reading.article import Article, paragraphs_of
from paratopic.reading.sources import NO_ANSWERS, frame_of
from tests.samples import plain_article

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
    return with_labels(frame_of(paragraphs_of(article)), answer_rows([]))


def given(
    frame: pd.DataFrame, *lines: Label, judged: set[str] | None = None
) -> list[list[tuple[str, ...]]]:
    rows = list(weak_answers(frame, lines, TOPICS, judged or set()))
    return [
        [(row["source"], *row["topics"]) for row in rows if row["paragraph"] == id_]
        for id_ in frame["id"]
    ]


def test_people_and_weak_sources_are_told_apart_by_name() -> None:
    lines = [line("a:1", "trade"), line("a:1", "trade", "ann"), line("a:1", "trade", "")]
    assert [each.annotator for each in of_people(lines, ["llm-*"])] == ["ann", ""]
    assert [each.annotator for each in of_weak_sources(lines, ["llm-*"])] == ["llm-x"]


def test_headings_rules_and_annotators_answer(frame: pd.DataFrame) -> None:
    """The title is no heading of a section, and gives no label."""
    ids = list(frame["id"])
    of_model = line(ids[0], ""), line(ids[1], "trade"), line(ids[2], "?")
    heading, rule = ("headings", "security"), ("rules", "security")
    assert given(frame, *of_model) == [
        [("llm-x",)],
        [("llm-x", "trade"), heading, rule],
        [heading],
    ]


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
    answers = weak_answers(frame, [], topics, set())
    of_first = [(frame["id"][0], names) for names in expected]
    assert [(row["paragraph"], row["topics"]) for row in answers] == of_first


def test_labels_are_those_of_sources_that_count(frame: pd.DataFrame) -> None:
    lines = [line(frame["id"][0], "trade")]
    answers = resolve_answers(frame, NO_ANSWERS, lines, TOPICS, "first", ["llm-*"]).answers
    table = with_labels(frame, answers)
    assert table["label_source"].tolist() == ["weak"] * 3
    assert table["topics"].tolist() == [["trade"], ["security"], ["security"]]
    alone, two, _ = teach(frame, answers, learn_sources(frame, answers, TOPICS)).weights.max(axis=1)
    assert 0 < alone < two < 1


def test_without_anything_to_learn_weak_answers_are_left_out(frame: pd.DataFrame) -> None:
    lines = [line(id_, "security", "ann") for id_ in frame["id"]]
    resolved = resolve_answers(frame, NO_ANSWERS, lines, TOPICS, "first")
    assert resolved.trusted.names == ("headings", "rules")
    assert resolved.answers["kind"].tolist() == ["person"] * 3


def test_certainty_is_a_number_from_0_to_1() -> None:
    assert certainty_of(line("a:1", "trade", certainty="0.9")) == 0.9
    assert certainty_of(line("a:1", "trade")) is None
    for cell in ("1.1", "nan", "high"):
        with pytest.raises(UserError, match="line 2: .* not a number from 0 to 1"):
            certainty_of(line("a:1", "trade", certainty=cell))


def test_an_unknown_topic_is_refused_with_its_line(frame: pd.DataFrame) -> None:
    with pytest.raises(UserError, match='line 2: unknown topic "tradee"'):
        given(frame, line(frame["id"][0], "tradee"))
