"""Made-up documents, such as a web page with an article, and functions that write files."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import docx
import pandas as pd

from paratopic.inference.manifest import MANIFEST
from paratopic.reading.article_files import read_file
from tests.samples import BODIES, DOCUMENT

Text = tuple[float, float, float, str, str]  # left, bottom, size, font, text


def write_table(table: pd.DataFrame, path: Path, separator: str = ",") -> Path:
    """Write a table in the format of the path's suffix, and return the path."""
    match path.suffix:
        case ".csv":
            table.to_csv(path, index=False, sep=separator)
        case ".xlsx":
            table.to_excel(path, index=False)
        case ".jsonl":
            table.to_json(path, orient="records", lines=True)
        case ".parquet":
            table.to_parquet(path)
        case suffix:
            raise ValueError(suffix)
    return path


def save(folder: Path, name: str, data: str | bytes) -> Path:
    """Write a file, and return its path; text is written as UTF-8."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def altered(folder: Path, copy: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Copy a model's folder, with a change in its manifest."""
    shutil.copytree(folder, copy)
    manifest = json.loads((copy / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    return save(copy, MANIFEST, json.dumps(manifest)).parent


def read_sheet(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def kept_segments(path: Path) -> list[tuple[str, str]]:
    """Kind and text of the headings and paragraphs of a file."""
    segments = read_file(path).segments
    return [(segment.kind, segment.text) for segment in segments if segment.kind != "skipped"]


def html(body: str, head: str = '<meta charset="utf-8">') -> str:
    return f"<!DOCTYPE html><html><head>{head}<title>News</title></head><body>{body}</body></html>"


PAGE = html(
    "<script>var a = 'Buy now';</script><nav><ul><li>Home<li>World<li>Sport</ul></nav>"
    f"<main><article><header><h1>{DOCUMENT[0][1]}</h1><p>By Jane Doe, Reuters</p></header>"
    f"<p>{BODIES[0]}</p><h2>{DOCUMENT[2][1]}</h2><h3>{DOCUMENT[3][1]}</h3>"
    "<figure><img src='a.jpg'><figcaption>The harbour at dawn</figcaption></figure>"
    f"<p>{BODIES[1].replace('calm', '<a href=/calm>ca<b>l</b>m</a>')}</p>"
    "<aside><ul><li>Minister resigns</li><li>Bread is dearer</li></ul></aside>"
    f"<p>{BODIES[2]}<sup><a href='#note-1'>[1]</a></sup></p></article></main>"
    "<footer>© 2031 Harbour Press</footer>"
)


def pdf(pages: list[list[Text]], encrypt: str = "") -> bytes:
    """A PDF in Helvetica, which every reader can measure; `encrypt` is part of its trailer."""
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        content = "".join(
            f"BT /{font} {size} Tf {left} {bottom} Td "
            f"({text.replace('(', '[').replace(')', ']')}) Tj ET\n"
            for left, bottom, size, font, text in page
        )
        objects += [
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font "
            f"<< /F 3 0 R /B 4 0 R >> >> /Contents {6 + 2 * number} 0 R >>",
            f"<< /Length {len(content.encode('cp1252'))} >>\nstream\n{content}endstream",
        ]
    return _pdf_file(objects, encrypt)


def _pdf_file(objects: list[str], encrypt: str) -> bytes:
    """The bytes of a PDF: its objects, the table of their offsets, and the trailer."""
    data, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{content}\nendobj\n".encode("cp1252")
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = (
        f"xref\n0 {len(offsets) + 1}\n0000000000 65535 f \n{table}trailer\n"
        f"<< /Size {len(offsets) + 1} /Root 1 0 R {encrypt} >>\nstartxref\n{len(data)}\n%%EOF\n"
    )
    return data + trailer.encode()


def word_document(*paragraphs: str) -> bytes:
    document, file = docx.Document(), BytesIO()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    document.save(file)
    return file.getvalue()


def with_part(archive: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Change the content of one part of a Word document or a workbook."""
    file = BytesIO()
    with ZipFile(BytesIO(archive)) as old, ZipFile(file, "w", ZIP_DEFLATED) as new:
        for part in old.namelist():
            content = old.read(part)
            new.writestr(part, change(content) if part == name else content)
    return file.getvalue()


SAMPLES = {
    ".html": PAGE.encode(),
    ".pdf": pdf([[(72, 700, 10, "F", "Talks went on.")]]),
    ".docx": word_document("Talks went on."),
}
