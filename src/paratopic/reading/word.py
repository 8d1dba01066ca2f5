"""Word documents → HTML → segments. Only .docx is read, not .doc, .odt or .rtf."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

import lxml.etree
import mammoth

from paratopic.project.errors import UserError
from paratopic.reading.article import Segment
from paratopic.reading.html import blocks_of, parse, to_segments

# The first bytes of an OLE file: an old .doc, or an encrypted .docx.
_OLE = b"\xd0\xcf\x11\xe0"

# mammoth ignores the case of names of styles. Pictures are not unpacked.
_STYLES = "p[style-name='Caption'] => figcaption:fresh\np[style-name='Title'] => h1:fresh"
_NO_PICTURE = mammoth.images.img_element(lambda image: {})

# The part of a document that has its properties, and the maximum number of bytes to read of it.
_PROPERTIES, _MOST_BYTES = "docProps/core.xml", 1_000_000
_NAMESPACES = {"dc": "http://purl.org/dc/elements/1.1/", "dcterms": "http://purl.org/dc/terms/"}


def word_segments(data: bytes, source: str) -> list[Segment]:
    """Cut a Word document into segments of any kind; `UserError` if damaged, encrypted or empty."""
    if data.startswith(_OLE):
        raise UserError(
            f"{source}: is encrypted, or an old .doc. Save it as .docx without a password."
        )
    try:
        page = mammoth.convert_to_html(BytesIO(data), style_map=_STYLES, convert_image=_NO_PICTURE)
    except Exception as error:  # zipfile and the XML parser raise many kinds of errors
        raise UserError(
            f"{source}: is not a whole Word document ({error}). Save it again as .docx."
        ) from None
    if not page.value:
        raise UserError(f"{source}: holds no text. Give a document with at least one paragraph.")
    blocks = blocks_of(parse(page.value, source))
    return to_segments(blocks, kept=[True] * len(blocks))


def word_fields(data: bytes) -> dict[str, object]:
    """Read `date` of creation, with its time, and `author`, or None; damage may raise any error."""
    with ZipFile(BytesIO(data)) as archive, archive.open(_PROPERTIES) as file:
        content = file.read(_MOST_BYTES)
    parser = lxml.etree.XMLParser(resolve_entities=False, no_network=True)
    tree = lxml.etree.fromstring(content, parser)
    return {
        "date": tree.findtext("dcterms:created", namespaces=_NAMESPACES),
        "author": tree.findtext("dc:creator", namespaces=_NAMESPACES),
    }
