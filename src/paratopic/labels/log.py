"""labels.csv: a log of who said what about a paragraph; reading it and adding to it.

One line a judgement, and none is ever taken away. Which of several answers counts is for `answers`,
whether a paragraph exists for `join`, how other tools write labels for `annotation.formats`.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import BaseFileLock, FileLock

from paratopic.project.errors import UserError
from paratopic.project.files import aside, decode
from paratopic.project.topics import SEPARATOR

COLUMNS = ("paragraph", "topics", "text")

# May be missing: files that one person writes by hand need none of them.
OPTIONAL = ("annotator", "when", "note")

# Stands in labels.csv for a paragraph that nobody has decided on yet.
UNDECIDED = "?"

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Label:
    """One line of labels.csv.

    Parameters
    ----------
    where
        Its file and line, for messages.
    paragraph
        Id of the paragraph.
    cell
        Its topics as written: ``"trade;technology"``, "" for none of them, "?" for undecided.
    text
        The paragraph's first words, for people.
    annotator
        Who says so; "" where nobody is named.
    when
        ISO 8601 date or time, UTC where no zone is named; "" where it is not known.
    note
        Anything.
    more
        Columns that are not ours, kept as they are.
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
        """Its topics, the dominant one first: ``"trade; security"`` → ``("trade", "security")``."""
        names = (name.strip() for name in self.cell.split(SEPARATOR))
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def time(self) -> datetime:
        """When it was said; lines that do not tell come before all others."""
        return parse_when(self.when, self.where)

    @property
    def key(self) -> tuple[str, tuple[str, ...], str, datetime, str]:
        """Two lines with the same key say the same."""
        return self.paragraph, self.names, self.annotator, self.time, self.note


def parse_when(when: str, where: str) -> datetime:
    """Read a line's time.

    Raises
    ------
    UserError
        It is no ISO 8601 date or time.
    """
    if not when:
        return NEVER
    try:
        time = datetime.fromisoformat(when)
    except ValueError:
        raise UserError(
            f'{where}: "{when}" is no ISO 8601 time; write 2025-09-15T10:00:00Z, or leave it empty'
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def read_lines(path: Path) -> list[Label]:
    """Read every line of labels.csv, in its order.

    A last line that a broken write left unfinished is left out: nobody was told that it is saved.

    Raises
    ------
    UserError
        The file or a column is missing, a line is incomplete or its time cannot be read.
    """
    return read_table(path)[1]


def read_table(path: Path) -> tuple[list[str], list[Label]]:
    """Columns and lines."""
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
    if rows and _torn(text, rows[-1][1], columns):
        rows.pop()
    return columns, [_label(where, row, columns) for where, row in rows]


def _torn(text: str, last: Mapping[str, str | None], columns: Sequence[str]) -> bool:
    # `append` quotes every cell, hands do not, and ends each line.
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


def append(path: Path, label: Label) -> Label:
    """Write one line at the end of labels.csv; when this returns, it is on the disk.

    Its time is now, or just after what the annotator said before where the clock went back.

    Returns
    -------
    The line as it was written.
    """
    with locked(path):
        columns, lines = read_table(path) if path.exists() else ([], [])
        own = [line.time for line in lines if line.annotator == label.annotator]
        now = max([datetime.now(UTC), *(time + timedelta(microseconds=1) for time in own)])
        label = replace(
            label,
            text=" ".join(label.text.split()),
            note=" ".join(label.note.split()),
            when=now.isoformat(timespec="microseconds"),
        )
        if not set(COLUMNS + OPTIONAL) <= set(columns) or not _whole(path):
            columns = rewrite(path, columns, lines)
        line = _csv([label], columns, csv.QUOTE_ALL).encode()
        with path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                if file.write(line) != len(line):
                    raise OSError(f"{path}: the disk is full")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise
    return label


def locked(path: Path) -> BaseFileLock:
    """Keeps every other program from writing to labels.csv: `with locked(path)`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"))


def _whole(path: Path) -> bool:
    """Whether the file is UTF-8 and its last line has a line end."""
    data = path.read_bytes()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return data.endswith(b"\n")


def backup(path: Path) -> Path:
    """Where the version before the last import is kept."""
    return path.with_name(f"{path.name}.bak")


def rewrite(path: Path, columns: Sequence[str], lines: Sequence[Label]) -> list[str]:
    """Write the whole file anew, the version before beside it; returns its columns."""
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


def _csv(lines: Iterable[Label], columns: Sequence[str], quoting: int) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", quoting=quoting)  # type: ignore[arg-type]
    for line in lines:
        own = {"paragraph": line.paragraph, "topics": line.cell, "text": line.text}
        own |= {"annotator": line.annotator, "when": line.when, "note": line.note}
        writer.writerow(dict(line.more) | own)
    return text.getvalue()


def first_words(text: str, width: int = 60) -> str:
    """What stands in labels.csv for people to read: at most `width` characters, whole words."""
    if len(text) <= width:
        return text
    return text[:width].rpartition(" ")[0] or text[:width]
