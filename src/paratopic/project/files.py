"""Files and folders that a reader never meets half-written, and text files in any encoding.

What is written is for the caller to know; only the form of JSON and CSV is the same for all.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paratopic.project.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes `path`'s place when the block ends well.

    What is written may be a file or a folder. When the block raises, `path` is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        if draft.is_dir() and path.is_dir():
            shutil.rmtree(path)  # a folder cannot be renamed over one that is not empty
        os.replace(draft, path)
    finally:
        if draft.is_dir():
            shutil.rmtree(draft)
        else:
            draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with LF line ends."""
    with aside(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV: UTF-8, LF line ends, no index."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write indented JSON; floats keep ten decimals, so that files can be compared by eye."""
    text = json.dumps(_rounded(values), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path, made_by: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    UserError
        The file is missing or damaged; the message says what makes it: `made_by`.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} not found: {made_by} makes it") from None
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): {made_by} makes it anew") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged (no JSON object): {made_by} makes it anew")
    return values


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 10)
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")  # all but \t \n \v \f \r and NEL

INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"))


def decode(data: bytes, source: str) -> str:
    """Turn the bytes of a text into the text, without its byte order mark.

    Parameters
    ----------
    data
        UTF-8, UTF-16 with a byte order mark, or else cp1252.
    source
        Where the bytes are from, for the messages: a path, 'standard input'.

    Raises
    ------
    UserError
        When the bytes are no text in these encodings, or hold nothing to read.
    """
    bom, encoding = next((b for b in _BOMS if data.startswith(b[0])), (b"", "utf-8"))
    body = data[len(bom) :]
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        # cp1252 takes almost any bytes. Where UTF-8 was declared, or has served for some letters
        # before, the file is damaged UTF-8, and cp1252 would silently make 'â€™' of its quotes.
        if bom or not body[: error.start].isascii():
            raise UserError(
                f"{source}: is not valid {encoding.upper()} at byte {len(bom) + error.start}. "
                "The file is damaged or mixes encodings: save it as UTF-8 again."
            ) from None
        encoding = "cp1252"
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError as undefined:
            raise UserError(
                f"{source}: is neither UTF-8 nor cp1252 (Windows) text: byte {undefined.start} is "
                f"0x{body[undefined.start]:02x}. Save it as UTF-8."
            ) from None
    if control := _CONTROL.search(text):
        offset = len(bom) + len(text[: control.start()].encode(encoding))
        raise UserError(
            f"{source}: is not plain text: control character U+{ord(control[0]):04X} at byte "
            f"{offset}. Give a text file, not a PDF or a Word document; save UTF-16 with its BOM."
        )
    if not text.translate(INVISIBLE).strip():
        raise UserError(f"{source}: holds no text. Give a file with at least one paragraph.")
    return text
