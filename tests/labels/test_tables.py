"""Labels of tables after changes of the codebook."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from paratopic.labels.log import Label, line_of
from paratopic.labels.tables import follow_changes, former_names
from paratopic.project.codebook import Change
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics
from tests.samples import paragraph_table

RENAME = Change("rename", ("security",), ("defence",))
MERGE = Change("merge", ("trade", "technology"), ("trade",))
SPLIT = Change("split", ("security",), ("security", "navy"))
DROP = Change("drop", ("security",))
EARLIER, LATER = "2024-12-31", "2025-02-01"


def log_of(*changes: Change) -> list[Label]:
    """Changes of the first days of 2025."""
    days = enumerate(changes, start=1)
    return [Label(**vars(line_of(change)) | {"when": f"2025-01-0{n}"}) for n, change in days]


def followed(
    lines: Sequence[Label], topics: Sequence[str], *labels: str, when: Sequence[str | None] = ()
) -> tuple[list[list[str] | None], dict[str, tuple[str, ...]]]:
    """Topics of rows with these labels, and ids of those to look at again → what they became."""
    frame = paragraph_table(
        id=[f"table:{n}" for n in range(len(labels))],
        text=[f"Text {n}." for n in range(len(labels))],
        label_source=["hand"] * len(labels),
        topics=[[name for name in label.split(";") if name] for label in labels],
    )
    metadata = frame[["id"]]
    if when:
        metadata = metadata.assign(when=pd.Series(when, dtype="str"))
    frame, reading = follow_changes(frame, metadata, lines, Topics("single", tuple(topics)))
    rows = zip(frame["topics"], frame["label_source"], strict=True)
    assert all((names is None) == (source == "none") for names, source in rows)
    return list(frame["topics"]), {id_: why.topics for id_, why in reading.again.items()}


def test_old_and_new_names_count_after_a_rename_and_a_merge() -> None:
    lines = log_of(RENAME, MERGE)
    labels = "security", "defence", "technology;security;trade", ""
    assert followed(lines, ["trade", "defence"], *labels) == (
        [["defence"], ["defence"], ["trade", "defence"], []],
        {},
    )
    assert former_names(lines) == {"security", "trade", "technology"}


def test_a_split_topic_is_to_be_looked_at_again_unless_the_table_says_when() -> None:
    labels = "security", "navy", "trade", "security", "security"
    when = [None, None, None, EARLIER, LATER]
    todo = {"table:0": ("security", "navy"), "table:3": ("security", "navy")}
    assert followed(log_of(SPLIT), ["trade", "security", "navy"], *labels, when=when) == (
        [None, ["navy"], ["trade"], None, ["security"]],
        todo,
    )


def test_what_labels_csv_says_takes_the_place_of_a_table_s_label() -> None:
    lines = log_of(DROP)
    answer = Label("line 1", "table:0", "trade", "", "ann", EARLIER)
    open_one = Label("line 2", "table:2", "security", "", "ann", EARLIER)
    lines = [answer, open_one, *lines]
    names, again = followed(lines, ["trade", "army"], "security", "security", "trade")
    assert names == [None, None, None]  # `join_labels` gives the first one its answer
    assert again == {"table:1": (), "table:2": ()}


def test_a_name_that_another_topic_has_taken_needs_a_time() -> None:
    lines = log_of(RENAME, Change("rename", ("army",), ("security",)))
    topics = ["defence", "security"]
    with pytest.raises(UserError, match='table:0: "security" was the name of defence before'):
        followed(lines, topics, "security")
    labels = "security", "security", "army"
    names, _ = followed(lines, topics, *labels, when=[EARLIER, LATER, None])
    assert names == [["defence"], ["security"], ["security"]]
    back = log_of(RENAME, Change("rename", ("defence",), ("security",)))
    assert followed(back, ["trade", "security"], "security") == ([["security"]], {})


@pytest.mark.parametrize(
    ("label", "when", "message"),
    [
        ("security", LATER, 'table:0: unknown topic "security"'),
        ("trade", "in May", 'table:0: "in May" is not an ISO 8601 time'),
    ],
)
def test_what_no_time_explains_is_refused(label: str, when: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        followed(log_of(RENAME), ["trade", "defence"], label, when=[when])
