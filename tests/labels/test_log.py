"""labels.csv: reading its lines, and adding one."""

from __future__ import annotations

import codecs
import csv
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.labels import log
from paratopic.labels.log import (
    Label,
    append,
    backup,
    first_words,
    locked,
    read_lines,
    read_table,
    rewrite,
)
from paratopic.project.errors import UserError
from paratopic.tables.workbook import Tab, write_workbook
from tests.labels.lines import BY_HAND, HEADER, latest_votes_in, write


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        (BY_HAND, "a:1", 'line 2 ends before the column "topics"'),
        (BY_HAND, '"a:1",', "line 2 was not"),
        (HEADER, '"a:1","trade","x"', "line 2 was not"),
        (BY_HAND, ",trade,x", "line 2: a line needs"),
        (BY_HAND, "a:1,trade,The talks, and more", "line 2: more cells than columns"),
        (HEADER, "a:1,trade,x,ann,15/09/2025 10:00,", '2: "15/09/2025 10:00" is not an ISO 8601'),
        *(
            (HEADER, f'a:2,trade,x,,,,"{drawn}"', f'2: "{drawn}" in the column drawn')
            for drawn in "0|-1|nan|inf|articles|15. Jul|0,3|1 of x|article of x".split("|")
        ),
        ("paragraph:topics", "a:1:trade", 'line 1: there is no column "paragraph"'),
    ],
)
def test_an_unreadable_line_is_refused(path: Path, header: str, line: str, message: str) -> None:
    write(path, line, header=header, end="")
    with pytest.raises(UserError, match=re.escape(message)):
        read_lines(path)


def test_how_a_paragraph_was_drawn_is_a_number_or_article_and_is_kept(path: Path) -> None:
    cells = {"": None, "1": 1.0, "0.3": 0.3, "1e+06": 1e6, "article of 9": None, "1 of 9": 1.0}
    write(path, *(f"a:{n},trade,x,,,,{drawn}" for n, drawn in enumerate(cells)))
    append(path, Label("", "a:9", "trade", "x", "ann", drawn="17.1"))
    rewrite(path, *read_table(path))
    lines = read_lines(path)
    assert [line.drawn for line in lines] == [*cells, "17.1"]
    assert [line.chance for line in lines] == [*cells.values(), 17.1]


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
    assert latest_votes_in(path) == [("a:1", "", "trade")]


def test_where_a_column_is_missing_the_version_before_is_kept(path: Path) -> None:
    write(path, "a:1,trade,Café", '"a:2","","Said ""so"""', "", "a:3,?", header=f"{BY_HAND},mine")
    before, lines = path.read_bytes(), read_lines(path)
    append(path, Label("", "a:4", "trade", "y", "ann"))
    assert path.read_text("utf-8").startswith(f"{BY_HAND},mine,annotator,when,note,drawn\n")
    assert backup(path).read_bytes() == before
    grown = path.read_bytes()
    append(path, Label("", "a:5", "trade", "z", "ann"))
    assert path.read_bytes().startswith(grown) and backup(path).read_bytes() == before
    assert [line.key for line in read_lines(path)[:3]] == [line.key for line in lines]
    assert [line.paragraph for line in read_lines(path)[3:]] == ["a:4", "a:5"]


@pytest.mark.parametrize(("separator", "end"), [(";", "\r\n"), ("\t", "\n")])
def test_a_file_keeps_its_separator_line_ends_and_mark(
    path: Path, separator: str, end: str
) -> None:
    rows = [["paragraph", "topics", "text"], ["a:1", '"trade;security"', '"Tariffs, up"']]
    text = end.join(separator.join(row) for row in rows)
    path.write_text(text, encoding="utf-8-sig", newline="")
    append(path, Label("", "a:2", "trade;security", "x, y; z", "ann"))
    append(path, Label("", "a:2", "trade;security", "x, y; z", "ann"))
    cells = [(line.paragraph, line.cell, line.text) for line in read_lines(path)]
    assert cells[0][:2] == ("a:1", "trade;security")
    assert cells[1:] == [("a:2", "trade;security", "x, y; z")] * 2
    assert path.read_bytes().count(end.encode()) == path.read_bytes().count(b"\n") == 4
    rewrite(path, *read_table(path))
    assert [(line.paragraph, line.cell, line.text) for line in read_lines(path)] == cells
    names = f"{BY_HAND},annotator,when,note,drawn".replace(",", separator)
    assert path.read_bytes().startswith(f"\ufeff{names}{end}".encode())


OPEN_QUOTE = f'{BY_HAND}\na:1,trade,x\na:2,trade,"Tariffs\na:3,trade,y\n'
LONGEST = 131_072


@pytest.mark.parametrize(
    ("content", "note", "message"),
    [
        (OPEN_QUOTE, "", "line 3: "),
        (f"{BY_HAND}\n", "n" * (LONGEST + 1), f"the page: a cell has more than {LONGEST} char"),
    ],
    ids=["an open quote", "a long note"],
)
def test_a_line_that_could_not_be_read_again_is_not_added(
    path: Path, content: str, note: str, message: str
) -> None:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        append(path, Label("the page", "a:4", "trade", "z", "ann", note=note))
    assert path.read_text(encoding="utf-8") == content
    if content == OPEN_QUOTE:
        with pytest.raises(UserError, match=message):
            read_lines(path)


