"""Read labels.csv, and write to it: a log with one line for each answer about a paragraph.

A line is never removed. This module does not decide which of several answers counts (`answers`
does) or whether a paragraph exists (`join` does), and does not read the files of other tools
(`annotation.formats` does).
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import shorten

from filelock import BaseFileLock, FileLock

from paratopic.project.errors import UserError
from paratopic.project.files import aside, decode
from paratopic.project.topics import SEPARATOR

COLUMNS = ("paragraph", "topics", "text")
# May be missing: a file that one person writes by hand needs none of them.
OPTIONAL = ("annotator", "when", "note")
# In place of the topics: nobody has decided yet, or an answer is taken back.
UNDECIDED = "?"
# Time of a line that has none.
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Label:
    """One line of labels.csv.

    Parameters
    ----------
    where
        File and line, for error messages.
    paragraph
        Id of the paragraph.
    cell
        Topics as written: ``"trade;technology"``, "" for none of the topics, "?" for undecided.
    text
        First words of the paragraph, for people who read the file.
    annotator
        Name of the person who gave the answer; "" where it is not known.
    when
        ISO 8601 date or time, UTC where it has no zone; "" where it is not known.
    note
        The annotator's comment.
    more
        Names and cells of further columns, which are kept.
    """

    where: str
    paragraph: str
    cell: str
    text: str
    annotator: str = ""
    when: str = ""
    note: str = ""
    more: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Topics, the dominant one first: ``"trade; security"`` → ``("trade", "security")``."""
        names = (name.strip() for name in self.cell.split(SEPARATOR))
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def time(self) -> datetime:
        """Time of the answer; a line without one is earlier than all others."""
        return parse_when(self.when, self.where)

    @property
    def key(self) -> tuple[str, tuple[str, ...], str, datetime, str]:
        """Equal for two lines that record the same answer."""
        return self.paragraph, self.names, self.annotator, self.time, self.note


