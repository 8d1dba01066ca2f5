"""Word documents: headings, paragraphs, lists, and skipped text."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import docx
import pytest

from paratopic.project.errors import UserError
from paratopic.reading.article import Segment, skipped_of
from paratopic.reading.article_files import read_file
from paratopic.reading.word import word_fields, word_segments
from tests.documents import kept_segments, save, with_part, word_document
from tests.samples import DOCUMENT


def test_headings_paragraphs_and_skipped_parts_of_a_document(tmp_path: Path) -> None:
    path = tmp_path / "news.docx"
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Harbour Press"
    for number, (kind, text) in enumerate(DOCUMENT):
        if kind == "heading":
            document.add_heading(text, level=min(number, 2))
        else:
            paragraph = document.add_paragraph(text[:20])
            paragraph.add_run(text[20:]).bold = True
    document.add_paragraph("The harbour at dawn", style="Caption")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Steel", "12"
    document.add_paragraph("Timber", style="List Bullet")
    document.save(str(path))
    assert kept_segments(path) == [*DOCUMENT, ("body", "- Timber")]
    assert [(part.text, part.reason) for part in skipped_of(read_file(path))] == [
        ("The harbour at dawn", "caption or credit"),
        ("Steel | 12", "table"),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK", "is not a whole Word document"),
        (word_document("Talks went on.")[:10_000], "is not a whole Word document"),
        (word_document(), "holds no text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "is encrypted, or an old .doc"),
    ],
    ids=["no document", "cut off", "empty", "old or encrypted"],
)
def test_documents_that_cannot_be_read_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=f"^a.docx: {message}"):
        word_segments(data, "a.docx")


def test_pictures_are_not_unpacked() -> None:
    file = BytesIO(word_document("Talks went on."))
    with ZipFile(file, "a", ZIP_DEFLATED) as document:
        document.writestr("word/media/image1.png", bytes(11_000_000))
    assert word_segments(file.getvalue(), "a.docx") == [Segment("body", "Talks went on.")]


def test_date_and_author_of_a_document(tmp_path: Path) -> None:
    data = word_document("Talks went on.")
    # python-docx sets these.
    assert word_fields(data) == {"date": "2013-12-23T23:15:00Z", "author": "python-docx"}
    # Entities that refer to each other are not expanded.
    bomb = "<!DOCTYPE a [<!ENTITY a 'xxxxxxxxxx'>" + "".join(
        f"<!ENTITY {name} '{f'&{last};' * 10}'>" for last, name in pairwise("abcdefghi")
    )
    core = f"{bomb}]><p xmlns:c='http://purl.org/dc/elements/1.1/'><c:creator>&i;</c:creator></p>"
    data = with_part(data, "docProps/core.xml", lambda _: core.encode())
    article = read_file(save(tmp_path, "a.docx", data))
    assert [segment.text for segment in article.segments] == [
        "Talks went on."
    ] and article.fields == {}
