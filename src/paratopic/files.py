"""Writing so that a reader never meets half a file or half a folder.

What is written is for the caller to know; only the form of JSON and CSV is the same for all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paratopic.errors import UserError

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
