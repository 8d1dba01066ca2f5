"""Changes of the codebook: labels with former names of topics are read with current names."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.corpus.labelled import with_labels
from paratopic.corpus.table import PARAGRAPHS_SCHEMA
from paratopic.labels.log import Label
from paratopic.labels.resolve import join_labels, tables_in_current_names
from paratopic.labels.votes import CurrentVotes, current_votes, disputes
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


def test_former_names_are_read_as_current_ones() -> None:
    lines = [
        label("a:1", "security;trade;army", "ann"),
        label("a:1", "defence", "bo"),
        label("a:2", "technology", "ann"),  # a name that the codebook never had stays
    ]
    current = current_votes(lines, TOPICS)
    assert [vote.cell for vote in current.votes] == ["defence;trade", "defence", "technology"]
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
def test_votes_for_retired_topics_have_to_be_given_again(cell: str, why: str) -> None:
    lines = [label("a:1", cell, "ann", "2025-01-01")]
    (retired,) = current_votes(lines, TOPICS).retired
    assert (retired.paragraph, TOPICS.current_meaning(retired.names).retired) == ("a:1", why)
    # A replaced vote stays replaced, and another annotator's vote counts.
    earlier = label("a:1", "trade", "ann", "2024-01-01")
    assert current_votes([earlier, *lines], TOPICS).votes == []
    current = current_votes([*lines, label("a:1", "trade", "bo")], TOPICS)
    assert [vote.annotator for vote in current.votes] == ["bo"] and not current.retired
    later = label("a:1", "sea", "ann", "2025-01-02")
    assert current_votes([*lines, later], TOPICS).votes == [later]


def test_labels_of_tables_are_renamed_also_before_tables_are_read_again() -> None:
    names = [["security"], ["trade", "army"], ["forces"], []]
    frame = paragraph_table(text=list("abcde"))[list(PARAGRAPHS_SCHEMA.names)]
    raw = pd.DataFrame(
        {"paragraph": frame["id"][:4], "source": "t", "cell": "", "topics": names, "draw": ""}
    ).assign(where="t, line 2")
    former_topics = Topics("single", ("security", "army", "trade", "forces", "sea", "weather"))
    votes, labels, _ = join_labels(frame, raw, CurrentVotes([], []), former_topics, "leave_out")
    # A vote in labels.csv overrules a table's label, and a retired vote removes it.
    lines = [label("002", "sea", "ann"), label("000", "weather", "ann")]
    current = current_votes(lines, TOPICS)
    *joined, (message,) = join_labels(frame, raw, current, TOPICS, "leave_out")
    assert message.startswith("1 paragraph ")
    renamed = tables_in_current_names(votes, labels, TOPICS)
    for (vote_table, label_table), expected, retired in (
        ((votes, labels), [["security"], ["trade", "army"], ["forces"], [], None], []),
        (renamed, [["defence"], ["trade", "defence"], None, [], None], ["002"]),
        (joined, [None, ["trade", "defence"], ["sea"], [], None], ["000"]),
    ):
        assert with_labels(frame, label_table)["label"].tolist() == expected
        is_retired = vote_table["status"] == "retired"
        assert vote_table["paragraph"][is_retired].tolist() == retired


NAMES = ["a", "b", "c", "d"]
VOTES = st.tuples(
    st.sampled_from(["p:1", "p:2", "p:3"]),
    st.lists(st.sampled_from(NAMES), unique=True, max_size=3).map(";".join) | st.just("?"),
    st.sampled_from(["ann", "bo"]),
)
STEPS = st.sampled_from(["rename", "merge", "split", "drop"])


def change_of(step: str, names: list[str], number: int) -> Change:
    """A change of the current topics."""
    new = f"new{number}"
    changes: dict[str, Callable[[], Change]] = {
        "rename": lambda: Change("rename", (names[0],), (new,)),
        "merge": lambda: Change("merge", (names[0], names[1]), (names[0],)),
        "split": lambda: Change("split", (names[0],), (new, f"{new}b")),
        "drop": lambda: Change("drop", (names[0],)),
    }
    return changes[step]()


def paragraphs_in(votes: list[Label]) -> set[str]:
    return {vote.paragraph for vote in votes}


@settings(max_examples=150)
@given(st.lists(VOTES | STEPS, max_size=12), st.randoms(use_true_random=False))
def test_no_paragraph_with_a_vote_is_lost(items: list[object], rng: Random) -> None:
    topics = Topics("multi", tuple(NAMES))
    lines: list[Label] = []
    for number, item in enumerate(items):
        before = current_votes(lines, topics)
        if isinstance(item, tuple):
            paragraph, cell, annotator = item
            lines.append(label(paragraph, cell, annotator, f"2025-01-01T00:00:{number:02}"))
            continue
        names = rng.sample(topics.names, len(topics.names))
        if len(names) < 3 and item in ("merge", "drop"):
            continue
        topics = change_of(str(item), names, number).topics(topics)
        after = current_votes(lines, topics)
        labelled_before, labelled = paragraphs_in(before.votes), paragraphs_in(after.votes)
        retired_before, retired = paragraphs_in(before.retired), paragraphs_in(after.retired)
        assert labelled | retired == labelled_before | retired_before
        assert not labelled & retired
        assert {name for vote in after.votes for name in vote.names} <= set(topics.names)
        if item in ("rename", "merge"):
            assert labelled == labelled_before
