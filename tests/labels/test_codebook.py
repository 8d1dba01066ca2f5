"""What changes of the codebook make of labels: names of before are read as today's."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.corpus.labelled import with_labels
from paratopic.corpus.table import PARAGRAPHS_SCHEMA
from paratopic.labels.answers import CurrentAnswers, disputes, read_answers
from paratopic.labels.log import Label
from paratopic.labels.resolve import in_names_of_today, join_labels
from paratopic.project.codebook import Change
from paratopic.project.topics import Topic, Topics
from tests.samples import paragraph_table

TOPICS = Topics(
    "single",
    (Topic("defence", was=("security", "army")), "trade", "sea", "air"),
    {"forces": ("sea", "air"), "weather": (), "space": ("forces",)},
)


def label(paragraph: str, cell: str, annotator: str, when: str = "") -> Label:
    return Label("x", paragraph, cell, "", annotator, when)


def test_former_names_are_read_as_todays() -> None:
    lines = [
        label("a:1", "security;trade;army", "ann"),
        label("a:1", "defence", "bo"),
        label("a:2", "technology", "ann"),  # a name that the codebook never had stays
    ]
    current = read_answers(lines, TOPICS)
    assert [answer.cell for answer in current.answers] == ["defence;trade", "defence", "technology"]
    assert current.retired == []
    assert disputes(lines, ["a:1"], Topics("single", (Topic("defence", was=("security",)), "x")))


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("forces", "forces was split into sea, air"),
        ("trade;space", "space was split into sea, air"),
        ("weather", "weather was dropped"),
    ],
)
def test_answers_with_a_topic_that_is_no_more_are_to_be_given_again(cell: str, why: str) -> None:
    lines = [label("a:1", cell, "ann", "2025-01-01")]
    (retired,) = read_answers(lines, TOPICS).retired
    assert (retired.paragraph, TOPICS.today(retired.names).retired) == ("a:1", why)
    # What the annotator has replaced stays replaced, and somebody else's answer counts.
    earlier = label("a:1", "trade", "ann", "2024-01-01")
    assert read_answers([earlier, *lines], TOPICS).answers == []
    current = read_answers([*lines, label("a:1", "trade", "bo")], TOPICS)
    assert [answer.annotator for answer in current.answers] == ["bo"] and not current.retired
    later = label("a:1", "sea", "ann", "2025-01-02")
    assert read_answers([*lines, later], TOPICS).answers == [later]


def test_labels_of_tables_follow_also_before_they_are_read_again() -> None:
    names = [["security"], ["trade", "army"], ["forces"], []]
    frame = paragraph_table(text=list("abcde"))[list(PARAGRAPHS_SCHEMA.names)]
    raw = pd.DataFrame(
        {"paragraph": frame["id"][:4], "source": "t", "cell": "", "topics": names, "draw": ""}
    ).assign(where="t, line 2")
    of_before = Topics("single", ("security", "army", "trade", "forces", "sea", "weather"))
    votes, labelled, _ = join_labels(frame, raw, CurrentAnswers([], []), of_before, "leave_out")
    # An answer in labels.csv takes the place of a table's label, and one to give again removes it.
    lines = [label("002", "sea", "ann"), label("000", "weather", "ann")]
    now = read_answers(lines, TOPICS)
    *after, (message,) = join_labels(frame, raw, now, TOPICS, "leave_out")
    assert message.startswith("1 paragraph ")
    renamed = in_names_of_today(votes, labelled, TOPICS)
    for (table, of_each), labels, again in (
        ((votes, labelled), [["security"], ["trade", "army"], ["forces"], [], None], []),
        (renamed, [["defence"], ["trade", "defence"], None, [], None], ["002"]),
        (after, [None, ["trade", "defence"], ["sea"], [], None], ["000"]),
    ):
        assert with_labels(frame, of_each)["label"].tolist() == labels
        assert table["paragraph"][table["status"] == "retired"].tolist() == again


NAMES = ["a", "b", "c", "d"]
ANSWERS = st.tuples(
    st.sampled_from(["p:1", "p:2", "p:3"]),
    st.lists(st.sampled_from(NAMES), unique=True, max_size=3).map(";".join) | st.just("?"),
    st.sampled_from(["ann", "bo"]),
)
STEPS = st.sampled_from(["rename", "merge", "split", "drop"])


def change_of(step: str, names: list[str], number: int) -> Change:
    """A change of the topics that are there."""
    new = f"new{number}"
    make: dict[str, Callable[[], Change]] = {
        "rename": lambda: Change("rename", (names[0],), (new,)),
        "merge": lambda: Change("merge", (names[0], names[1]), (names[0],)),
        "split": lambda: Change("split", (names[0],), (new, f"{new}b")),
        "drop": lambda: Change("drop", (names[0],)),
    }
    return make[step]()


@settings(max_examples=150)
@given(st.lists(ANSWERS | STEPS, max_size=12), st.randoms(use_true_random=False))
def test_no_paragraph_with_an_answer_is_lost(items: list[object], rng: Random) -> None:
    topics = Topics("multi", tuple(NAMES))
    lines: list[Label] = []
    for number, item in enumerate(items):
        before = read_answers(lines, topics)
        if isinstance(item, tuple):
            paragraph, cell, annotator = item
            lines.append(label(paragraph, cell, annotator, f"2025-01-01T00:00:{number:02}"))
            continue
        names = rng.sample(topics.names, len(topics.names))
        if len(names) < 3 and item in ("merge", "drop"):
            continue
        topics = change_of(str(item), names, number).topics(topics)
        after = read_answers(lines, topics)
        labelled, was = ({a.paragraph for a in r.answers} for r in (after, before))
        again, had = ({a.paragraph for a in r.retired} for r in (after, before))
        assert labelled | again == was | had
        assert not labelled & again
        assert {n for answer in after.answers for n in answer.names} <= set(topics.names)
        if item in ("rename", "merge"):
            assert labelled == was
