"""A file with any bytes gives paragraphs, is skipped, or is refused with one message."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.corpus.table import PARAGRAPHS_SCHEMA
from paratopic.project.errors import UserError
from paratopic.project.files import Paths
from paratopic.project.topics import Topics
from paratopic.reading.sources import read_sources
from tests.documents import SAMPLES, pdf, with_part
from tests.samples import BODIES

TOPICS = Topics("single", ("trade", "technology"))
TABLE = pd.DataFrame({"text": BODIES, "label": ["trade", "other", None], "group": [1, 1, 2]})

PARQUET, XLSX = io.BytesIO(), io.BytesIO()
TABLE.to_parquet(PARQUET)
TABLE.to_excel(XLSX, index=False)

WHOLE: dict[str, bytes] = {
    ".txt": f"Trade\n\nBy Jane Doe\n\n{BODIES[0]}\n\n# Chips\n\nCafé.".encode(),
    ".md": f"# Trade\n\n- {BODIES[0]}\n\n**Advertisement**".encode(),
    ".html": SAMPLES[".html"],
    ".docx": SAMPLES[".docx"],
    ".pdf": pdf(
        [
            [(72, 700 - 14 * row, 10, "F", f"{body[:60]}-") for row, body in enumerate(BODIES * 3)],
            [(9e9, -700, 12, "B", "Steel")],
        ]
    ),
    ".csv": TABLE.to_csv(index=False).encode(),
    ".jsonl": TABLE.to_json(orient="records", lines=True).encode(),
    ".xlsx": XLSX.getvalue(),
    ".parquet": PARQUET.getvalue(),
}
PIECES: dict[str, list[bytes]] = {
    ".txt": [b"# A\n", b"\n\n", b"Q: ", b"https://a.org\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00"],
    ".md": [b"# ", b"###### A\n", b"\n", b"| a | b |", b"**", b"\xe2\x80\xa8", b"\xc2\x85"],
    ".html": [
        *(b"<p>", b"<div>" * 400, b"<br>", b"<table><td>", b"</", b"&#xd800;", b"&#1;", b"<!--"),
        *(b"<sup><a href=#n>", b"<li class=mw-editsection>", b"<h1>", b"<svg>", BODIES[0].encode()),
    ],
    ".docx": [b"<w:p>", b"</w:p>", b"<w:tbl>", b"&#9;", b"w:val=", b"<", b"PK\x03\x04"],
    ".pdf": b"9999999999,/MediaBox [0 0 0 0],-,<<,endobj, Tf, 1e9 ,/Kids".split(b","),
    ".csv": [b"text,label\n", b"trade", b",", b'"', b"\n", b"\r", b"NA", b";", b"a", b"text"],
    ".jsonl": [
        *(b'{"text": "a", "label": "trade"}', b"\n", b'{"text": "\\ud800", "label": null}', b"{"),
        *(b"[" * 2000, b'{"text": 1, "label": [1]}', b'{"label": NaN, "text": "a"}', b"1e999"),
    ],
    ".xlsx": [b"<c>", b"</row>", b"<c r='XFD1'/>", b"&#9;", b" t='b'", b"<", b"PK\x03\x04"],
    ".parquet": [b"PAR1", b"\x00", b"huggingface"],
}
# Complete elements, which are inserted between others.
ELEMENTS: dict[str, list[bytes]] = {
    ".html": [
        *(b"<p></p>", b"<br/>", b"<ul><li>Duties</li></ul>", b"<h2> </h2>", b"&nbsp;", b"&#0;"),
        *(b"<blockquote>Calm</blockquote>", b"<sup>1</sup>", b"<table><tr/></table>", b"<p>" * 300),
    ],
    ".docx": [
        *(b"<w:p/>", b"<w:p><w:r><w:t>Duties</w:t></w:r></w:p>", b"<w:r><w:br/></w:r>"),
        *(b"<w:tbl><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl>", b"<w:pPr/>", b"<w:t>Steel</w:t>"),
        *(b'<w:r><w:footnoteReference w:id="9"/></w:r>', b"<w:hyperlink/>", b"<w:sdt/>", b"&#9;"),
        *(b'<w:p><w:pPr><w:pStyle w:val="Heading9"/></w:pPr></w:p>', b"<w:tbl/>"),
    ],
    ".xlsx": [
        *(b"<row/>", b"<c/>", b'<row r="9"><c r="A9" t="b"><v>1</v></c></row>', b"<v>1e999</v>"),
        *(b'<c t="e"><v>#REF!</v></c>', b'<c t="s"><v>99</v></c>', b'<c r="XFD1"><v>1</v></c>'),
        *(b'<c t="inlineStr"><is><t>a</t></is></c>', b'<c t="d"><v>2025-99-99</v></c>'),
        b"<f>A1</f>",
    ],
}
# The part of an archive that contains the text.
BODIES_OF = {".docx": "word/document.xml", ".xlsx": "xl/worksheets/sheet1.xml"}


@st.composite
def damaged(draw: st.DrawFn, data: bytes, pieces: list[bytes]) -> bytes:
    """Data with some bytes removed and others inserted."""
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.sampled_from([0, 0, 1, 1, 2, 8, 100]))
        piece = draw(st.sampled_from(pieces) | st.binary(max_size=3))
        data = data[:at] + piece + data[at + cut :]
    return data


@st.composite
def with_elements(draw: st.DrawFn, body: bytes, elements: list[bytes]) -> bytes:
    parts = re.split(rb"(?<=>)", body)
    for _ in range(draw(st.integers(1, 6))):
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from(elements)))
    return b"".join(parts)


def contents(suffix: str) -> st.SearchStrategy[bytes]:
    """Any bytes, pieces of the format in any order, or a damaged file."""
    pieces = PIECES[suffix]
    whole = damaged(WHOLE[suffix], pieces)
    if name := BODIES_OF.get(suffix):
        body = ZipFile(io.BytesIO(WHOLE[suffix])).read(name)
        bodies = damaged(body, pieces) | with_elements(body, ELEMENTS[suffix])
        whole |= bodies.map(lambda body: with_part(WHOLE[suffix], name, lambda _: body))
    elif suffix in ELEMENTS:
        whole |= with_elements(WHOLE[suffix], ELEMENTS[suffix])
    in_any_order = st.lists(st.sampled_from(pieces) | st.binary(max_size=4), max_size=30)
    return st.binary(max_size=200) | in_any_order.map(b"".join) | whole


def check(suffix: str, data: bytes) -> str:
    """Read a file with this content and write the result as the stage does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(data)
        try:
            frame, votes, skipped, metadata, *_ = read_sources(Paths(), [str(path)], [], ["other"])
        except UserError as error:
            assert str(path) in str(error)
            return "refused"
    assert len(frame) > 0 and frame["id"].is_unique
    pa.Table.from_pandas(frame, PARAGRAPHS_SCHEMA, preserve_index=False)
    pd.DataFrame(skipped).to_csv(index=False).encode()
    assert list(metadata["id"]) == list(frame["id"])
    pa.Table.from_pandas(metadata, preserve_index=False)
    return "read"


@pytest.mark.parametrize("suffix", WHOLE)
def test_any_bytes_are_read_or_refused(suffix: str) -> None:
    assert check(suffix, WHOLE[suffix]) == "read"

    @given(contents(suffix))
    @settings(max_examples=30)
    def attempt(data: bytes) -> None:
        check(suffix, data)

    attempt()
