"""Word documents → segments, by way of HTML. Only .docx is read: no .doc, .odt or .rtf."""

from __future__ import annotations

from io import BytesIO

from paratopic.project.errors import UserError
from paratopic.reading.article import Segment
from paratopic.reading.html import html_blocks, merge_blocks


def word_segments(data: bytes, source: str) -> list[Segment]:
    """Segments of a Word document."""
    import lxml.html
    import mammoth

    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise UserError(
            f"{source}: is encrypted, or an old .doc. Save it as .docx without a password."
        )
    styles = "\n".join(
        [f"p[style-name='{name}'] => figcaption:fresh" for name in ("caption", "Caption")]
        + ["p[style-name='Title'] => h1:fresh"]
    )
    try:
        html = mammoth.convert_to_html(
            BytesIO(data),
            style_map=styles,
            convert_image=mammoth.images.img_element(lambda image: {}),
        ).value
    except Exception as error:  # mammoth raises whatever zipfile and XML's readers raise
        raise UserError(
            f"{source}: is no whole Word document ({error}). Save it again as .docx."
        ) from None
    if not html:
        raise UserError(f"{source}: holds no text. Give a document with at least one paragraph.")
    return merge_blocks(html_blocks(lxml.html.fragment_fromstring(html, create_parent="body")))
