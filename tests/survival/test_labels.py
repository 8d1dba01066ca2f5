"""What is written of labels can be read, whatever names, texts and cells people have."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.annotation import formats
from paratopic.annotation.suggestion import Suggestion
from paratopic.labels.log import Label, append, backup, read_lines, read_table, rewrite
from paratopic.project.encodings import decode
from paratopic.project.errors import UserError
from paratopic.reading.files import SUFFIXES, find_files, read_file
from paratopic.reading.structure import plain_segments
from tests.samples import TOPICS, read_joined

ODD_CELLS = st.text(
    st.characters(categories=["L", "N", "P", "Zs"]) | st.sampled_from("\r\n\t,\";'=")
)


@pytest.mark.parametrize("name", ["ev\x01il", " Talks open", "Talks open ", "a\rb", "a\u2028b"])
def test_no_paragraph_has_a_name_that_labels_cannot_hold(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.txt"
    path.write_text("Talks went on.", encoding="utf-8")
    (tmp_path / "good.txt").write_text("Talks went on.", encoding="utf-8")
    with pytest.raises(UserError, match="control character, or with a blank"):
        read_file(path)
    files, left_out = find_files([str(tmp_path)], SUFFIXES)
    assert [file.name for file in files] == ["good.txt"] and left_out[0][0] == path


def test_a_paragraph_with_a_control_character_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("paragraph,topics,text\na:1,trade,One\n", encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"control character U\+0001"):
        append(path, Label("here", "a\x01:1", "trade", ""))
    assert path.read_bytes() == before and len(read_lines(path)) == 1


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


@settings(max_examples=200)
@given(ODD_CELLS)
def test_no_part_of_a_cell_becomes_a_row_of_a_sheet(text: str) -> None:
    suggestion = Suggestion("a:1", text, "", "a", (), (), {}, "unsure")
    sheet = formats.sheet([suggestion])
    rows = list(csv.reader(io.StringIO(sheet, newline=""), strict=True))
    assert len(rows) == 2 and len(rows[1]) == len(rows[0])


@pytest.mark.parametrize("control", ["\x92", "\x7f", "\x01"])
def test_paragraphs_have_no_character_that_labels_may_not(control: str, tmp_path: Path) -> None:
    text = f"It{control}s a tariff on goods."
    (segment,) = plain_segments(text)
    assert segment.text == "Its a tariff on goods."
    path = tmp_path / "table.jsonl"
    path.write_text(f'{{"text": "It\\u{ord(control):04x}s on.", "label": "trade"}}\n', "utf-8")
    (read,) = read_joined(path, TOPICS, ())[0]["text"]
    assert read == "Its on." and decode(read.encode(), "table")
    path.write_text('{"text": "\\u0000 \\u0001", "label": "trade"}\n', "utf-8")
    with pytest.raises(UserError, match="the text is empty; remove the row"):
        read_joined(path, TOPICS, ())
