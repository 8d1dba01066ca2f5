"""Which answers weak sources give, and what labels they make."""

from __future__ import annotations

import pandas as pd
import pytest

from paratopic.corpus.table import WEAK
from paratopic.labels.answers import of_people, of_weak_sources
from paratopic.labels.log import Label
from paratopic.labels.weak import (
    certainty_of,
    join_weak,
    weak_answers,
)
from paratopic.labels.weak_sources import learn_sources
from paratopic.project.errors import UserError
from paratopic.project.topics import ModeName, Topic, Topics
from paratopic.reading.article import paragraphs_of
from paratopic.reading.sources import frame_of
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
    return frame_of(paragraphs_of(plain_article("titled", TEXT)))


def given(frame: pd.DataFrame, *lines: Label, judged: set[str] | None = None) -> list[object]:
    column = weak_answers(frame, lines, TOPICS, judged or set())
    return [
        answers and [(each["source"], *each["topics"]) for each in answers] for answers in column
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
    assert given(frame, judged={ids[0]}) == [None, [("rules", "security")], None]
    assert given(frame, line(ids[0], "trade"), judged={ids[0]})[0] is None
    frame.loc[1, "label_source"] = "hand"
    assert ("headings", "security") in given(frame, judged={ids[1]})[1]  # type: ignore[operator]  # not None: it has answers


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("single", [["trade"], ["security"]]), ("multi", [["trade", "security"]])],
)
def test_a_text_may_match_several_rules(mode: ModeName, expected: list[list[str]]) -> None:
    frame = frame_of(paragraphs_of(plain_article("a", "A tariff war began.\n\nIt rained.")))
    topics = Topics(mode, TOPICS.codebook)
    answers = weak_answers(frame, [], topics, set())
    assert [each["topics"] for each in answers[0]] == expected and answers[1] is None


def test_labels_are_those_of_sources_that_count(frame: pd.DataFrame) -> None:
    ids = list(frame["id"])
    frame[WEAK.name] = weak_answers(frame, [line(ids[0], "trade")], TOPICS, set())
    table = join_weak(frame, learn_sources(frame, TOPICS))
    assert table["label_source"].tolist() == ["weak"] * 3
    assert table["topics"].tolist() == [["trade"], ["security"], ["security"]]
    alone, two, _ = table["trust"]
    assert 0 < alone < two < 1


def test_without_anything_to_learn_the_table_is_as_before(frame: pd.DataFrame) -> None:
    frame = frame.assign(label_source="hand", topics=pd.Series([[], ["security"], []]))
    answered = frame.assign(**{WEAK.name: weak_answers(frame, [], TOPICS, set())})
    assert answered[WEAK.name].notna().any()
    pd.testing.assert_frame_equal(join_weak(answered, learn_sources(answered, TOPICS)), frame)


def test_certainty_is_a_number_from_0_to_1() -> None:
    assert certainty_of(line("a:1", "trade", certainty="0.9")) == 0.9
    assert certainty_of(line("a:1", "trade")) is None
    for cell in ("1.1", "nan", "high"):
        with pytest.raises(UserError, match="line 2: .* not a number from 0 to 1"):
            certainty_of(line("a:1", "trade", certainty=cell))


def test_an_unknown_topic_is_refused_with_its_line(frame: pd.DataFrame) -> None:
    with pytest.raises(UserError, match='line 2: unknown topic "tradee"'):
        weak_answers(frame, [line(frame["id"][0], "tradee")], TOPICS, set())