def test_a_workbook_and_a_missing_file_are_refused(path: Path) -> None:
    write_workbook(path.with_suffix(".xlsx"), Tab([["paragraph", "topics"]]))
    with pytest.raises(UserError, match=r"prepare\.labels"):
        read_lines(path.with_suffix(".xlsx"))
    with pytest.raises(UserError, match=r"labels.csv not found"):
        read_lines(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_a_file_in_another_encoding_can_be_added_to(path: Path, encoding: str) -> None:
    path.write_text(f"{HEADER}\na:1,trade,Café,,,\n", encoding=encoding)
    append(path, Label("", "a:2", "trade", "Zoë", "ann"))
    assert [line.text for line in read_lines(path)] == ["Café", "Zoë"]
    kept = path.read_bytes().startswith(codecs.BOM_UTF8)  # spreadsheets need it
    assert kept == (encoding == "utf-8-sig")


def test_a_line_is_added_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link and its file share a lock, and lines are added to the file."""
    write(path, "a:1,trade,Café,,,")
    path.chmod(0o664)
    link = path.parent / "clone" / "labels.csv"
    link.parent.mkdir()
    link.symlink_to(path)
    assert locked(link).lock_file == locked(path).lock_file
    append(link, Label("", "a:2", "trade", "x", "ann"))
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o664
    before = path.read_bytes()
    assert before.count(b"a:2") == 1

    def full(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        append(path, Label("", "a:3", "trade", "y", "ann"))
    assert path.read_bytes() == before


def test_lines_that_several_append_at_once_are_all_there(path: Path) -> None:
    write(path, "a:0,trade,x", header=BY_HAND)
    ids = [f"a:{n}" for n in range(1, 25)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda id_: append(path, Label("", id_, "trade", "x", "ann")), ids))
    lines = read_lines(path)
    assert sorted(line.paragraph for line in lines) == sorted(["a:0", *ids])
    assert len({line.when for line in lines}) == len(lines)


@pytest.mark.parametrize("bad", ["\x00", "\x01", "\x7f", "\x85", "\u2028", "\n", "\ud800"])
def test_a_note_cannot_make_the_file_unreadable(path: Path, bad: str) -> None:
    append(path, Label("", "a:1", "trade", f"x{bad}y", f"an{bad}n", note=f"b{bad}c{bad}"))
    (line,) = read_lines(path)
    assert (line.text, line.annotator, line.note) == ("x y", "an n", "b c")


def test_no_cell_runs_as_a_formula_and_each_is_read_as_it_was(path: Path) -> None:
    label = Label("l", "-a:1", "+trade", "=2+2", "=HYPERLINK(1)", note="@x", more=(("who", "-x"),))
    append(path, label)
    cells = next(csv.reader(path.read_text(encoding="utf-8").splitlines()[-1:]))
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@")]
    (line,) = [line for line in read_lines(path) if line.paragraph == "-a:1"]
    own = line.paragraph, line.cell, line.text, line.annotator, line.note, dict(line.more)["who"]
    assert own == ("-a:1", "+trade", "=2+2", "=HYPERLINK(1)", "@x", "-x")


def test_first_words_are_whole_and_as_many_as_fit() -> None:
    assert first_words("short") == "short"
    assert first_words("aaaa bbbb cccc", 10) == "aaaa bbbb"
    assert first_words("aaaa bbbb cccc", 9) == "aaaa bbbb"
    assert first_words("two\n lines") == "two lines"
    assert first_words("a long-term plan", 10) == "a"
    assert first_words("a" * 20, 10) == "a" * 10


def test_a_line_is_added_without_parsing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(path, Label("", "a:1", "trade", "x", "ann"))
    monkeypatch.setattr(log, "_parse", None)
    append(path, Label("", "a:2", "trade", "x", "ann"))
    assert len(path.read_text().splitlines()) == 3


def test_a_paragraph_with_a_control_character_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("paragraph,topics,text\na:1,trade,One\n", encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"control character U\+0001"):
        append(path, Label("here", "a\x01:1", "trade", ""))
    with pytest.raises(UserError, match=r"control character U\+0007"):
        lines = [Label("here", "a:1", "trade", "", more=(("confidence", "1\x07"),))]
        rewrite(path, ["confidence"], lines)
    assert path.read_bytes() == before and len(read_lines(path)) == 1


ODD_CELLS = st.text(
    st.characters(categories=["L", "N", "P", "Zs"]) | st.sampled_from("\r\n\t,\";'=")
)


@settings(max_examples=200)
@given(ODD_CELLS, ODD_CELLS)
def test_a_cell_stays_one_cell_when_the_file_is_written_anew(text: str, further: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(["paragraph", "topics", "text", "own"])
            writer.writerow(["a:1", "trade", text, further])
        columns, lines = read_table(path)
        rewrite(path, columns, lines)
        again = read_lines(path)
        assert [(line.paragraph, line.text, line.more) for line in again] == [
            (line.paragraph, line.text, line.more) for line in lines
        ]
        assert backup(path).exists()
