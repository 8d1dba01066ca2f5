"""Documents of every format: a web page with what surrounds an article, a PDF, a Word document."""

from __future__ import annotations

from io import BytesIO

import docx

from tests.samples import BODIES, DOCUMENT

Text = tuple[float, float, float, str, str]  # left, bottom, size, font, text


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
    """A PDF with Helvetica, whose widths every reader knows."""
    kids = " ".join(f"{5 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        drawn = "".join(
            f"BT /{font} {size} Tf {left} {bottom} Td "
            f"({text.replace('(', '[').replace(')', ']')}) Tj ET\n"
            for left, bottom, size, font, text in page
        )
        objects += [
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font "
            f"<< /F 3 0 R /B 4 0 R >> >> /Contents {6 + 2 * number} 0 R >>",
            f"<< /Length {len(drawn.encode('cp1252'))} >>\nstream\n{drawn}endstream",
        ]
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode("cp1252")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return (
        out
        + (
            f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n{table}trailer\n"
            f"<< /Size {len(places) + 1} /Root 1 0 R {encrypt} >>\nstartxref\n{len(out)}\n%%EOF\n"
        ).encode()
    )


def _sample_docx() -> bytes:
    document, out = docx.Document(), BytesIO()
    document.add_paragraph("Talks went on.")
    document.save(out)
    return out.getvalue()


SAMPLES = {
    ".html": PAGE.encode(),
    ".pdf": pdf([[(72, 700, 10, "F", "Talks went on.")]]),
    ".docx": _sample_docx(),
}
