"""Word documents → segments, by way of HTML. Only .docx is read, not .doc, .odt or .rtf."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

from paratopic.project.errors import UserError
from paratopic.reading.article import Segment, check_size
from paratopic.reading.html import blocks_of, parse, to_segments

# Unpacked size of a document's XML parts, and number of their tags. A page of text has some 10,000
# bytes and 300 tags.
MOST_BYTES, MOST_TAGS = 10_000_000, 200_000
# The first bytes of an OLE file: an old .doc, or an encrypted .docx.
_OLE = b"\xd0\xcf\x11\xe0"

_STYLES = """
p[style-name='caption'] => figcaption:fresh
p[style-name='Caption'] => figcaption:fresh
p[style-name='Title'] => h1:fresh
"""


def word_segments(data: bytes, source: str) -> list[Segment]:
    """Cut a Word document into segments.

    Parameters
    ----------
    data
        The file's bytes.
    source
        Its path, for error messages.

    Raises
    ------
    UserError
        The document is damaged, encrypted, empty or too large.
    """
    import mammoth

    if data.startswith(_OLE):
        raise UserError(
            f"{source}: is encrypted, or an old .doc. Save it as .docx without a password."
        )
    try:
        document = _xml_parts(data, source)
        html = mammoth.convert_to_html(
            BytesIO(document),
            style_map=_STYLES,
            convert_image=mammoth.images.img_element(lambda image: {}),
        ).value
    except UserError:
        raise
    except Exception as error:  # mammoth passes on whatever zipfile and the XML parser raise
        raise UserError(
            f"{source}: is not a whole Word document ({error}). Save it again as .docx."
        ) from None
    if not html:
        raise UserError(f"{source}: holds no text. Give a document with at least one paragraph.")
    return to_segments(blocks_of(parse(html, source)))


def _xml_parts(data: bytes, source: str) -> bytes:
    """A document without pictures and whatever else is not XML.

    It is what the text is in, and what has to be of limited size: a small file may unpack to
    gigabytes.
    """
    file = BytesIO()
    with ZipFile(BytesIO(data)) as document, ZipFile(file, "w") as copy:
        parts = [part for part in document.infolist() if part.filename.endswith((".xml", ".rels"))]
        size = sum(part.file_size for part in parts)
        check_size(size, MOST_BYTES, "bytes when unpacked", source)
        contents = {part.filename: document.read(part) for part in parts}
        n_tags = sum(content.count(b"<") for content in contents.values())
        check_size(n_tags, MOST_TAGS, "XML tags", source)
        for name, content in contents.items():
            copy.writestr(name, content)
    return file.getvalue()
