"""Labels joined to the paragraph table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from paratopic.corpus.labelled import with_labels, with_sample
from paratopic.labels.answers import CurrentAnswers, read_answers
from paratopic.labels.log import Label, read_lines
from paratopic.labels.resolve import Resolved, join_labels, resolve
from paratopic.labels.sample import Sample, describe_sample, sample_of
from paratopic.project.errors import UserError
from paratopic.project.topics import TieRule, Topics
from paratopic.reading.article import paragraphs_of
from paratopic.reading.sources import NO_ANSWERS, frame_of
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
    return resolved(frame, read_answers(read_lines(path), topics), topics)


def resolved(
    frame: pd.DataFrame, current: CurrentAnswers, topics: Topics, ties: TieRule = "leave_out"
) -> tuple[pd.DataFrame, list[str]]:
    _, labels, messages = join_labels(frame, NO_ANSWERS, current, topics, ties)
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
    answers = {first: ("trade", "security", "security"), second: ("trade", "security")}
    labels = [
        Label("", paragraph, cell, "", f"annotator {n}")
        for paragraph, cells in answers.items()
        for n, cell in enumerate(cells)
    ]
    rules: list[tuple[TieRule, list[str] | None]] = [("first", ["trade"]), ("leave_out", None)]
    for rule, label in rules:
        table, messages = resolved(frame, CurrentAnswers(labels, []), topics, rule)
        assert table["label"].tolist()[:2] == [["security"], label]
        assert table["label_source"].tolist()[:2] == ["hand", "hand" if label else "none"]
        disputed, tie = messages
        assert disputed.startswith("1 disputed paragraph") and tie.startswith("1 tie")
        assert f"(prepare.ties: {rule})" in tie and "`paratopic review`" in tie


def test_order_and_undecided_lines_change_no_row(frame: pd.DataFrame, topics: Topics) -> None:
    first, second = frame["id"][:2]
    lines = [
        Label("line 2", first, "trade", "", "ann"),
        Label("line 3", second, "", "", "ann"),
        Label("line 4", first, "security", "", "bo"),
    ]
    open_line = Label("line 2", frame["id"][2], "?", "", "ann")
    params = replace(PARAMS, topics=topics, prepare=replace(PARAMS.prepare, ties="first"))
    one, other = (
        resolve(frame, NO_ANSWERS, each, params, frame[["id"]])
        for each in (lines, [open_line, *lines[::-1]])
    )
    for table in ("votes", "labels", "sample"):
        pd.testing.assert_frame_equal(getattr(one, table), getattr(other, table))
    by_people = one.votes[one.votes["kind"] == "person"]
    assert by_people[["paragraph", "source", "status"]].to_numpy().tolist() == [
        [first, "ann", "tie"],
        [first, "bo", "tie"],
        [second, "ann", "counts"],
    ]
    assert one.labels["label"].tolist()[:2] == [["trade"], []]


def test_what_was_drawn_is_known_of_rows_that_people_correct_and_of_open_answers(
    frame: pd.DataFrame, topics: Topics
) -> None:
    ids = list(frame["id"])
    rows = [[id_, "t.csv", "trade", ("trade",), "paragraph", "row 2"] for id_ in ids[:2]]
    lines = [
        Label("line 2", ids[1], "security", "", "ann"),
        *(Label("line 3", ids[2], cell, "", cell, drawn="1") for cell in ("trade", "security")),
    ]
    of_tables = pd.DataFrame(rows, columns=NO_ANSWERS.columns)
    resolved = resolve(frame, of_tables, lines, replace(PARAMS, topics=topics), frame[["id"]])
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
    there = resolve(frame, NO_ANSWERS, lines, params, desks)
    table = sampled(frame, there)
    assert table["draw"].tolist() == ["paragraph", "paragraph", "", "paragraph"]
    # Of b there is one label, drawn from all 4; those of a are two more for its 3.
    of_a, of_b = table["weight"][0], table["weight"][3]
    assert of_a == table["weight"][1] and of_b / of_a == pytest.approx((1 / 4 + 2 / 3) / (1 / 4))
    assert table["effective_count"].dropna().tolist() == [1, 1, 1] and there.messages == []
    gone = resolve(frame, NO_ANSWERS, lines, params, desks[["id"]])
    assert sampled(frame, gone)["draw"].tolist() == ["", "", "", "paragraph"]
    (message,) = gone.messages
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
        resolved = resolve(frame, NO_ANSWERS, lines, params, desks)
        table = sampled(frame, resolved)
        assert table["effective_count"].sum() == 4 and table["weight"].notna().sum() == 4
        assert "`paratopic label --random --by desk=c`" in resolved.messages[-1]
        sample = sample_of(table, resolved.sample, resolved.of_people)
        said = describe_sample(sample, 4)
        assert sample.groups == 4 and sample.frames == parts
        assert ("all from groups" in said) == (not parts)
        assert ("all from desk=a, desk=b, which leave out more than 10%" in said) == bool(parts)
