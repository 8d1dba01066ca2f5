"""Fields of articles: dates, the order of origins, and errors of a metadata.csv."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.project.errors import UserError
from paratopic.project.files import CONTROL, Paths
from paratopic.reading.cells import LONGEST, clean_field, date_in_name, iso_date
from paratopic.reading.metadata import Field, check_sheets, fields_of
from tests.documents import save


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("2025-09", "2025-09"), ("2025", "2025"), ("2025-9-5", "2025-09-05")),
        *((text, "2025-09-15") for text in ("2025-09-15", "2025/09/15", "20250915")),
        *((text, "2025-09-15") for text in ("2025-09-15T23:30:00Z", "2025-09-15T23:30+02:00")),
        *((text, "2025-09-15") for text in ("20250915T101500Z", "2025-09-15 23:30:00.000000+0200")),
        *((text, "2025-09-15") for text in ("15.09.2025", "9/15/2025", "15-9-2025 10:30")),
        *((text, None) for text in ("", "soon", "03/04/2025", "15.13.2025", "25-09-15", "202509")),
        *((text, None) for text in ("2025-02-29", "2025-13", "2025-00", "0000", "2025-09/15")),
        *(("٢٠٢٥", "2025"), ("September 2025", "2025-09"), ("2025年9月", "2025-09")),
        *((text, "2025-09-15") for text in ("15. September 2025", "Montag, 15. Sept. 2025")),
        *((text, "2025-09-15") for text in ("lundi 15 septembre 2025", "15 de septiembre de 2025")),
        *((text, "2025-09-15") for text in ("September 15, 2025", "15 September 2025")),
        *((text, "2025-09-15") for text in ("١٥ سبتمبر ٢٠٢٥", "15 בספטמבר 2025", "15 सितंबर 2025")),
        *(("1er août 2025", "2025-08-01"), ("3. Jänner 2025", "2025-01-03")),
        # No month, one of two, no day, and calendars with other years.
        *((text, None) for text in ("15 Bände 2025", "15 jui 2025", "31. Juni 2025")),
        *((text, None) for text in ("15 กันยายน 2568", "መጋቢት 3 2018", "Rede vom 15. Mai 2025")),
        *((text, None) for text in ("2025-09-15x", "2025-09-15 25", "2025-09-15\n")),
    ],
)
def test_dates_are_as_precise_as_they_are_written(text: str, expected: str | None) -> None:
    assert iso_date(text) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, "2025-09-15") for name in ("talks-2025-09-15", "2025_09_15_talks")),
        *((name, "2025-09-15") for name in ("IMG20250915", "20250915_101500", "3-2025-09-15")),
        *((name, "2025-09") for name in ("talks 2025-09", "2025-09_v2")),
        ("report-2024-05-of-2025-09-15", "2025-09-15"),
        *((name, None) for name in ("2025-13-01", "2025-02-30", "2025-09-99", "2025-9-15")),
        *((name, None) for name in ("1799-12-31", "2101-01-01", "12345678", "2025", "2025-2026")),
        *((name, None) for name in ("202509151", "1202509-15", "15-09-2025-10", "2025-09_15")),
        *((name, None) for name in ("2025091510", "2025-09-2", "12025-09", "٢2025-09", "2025_09")),
    ],
)
def test_a_date_in_the_name_of_a_file_is_no_part_of_another_number(
    name: str, expected: str | None
) -> None:
    assert date_in_name(name) == expected


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_cleaned(text: str) -> None:
    clean = clean_field(text)
    assert clean == clean_field(clean) and clean.splitlines() in ([clean], [])
    assert len(clean.encode()) <= 4 * LONGEST and not CONTROL.search(clean)


def test_fields_of_a_document_are_cleaned() -> None:
    fields = fields_of(
        Path("a.pdf"),
        {"date": "2025-09-15T10:00:00Z", "source": " A\x00\n B\u2028", "author": "x" * 10**6},
    )
    values = {name: field.value for name, field in fields.items()}
    assert values == {"date": "2025-09-15", "source": "A B", "author": "x" * LONGEST}
    assert fields_of(Path("a.pdf"), {"date": "yesterday", "source": ""}) == {}


def test_fields_of_the_sheet_precede_those_of_the_document_and_the_name(tmp_path: Path) -> None:
    path = tmp_path / "talks-2025-09-15.pdf"
    document = {"date": "2025-09-16", "author": "Jane Doe"}
    assert fields_of(path, {}) == {"date": Field("2025-09-15", "file names")}
    assert fields_of(path, document) == {
        "date": Field("2025-09-16", "documents"),
        "author": Field("Jane Doe", "documents"),
    }
    save(tmp_path, "metadata.csv", f"article,date,source,author\n{path.name},2025,Post,\n")
    assert fields_of(path, document) == {
        "date": Field("2025", "metadata.csv"),
        "author": Field("Jane Doe", "documents"),
        "source": Field("Post", "metadata.csv"),
    }


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_sheets_of_any_separator_name_articles_with_or_without_suffix(
    tmp_path: Path, separator: str
) -> None:
    rows = [
        *(["article", "source", "", "id"], ["a", "Post", "", "x"], ["b.md", " Her\u0007ald ", ""]),
        *(["", "", ""], ["cafe\u0301.v2", "Café"], ["c", ""]),
    ]
    text = "\r\n".join(separator.join(row) for row in rows)
    save(tmp_path, "metadata.csv", text.replace("\x07", "\xa0"))
    fields = fields_of(tmp_path / "b.md", {})
    assert [*fields_of(tmp_path / "a.txt", {})] == [*fields] == ["source"]
    assert fields_of(tmp_path / "b.txt", {}) == {}
    assert fields["source"].value == "Her ald"
    assert fields_of(tmp_path / "café.v2.txt", {})["source"].value == "Café"
    assert fields_of(tmp_path / "c.txt", {}) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,date\na,2025\n", 'metadata.csv, row 1: there is no column "article"'),
        ("article,date\na,2025\na,2026\n", "row 3: names a, .*row 2"),
        ("article,date\na,2025\na.txt,2026\n", "row 2: names a.txt, .*row 3"),
        ("article,date\na,03/04/2025\n", 'row 2: .*"03/04/2025"'),
        ("article,date\n,2025\n", "row 2: names no article"),
    ],
)
def test_a_bad_sheet_is_refused_with_file_line_and_what_to_do(
    tmp_path: Path, content: str, message: str
) -> None:
    save(tmp_path, "metadata.csv", content)
    path = save(tmp_path, "a.txt", "Talks.")
    for read in (lambda: fields_of(path, {}), lambda: check_sheets(Paths(), [path])):
        with pytest.raises(UserError, match=message) as error:
            read()
        assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_articles_that_are_not_there_are_noted(tmp_path: Path) -> None:
    paths = [save(tmp_path, name, "Talks.") for name in ("a.txt", "b.txt")]
    assert check_sheets(Paths(), paths) == []
    save(tmp_path, "metadata.csv", "article,date\na,2025\nb.txt,2025\ngone,2025\nc.txt,\n")
    for project, sheet in (
        (Paths(), f"{tmp_path}/metadata.csv"),
        (Paths(tmp_path), "metadata.csv"),
    ):
        (note,) = check_sheets(project, paths)
        assert note.startswith(f"{sheet}: ") and note.endswith(": gone, c.txt")


def test_a_corrected_sheet_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    sheet = save(tmp_path, "metadata.csv", "article,date\na,2025\n")
    os.utime(sheet, (0, 0))
    assert fields_of(path, {})["date"].value == "2025"
    save(tmp_path, "metadata.csv", "article,date\na,2024\n")
    assert fields_of(path, {})["date"].value == "2024"