def parse_when(when: str, where: str) -> datetime:
    """Read the time of a line; `NEVER` for "".

    Parameters
    ----------
    when
        ISO 8601 date or time.
    where
        File and line, for the error message.

    Raises
    ------
    UserError
        It is not an ISO 8601 date or time.
    """
    if not when:
        return NEVER
    try:
        time = datetime.fromisoformat(when)
    except ValueError:
        raise UserError(
            f'{where}: "{when}" is not an ISO 8601 time; write 2025-09-15T10:00:00Z, or leave it '
            "empty"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def first_words(text: str, width: int = 60) -> str:
    """Shorten a text to its first words, which tell people what a paragraph is.

    >>> first_words("Tariffs rose on all goods", 12)
    'Tariffs rose'

    Parameters
    ----------
    text
        Any text; each run of white space becomes one space.
    width
        Highest number of characters. A word that is longer by itself is cut.
    """
    return shorten(text, width, placeholder="", break_on_hyphens=False)


def read_lines(path: Path) -> list[Label]:
    """Read all lines of labels.csv in their order.

    An incomplete last line, which an interrupted `append` left, is skipped: the annotator was not
    told that it was saved.

    Raises
    ------
    UserError
        The file or a column is missing, a line is incomplete, or a time cannot be read.
    """
    return read_table(path)[1]


def read_table(path: Path) -> tuple[list[str], list[Label]]:
    """Read the names of the columns as well; see `read_lines`."""
    try:
        text = decode(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise UserError(
            f"{path} not found: make it with `paratopic paragraphs`, or set prepare.labels to null"
        ) from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = list(reader.fieldnames or ())
    for column in COLUMNS[:2]:
        if column not in columns:
            raise UserError(
                f'{path}, line 1: there is no column "{column}"; the columns are '
                f"{','.join(COLUMNS)}, separated by commas"
            )
    rows = [(f"{path}, line {reader.line_num}", row) for row in reader]
    if rows and _is_torn(text, rows[-1][1], columns):
        rows.pop()
    return columns, [_label(where, row, columns) for where, row in rows]


def append(path: Path, label: Label) -> Label:
    """Add one line at the end of labels.csv; it is on the disk when this returns.

    Its time is now, or just after the annotator's latest answer where the clock was set back.

    Returns
    -------
    The line as it was written.
    """
    with locked(path):
        columns, lines = read_table(path) if path.exists() else ([], [])
        label = _stamped(label, lines)
        if not set(COLUMNS + OPTIONAL) <= set(columns) or not _is_complete(path):
            columns = rewrite(path, columns, lines)
        _write_at_end(path, _csv([label], columns, csv.QUOTE_ALL).encode())
    return label


def locked(path: Path) -> BaseFileLock:
    """Keep other programs from writing to labels.csv: ``with locked(path): ...``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"))


def backup(path: Path) -> Path:
    """Path of the version before the last `rewrite`."""
    return path.with_name(f"{path.name}.bak")


def rewrite(path: Path, columns: Sequence[str], lines: Sequence[Label]) -> list[str]:
    """Write the whole file anew, and keep the version before it as `backup`.

    Parameters
    ----------
    path
        The labels' file.
    columns
        Names of its columns; those that are missing are added at the end.
    lines
        All of its lines.

    Returns
    -------
    Names of the columns as written.
    """
    wanted = [*columns, *(name for name in (*COLUMNS, *OPTIONAL) if name not in columns)]
    if path.exists():
        with aside(backup(path)) as draft:
            draft.write_bytes(path.read_bytes())
    with aside(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(wanted)
        file.write(_csv(lines, wanted, csv.QUOTE_MINIMAL))
        file.flush()
        os.fsync(file.fileno())
    return wanted


def _is_torn(text: str, last: Mapping[str, str | None], columns: Sequence[str]) -> bool:
    """Whether the last line was written by `append` and is incomplete."""
    # `append` quotes every cell, which people do not, and ends every line.
    before, end, begun = text.rpartition("\n")
    if not begun.startswith('"') or (before + end).count('"') % 2:
        return False
    return begun.count('"') % 2 == 1 or last[columns[-1]] is None


def _label(where: str, row: dict[str, str], columns: Sequence[str]) -> Label:
    paragraph, cell = (row["paragraph"] or "").strip(), row["topics"]
    if cell is None or not paragraph:
        raise UserError(f"{where}: a line needs a paragraph id and a topics cell")
    if None in row:
        raise UserError(f"{where}: more cells than columns; quote a text that has commas")
    cells = {name: (row.get(name) or "").strip() for name in (*COLUMNS[2:], *OPTIONAL)}
    own = (*COLUMNS, *OPTIONAL)
    more = tuple((name, row[name]) for name in columns if name not in own and row[name])
    label = Label(where, paragraph, cell.strip(), **cells, more=more)
    parse_when(label.when, where)
    return label


def _stamped(label: Label, lines: Iterable[Label]) -> Label:
    """The label with a time after the annotator's other lines, its text and note on one line."""
    own = [line.time for line in lines if line.annotator == label.annotator]
    now = max([datetime.now(UTC), *(time + timedelta(microseconds=1) for time in own)])
    return replace(
        label,
        text=" ".join(label.text.split()),
        note=" ".join(label.note.split()),
        when=now.isoformat(timespec="microseconds"),
    )


def _is_complete(path: Path) -> bool:
    """Whether the file is UTF-8 and its last line ends with a line end."""
    data = path.read_bytes()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return data.endswith(b"\n")


def _write_at_end(path: Path, line: bytes) -> None:
    """Add a line to the file, or leave the file as it was."""
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            if file.write(line) != len(line):
                raise OSError(f"{path}: the disk is full")
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)
            raise


def _csv(lines: Iterable[Label], columns: Sequence[str], quoting: int) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", quoting=quoting)  # type: ignore[arg-type]
    for line in lines:
        own = {"paragraph": line.paragraph, "topics": line.cell, "text": line.text}
        own |= {"annotator": line.annotator, "when": line.when, "note": line.note}
        writer.writerow(dict(line.more) | own)
    return text.getvalue()
