"""labels.csv: reading its lines, and adding one."""

from __future__ import annotations

from pathlib import Path

import pytest

from paratopic.labels.log import Label, append, first_words, read_lines
from paratopic.project.errors import UserError
from tests.labels.lines import BY_HAND, answers_in, write


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a:1"], r"line 2: a line needs"),
        ([",trade,x"], r"line 2: a line needs"),
        (["a:1,trade,The talks, and more"], r"line 2: more cells than columns"),
    ],
)
def test_an_incomplete_line_is_refused_with_its_number(
    path: Path, lines: list[str], message: str
) -> None:
    write(path, *lines, header=BY_HAND, end="")
    with pytest.raises(UserError, match=message):
        read_lines(path)


def test_a_time_that_cannot_be_read_is_refused_with_its_line(path: Path) -> None:
    write(path, "a:1,trade,x,ann,15/09/2025 10:00,")
    with pytest.raises(UserError, match=r'line 2: "15/09/2025 10:00" is not an ISO 8601 time'):
        read_lines(path)


def test_a_missing_file_and_a_missing_column_are_refused(path: Path) -> None:
    with pytest.raises(UserError, match=r"labels.csv not found"):
        read_lines(path)
    write(path, "a:1;trade", header="paragraph;topics", end="")
    with pytest.raises(UserError, match=r'line 1: there is no column "paragraph"'):
        read_lines(path)


def test_a_last_line_by_hand_without_a_line_end_is_read(path: Path) -> None:
    write(path, "a:1,trade,x", end="")
    assert answers_in(path) == [("a:1", "", "trade")]


def test_an_appended_line_is_the_last_one_and_has_a_later_time(path: Path) -> None:
    write(path, "a:1,trade,x", header=BY_HAND, end="")
    append(path, Label("", "a:2", "security", "Two\nlines", "ann", note='a "note"'))
    written = append(path, Label("", "a:2", "?", "Two lines", "ann"))
    lines = read_lines(path)
    assert [(line.paragraph, line.cell, line.text, line.note) for line in lines] == [
        ("a:1", "trade", "x", ""),
        ("a:2", "security", "Two lines", 'a "note"'),
        ("a:2", "?", "Two lines", ""),
    ]
    assert lines[1].time < lines[2].time and lines[2].when == written.when
    assert answers_in(path) == [("a:1", "", "trade")]


def test_an_appended_line_is_the_latest_although_the_clock_went_back(path: Path) -> None:
    write(path, "a:1,trade,x,ann,2999-01-01,")
    append(path, Label("", "a:1", "security", "x", "ann"))
    assert answers_in(path) == [("a:1", "ann", "security")]


def test_an_appended_line_cut_off_anywhere_is_skipped_and_repaired(path: Path) -> None:
    write(path, "a:1,trade,x,,,")
    append(path, Label("", "a:2", "trade;security", 'Said "so", twice', "ann", note="n"))
    whole = path.read_bytes()
    start = whole.index(b'"a:2"')
    for cut in range(start + 1, len(whole)):
        path.write_bytes(whole[:cut])
        paragraphs = [line.paragraph for line in read_lines(path)]
        # Where only the line end or the note is missing, the answer is complete.
        complete = cut in (len(whole) - len("\n"), len(whole) - len('"n"\n'))
        assert paragraphs == (["a:1", "a:2"] if complete else ["a:1"]), whole[start:cut]
        append(path, Label("", "a:3", "trade", "y", "ann"))
        assert [line.paragraph for line in read_lines(path)] == [*paragraphs, "a:3"]


def test_first_words_are_whole_and_as_many_as_fit() -> None:
    assert first_words("short") == "short"
    assert first_words("aaaa bbbb cccc", 10) == "aaaa bbbb"
    assert first_words("aaaa bbbb cccc", 9) == "aaaa bbbb"
    assert first_words("two\n lines") == "two lines"
    assert first_words("a long-term plan", 10) == "a"
    assert first_words("a" * 20, 10) == "a" * 10
