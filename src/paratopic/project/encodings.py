"""Decode text files in UTF-8, UTF-16 or another encoding, which chardet detects."""

from __future__ import annotations

import logging
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from contextlib import suppress
from pathlib import Path

import chardet

from paratopic.project.errors import UserError
from paratopic.project.files import CONTROL, INVISIBLE

log = logging.getLogger(__name__)

_BOMS = {BOM_UTF8: "utf-8", BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}
# Possible encodings of a text, from Windows, Unix, old Macs and DOS. Those of Windows contain
# ISO 8859-1, -8 and -9.
_ENCODINGS = (
    "cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 iso8859-2 iso8859-5 iso8859-7 "
    "iso8859-15 koi8-r koi8-u mac-roman mac-cyrillic cp850 cp852 cp866 cp874 "
    "gb18030 big5 cp932 euc-jp cp949"
).split()
# Bytes that are control characters in ISO 8859, which texts do not contain.
_C1 = {*range(0x80, 0xA0)}
# ASCII and the bytes of typographic signs in cp1252, which are rare in other encodings.
_TYPOGRAPHIC = {*range(128), *"‘’“”–—…•€£§«©»°½".encode("cp1252")}
# A word with bytes that ASCII lacks. If a text has only one, the likely encodings are tried.
_WORD = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]*")
_LIKELY = ("cp1252", "cp1250", "cp1254")


def decode(data: bytes, source: str) -> str:
    """Decode the bytes of a text file; messages call it `source`, such as "standard input".

    A byte order mark names the encoding, UTF-8 or UTF-16, and is removed. Other text is read as
    UTF-8 or, if that fails at the first byte beyond ASCII, in a probable encoding, with a warning.

    Raises
    ------
    UserError
        The bytes are damaged UTF-8 or UTF-16, no text in any encoding, or different texts in
        several ones; or the text is blank or has a control character.
    """
    bom = next((bom for bom in _BOMS if data.startswith(bom)), b"")
    encoding = _BOMS.get(bom, "utf-8")
    body = data[len(bom) :]
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        # A file with a byte order mark, or with letters that are valid UTF-8, is damaged UTF-8. It
        # is not read as cp1252, where nearly all bytes are valid and quotes would become 'â€™'.
        if bom or not body[: error.start].isascii():
            raise UserError(
                f"{source}: is not valid {encoding.upper()} at byte {len(bom) + error.start}. "
                "The file is damaged or mixes encodings: save it as UTF-8 again."
            ) from None
        text, encoding = _guess(body, source, error.start)
    if control := CONTROL.search(text):
        line = 1 + text.count("\n", 0, control.start())
        raise UserError(
            f"{source}: is not plain text: control character U+{ord(control[0]):04X} in line "
            f"{line}. Remove it. A PDF or Word document is no text file; UTF-16 needs its BOM."
        )
    if not text.translate(INVISIBLE).strip():
        raise UserError(f"{source}: holds no text. Give a file with at least one paragraph.")
    return text


def read_decoded(path: Path) -> str:
    """Read a text file in any encoding; a `UserError` reports a failure, as in `decode`."""
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def _guess(data: bytes, source: str, first: int) -> tuple[str, str]:
    """Decode text that is not UTF-8 at byte `first`, with a warning; return it and its encoding.

    A `UserError` reports that there are no, or several, `possible_encodings`.
    """
    possible = possible_encodings(data)
    if not possible:
        raise UserError(
            f"{source}: is not UTF-8 at byte {first} (0x{data[first]:02x}), and no other "
            "encoding fits. Save it as UTF-8."
        )
    encoding = possible[0]
    if len(possible) > 1:
        [word] = {*_WORD.findall(data)}
        readings = (f'{name} ("{word.decode(name, "replace")[:20]}")' for name in possible)
        raise UserError(
            f"{source}: is not UTF-8. Is it {' or '.join(readings)}? Save it as UTF-8, or convert "
            f"it with the right one: `iconv -f {encoding} -t UTF-8`."
        )
    note = "%s: is not UTF-8, and is read as %s. If letters are wrong, save it as UTF-8"
    log.warning(note, source, encoding)
    return data.decode(encoding), encoding


def possible_encodings(data: bytes) -> list[str]:
    """Find the encodings, such as "cp1252", that bytes that are not UTF-8 may have, by chardet.

    The list has one for most texts. If only one distinct word has bytes that ASCII lacks, it has
    one for each reading of the word, those of `_LIKELY` first. It is empty if no encoding fits.
    """
    if _TYPOGRAPHIC.issuperset(data):
        return ["cp1252"]
    names = [name for name in _ENCODINGS if _C1.isdisjoint(data) or "iso" not in name]
    found = chardet.detect(data, max_bytes=len(data), compat_names=False, include_encodings=names)
    best = found["encoding"]
    if best is None:
        return []
    if best == "iso8859-15" and 0xA4 not in data:  # only the euro sign differs from cp1252
        best = "cp1252"
    readings: dict[str, str] = {}
    for name in [*_LIKELY, best] if len({*_WORD.findall(data)}) == 1 else [best]:
        with suppress(UnicodeDecodeError):
            readings.setdefault(data.decode(name), name)
    return list(readings.values())
