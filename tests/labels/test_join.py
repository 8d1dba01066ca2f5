"""Labels joined to the paragraph table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from paratopic.corpus.labelled import with_labels, with_sample
from paratopic.labels.log import Label, read_lines
from paratopic.labels.resolve import Resolved, join_labels, resolve
from paratopic.labels.sample import Sample, describe_sample, sample_of
from paratopic.labels.votes import CurrentVotes, current_votes
from paratopic.project.errors import UserError
from paratopic.project.topics import TieRule, Topics
from paratopic.reading.article import paragraphs_of
from paratopic.reading.sources import NO_VOTES, frame_of
from tests.labels.lines import BY_HAND, write
from tests.samples import PARAMS, plain_article

ONE = plain_article(
    "one", "Talks open\n\nTrade\n\nTariffs rose on all goods.\n\nThe navy sailed.\n\nIt rained."
)
TWO = plain_article("two", "News\n\nSecurity\n\nTroops crossed the border at night.")


@pytest.fixture
def frame() -> pd.DataFrame:
    return frame_of([*paragraphs_of(ONE), *paragraphs_of(TWO)])


def joined(
    path: Path, frame: pd.DataFrame, topics: Topics, *lines: str
) -> tuple[pd.DataFrame, list[str]]:
    write(path, *lines, header=BY_HAND, end="")
    return resolved(frame, current_votes(read_lines(path), topics), topics)


def resolved(
    frame: pd.DataFrame, current: CurrentVotes, topics: Topics, ties: TieRule = "leave_out"
) -> tuple[pd.DataFrame, list[str]]:
    _, labels, messages = join_labels(frame, NO_VOTES, current, topics, ties)
    return with_labels(frame, labels), messages


def sampled(frame: pd.DataFrame, resolved: Resolved) -> pd.DataFrame:
    return with_sample(with_labels(frame, resolved.labels), resolved.sample)


def test_labels_are_joined_by_paragraph(path: Path, frame: pd.DataFrame, topics: Topics) -> None:
    ids = list(frame["id"])
    lines = (f"{ids[0]},security;trade,Tariffs", f"{ids[1]},,The navy", f"{ids[2]},?,It")
    table, messages = joined(path, frame, topics, *lines)
    assert table["label"].tolist() == [["security", "trade"], [], None, None]
    assert table["label_source"].tolist() == ["hand", "hand", "none", "none"]
    assert messages == []


def test_lines_of_no_topic_or_paragraph_are_refused(
    path: Path, frame: pd.DataFrame, topics: Topics
) -> None:
    first = frame["id"][0]
    nearest = f"most similar now: {first}"
    changed = f'(?s)labels.csv, line 2: one:0123456789.*{nearest} "Tariffs rose on all goods."'
    for line, message in (
        (f"{first},tradee,Tariffs", 'csv, line 2: unknown topic "tradee" .*`paratopic codebook`'),
        ("one:0123456789,trade,Tariffs rose on most goods", changed),
        ("old name:0123456789,trade,Tariffs rose on", nearest),
    ):
        with pytest.raises(UserError, match=message):
            joined(path, frame, topics, line)
    lines = "gone:0123456789,another list's topic,Nothing like it", "gone:1,trade,"
    _, messages = joined(path, frame, topics, *lines)
    (message,) = messages
    assert "article gone" in message and "2 labels" in message


def test_disputed_paragraphs_are_reported(frame: pd.DataFrame, topics: Topics) -> None:
    first, second = frame["id"][:2]
    cells_on = {first: ("trade", "security", "security"), second: ("trade", "security")}
    labels = [
        Label("", paragraph, cell, "", f"annotator {n}")
        for paragraph, cells in cells_on.items()
        for n, cell in enumerate(cells)
    ]
    rules: list[tuple[TieRule, list[str] | None]] = [("first", ["trade"]), ("leave_out", None)]
    for rule, label in rules:
        table, messages = resolved(frame, CurrentVotes(labels, []), topics, rule)
        assert table["label"].tolist()[:2] == [["security"], label]
        assert table["label_source"].tolist()[:2] == ["hand", "hand" if label else "none"]
        disputed, tie = messages
        assert disputed.startswith("1 disputed paragraph") and tie.startswith("1 tie")
        assert f"(prepare.ties: {rule})" in tie and "`paratopic review`" in tie
        # A tie overrules the label of a table, too.
        row = {"paragraph": second, "source": "t", "cell": "", "topics": ["security"], "draw": ""}
        raw = pd.DataFrame([row]).assign(where="t, line 2")
        votes, joined, _ = join_labels(frame, raw, CurrentVotes(labels, []), topics, rule)
        assert votes["status"].iloc[-1] == "overruled"
        assert joined.set_index("paragraph")["label"].get(second) == label


def test_order_and_undecided_lines_change_no_row(frame: pd.DataFrame, topics: Topics) -> None:
    first, second = frame["id"][:2]
    lines = [
        Label("line 2", first, "trade", "", "ann"),
        Label("line 3", second, "", "", "ann"),
        Label("line 4", first, "security", "", "bo"),
    ]
    open_line = Label("line 2", frame["id"][2], "?", "", "ann")
    params = replace(PARAMS, topics=topics, prepare=replace(PARAMS.prepare, ties="first"))
    one = resolve(frame, NO_VOTES, lines, params, frame[["id"]])
    other = resolve(frame, NO_VOTES, [open_line, *lines[::-1]], params, frame[["id"]])
    for table in ("votes", "labels", "sample"):
        pd.testing.assert_frame_equal(getattr(one, table), getattr(other, table))
    by_people = one.votes[one.votes["kind"] == "person"]
    assert by_people[["paragraph", "source", "status"]].to_numpy().tolist() == [
        [first, "ann", "tie"],
        [first, "bo", "tie"],
        [second, "ann", "counts"],
    ]
    assert one.labels["label"].tolist()[:2] == [["trade"], []]


def test_the_draw_is_known_of_rows_that_people_correct_and_of_ties(
    frame: pd.DataFrame, topics: Topics
) -> None:
    ids = list(frame["id"])
    rows = [[id_, "t.csv", "trade", ("trade",), "paragraph", "row 2"] for id_ in ids[:2]]
    lines = [
        Label("line 2", ids[1], "security", "", "ann"),
        *(Label("line 3", ids[2], cell, "", cell, drawn="1") for cell in ("trade", "security")),
    ]
    table_votes = pd.DataFrame(rows, columns=NO_VOTES.columns)
    resolved = resolve(frame, table_votes, lines, replace(PARAMS, topics=topics), frame[["id"]])
    table = sampled(frame, resolved)
    assert table["draw"].tolist() == ["paragraph", "paragraph", "", ""]
    assert table["weight"].tolist()[:2] == [1, 1]
    assert sample_of(table, resolved.sample, lines) == Sample(kind="paragraph", drawn=2, open=1)


def test_draws_from_a_group_count_while_its_column_is_there(
    frame: pd.DataFrame, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paratopic.labels.sample.LEAST_DRAWN", 1)
    desks = frame[["id"]].assign(desk=["a", "a", "a", "b"])
    drawn = ("1 of 4", "1 of 3 in desk=a", "1 of 3 in desk=a")
    lines = [
        Label("line 2", id_, "trade", "", "ann", drawn=how)
        for id_, how in zip(frame["id"][[3, 0, 1]], drawn, strict=True)
    ]
    params = replace(PARAMS, topics=topics)
    with_group = resolve(frame, NO_VOTES, lines, params, desks)
    table = sampled(frame, with_group)
    assert table["draw"].tolist() == ["paragraph", "paragraph", "", "paragraph"]
    # One label of b was drawn, from all 4 texts. Two more labels were drawn from the 3 texts of a.
    weight_a, weight_b = table["weight"][0], table["weight"][3]
    ratio = pytest.approx((1 / 4 + 2 / 3) / (1 / 4))
    assert weight_a == table["weight"][1] and weight_b / weight_a == ratio
    assert table["effective_count"].dropna().tolist() == [1, 1, 1] and with_group.messages == []
    without_group = resolve(frame, NO_VOTES, lines, params, desks[["id"]])
    assert sampled(frame, without_group)["draw"].tolist() == ["", "", "", "paragraph"]
    (message,) = without_group.messages
    assert "desk=a (2 labels)" in message


def test_a_sample_of_groups_outlasts_a_few_texts_of_others(
    frame: pd.DataFrame, topics: Topics
) -> None:
    texts = [f"Paragraph {number}." for number in range(40)]
    frame = frame.iloc[[0] * 40].assign(id=[f"one:{n:02}" for n in range(40)], text=texts)
    frame = frame.reset_index(drop=True)
    lines = [
        Label("line 2", frame["id"][n], "trade", "", "ann", drawn=f"1 of 20 in desk={desk}")
        for n, desk in ((0, "a"), (1, "a"), (20, "b"), (21, "b"))
    ]
    params = replace(PARAMS, topics=topics)
    for n_others, parts in ((3, ()), (5, ("desk=a", "desk=b"))):
        desks = frame[["id"]].assign(desk=["a"] * 20 + ["b"] * (20 - n_others) + ["c"] * n_others)
        resolved = resolve(frame, NO_VOTES, lines, params, desks)
        table = sampled(frame, resolved)
        assert table["effective_count"].sum() == 4 and table["weight"].notna().sum() == 4
        assert "`paratopic label --random --by desk=c`" in resolved.messages[-1]
        sample = sample_of(table, resolved.sample, resolved.annotator_votes)
        description = describe_sample(sample, 4)
        assert sample.groups == 4 and sample.frames == parts
        assert ("all from groups" in description) == (not parts)
        limited = "all from desk=a, desk=b, which leave out more than 10%"
        assert (limited in description) == bool(parts)
