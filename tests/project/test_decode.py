"""Decoding text files: encodings, line breaks, and bytes that are not text."""

from __future__ import annotations

import re

import pytest

from paratopic.project.errors import UserError
from paratopic.project.files import decode
from tests.documents import ENCODED, QUOTE


@pytest.mark.parametrize("encoding", ENCODED)
def test_encodings(encoding: str) -> None:
    assert decode(ENCODED[encoding], "standard input") == QUOTE


def test_every_line_break_and_tab_is_text() -> None:
    text = "a\tb\nc\rd\r\ne\x0bf\x0cg\x85h\u2028i\u2029j\u00a0k"
    assert decode(text.encode(), "x") == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.txt: holds no text. Give a file with at least one paragraph."),
        (b" \r\n\t", "x.txt: holds no text."),
        ("\ufeff\u00a0\u200b".encode(), "x.txt: holds no text."),
        (
            b"caf\xe9 \x81",
            "x.txt: is neither UTF-8 nor cp1252 (Windows) text: byte 5 is 0x81. Save",
        ),
        ("Café ".encode() + b"\xe9 x", "x.txt: is not valid UTF-8 at byte 6. The file is damaged"),
        (b"\xef\xbb\xbfcaf\xe9", "x.txt: is not valid UTF-8 at byte 6."),
        (b"\xff\xfea\x00b", "x.txt: is not valid UTF-16-LE at byte 4."),
        (b"PK\x03\x04", "x.txt: is not plain text: control character U+0003 at byte 2. Give"),
        ("é\0".encode(), "x.txt: is not plain text: control character U+0000 at byte 2."),
        (b"\xef\xbb\xbfa\x1b", "control character U+001B at byte 4."),
        (b"\xfe\xff\x00a\x00\x07", "control character U+0007 at byte 4."),
        ("ab".encode("utf-16-le"), "control character U+0000 at byte 1."),
    ],
)
def test_bytes_that_are_not_text_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        decode(data, "x.txt")
