"""The labels' file: a log of who said what about a paragraph, and which answer counts.

One line a judgement, and none is ever taken away: a later one of the same annotator takes its
place, "?" takes it back. Whether a paragraph exists is `corpus`' matter, how other tools write
labels `exchange`'s.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import BaseFileLock, FileLock

from paratopic.articles import decode
from paratopic.errors import UserError
from paratopic.files import aside
from paratopic.topics import SEPARATOR, Topics

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


@dataclass(frozen=True)
class Merged:
    """What a merge did: lines that were new, lines that stood there, and what is in dispute."""

    added: int
    known: int
    disputes: list[str]


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
    return _read(path)[1]


def _read(path: Path) -> tuple[list[str], list[Label]]:
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


def read_labels(path: Path) -> list[Label]:
    """Read what counts of labels.csv: the latest answer of each annotator on each paragraph.

    Raises
    ------
    UserError
        As `read_lines`; or two lines that name no annotator answer differently, and no time tells
        which is the later one.
    """
    return current(read_lines(path))


def current(lines: Iterable[Label]) -> list[Label]:
    """The latest answer of each annotator on each paragraph; "?" takes earlier ones back.

    Answers of a named annotator that no time tells apart all count.

    Raises
    ------
    UserError
        Lines without an annotator contradict each other, and no time tells which is the later one.
    """
    latest: dict[tuple[str, str], list[Label]] = {}
    for line in lines:
        if line.cell == UNDECIDED and not line.when:
            continue  # from `paratopic paragraphs`, and not yet filled in
        so_far = latest.setdefault((line.paragraph, line.annotator), [])
        if so_far and line.time > so_far[0].time:
            so_far.clear()
        if so_far and line.time < so_far[0].time:
            continue
        if any(line.names == other.names for other in so_far):
            continue
        if so_far and not line.annotator:
            earlier = so_far[0]
            raise UserError(
                f'{line.where}: {line.paragraph} is labelled "{line.cell}", but {earlier.where} '
                f'labels it "{earlier.cell}"; keep one of the two'
            )
        so_far.append(line)
    return [line for lines in latest.values() for line in lines if line.cell != UNDECIDED]


def by_paragraph(answers: Iterable[Label]) -> dict[str, list[Label]]:
    """Paragraph id → its answers."""
    found: dict[str, list[Label]] = {}
    for answer in answers:
        found.setdefault(answer.paragraph, []).append(answer)
    return found


def resolve(answers: Sequence[Label], topics: Topics) -> tuple[Label, str]:
    """The answer that counts among those on one paragraph, and why.

    In mode single: the dominant topic that most name; of the answers with this topic the most
    frequent one; in a tie what comes first in the codebook, "none of the topics" last. In mode
    multi each topic stands for itself: those count that at least half name. The order of the lines
    does not matter.

    Returns
    -------
    The answer, and ``"agreed"``, ``"majority"`` or ``"tie"`` (settled by the codebook's order; in
    mode multi there is a topic that just half name).
    """
    whole = Counter(answer.names for answer in answers)
    if topics.mode == "multi":
        return _resolve_each(answers, topics)
    dominant = Counter(answer.names[:1] for answer in answers)

    def votes(answer: Label) -> tuple[int, int]:
        return -dominant[answer.names[:1]], -whole[answer.names]

    def rank(answer: Label) -> tuple[object, ...]:
        known = topics.names
        order = [(known.index(n), "") if n in known else (len(known), n) for n in answer.names]
        return *votes(answer), order or [(len(known) + 1, "")]

    best = min(answers, key=rank)
    if len(whole) == 1:
        return best, "agreed"
    rivals = {answer.names for answer in answers if votes(answer) == votes(best)}
    return best, "majority" if len(rivals) == 1 else "tie"


def _resolve_each(answers: Sequence[Label], topics: Topics) -> tuple[Label, str]:
    votes = Counter(name for answer in answers for name in answer.names)
    known = [*topics.names, *sorted(votes.keys() - set(topics.names))]
    counted = [name for name in known if 2 * votes[name] >= len(answers)]
    if any(2 * votes[name] == len(answers) for name in counted):
        why = "tie"
    else:
        why = "agreed" if set(votes.values()) <= {len(answers)} else "majority"
    return replace(answers[0], cell=SEPARATOR.join(counted)), why


def disputes(lines: Sequence[Label], paragraphs: Iterable[str], topics: Topics) -> list[str]:
    """What the lines contradict each other in, and which answer counts: a message a paragraph."""
    wanted = set(paragraphs)
    mine = [line for line in lines if line.paragraph in wanted]
    now = by_paragraph(current(mine))
    told = []
    for paragraph, all_lines in by_paragraph(mine).items():
        said: dict[str, list[Label]] = {}
        for line in sorted(all_lines, key=lambda line: (line.annotator, line.time, line.cell)):
            if line.cell != UNDECIDED or line.when:
                said.setdefault(line.annotator, []).append(line)
        answers = {who: [_shown(line, topics) for line in lines] for who, lines in said.items()}
        if len({answer for each in answers.values() for answer in each}) < 2:
            continue
        who_said = "; ".join(
            f"{who or 'nobody named'}: {', then '.join(dict.fromkeys(each))}"
            for who, each in sorted(answers.items())
        )
        if paragraph not in now:
            verdict = "taken back, no label"
        else:
            winner, why = resolve(now[paragraph], topics)
            verdict = f"{_shown(winner, topics)} counts ({_REASONS[topics.mode, why]})"
        told.append(f"{paragraph} – {who_said} → {verdict}")
    return told


_REASONS = {
    ("single", "agreed"): "the latest",
    ("single", "majority"): "most annotators",
    ("single", "tie"): "a tie: the first in the codebook",
    ("multi", "agreed"): "the latest",
    ("multi", "majority"): "what most annotators name",
    ("multi", "tie"): "a tie: what half of the annotators name",
}


def _shown(line: Label, topics: Topics) -> str:
    if topics.mode == "single":
        return line.cell or "none of the topics"
    # Whichever was named first.
    order = {name: n for n, name in enumerate(topics.names)}
    names = sorted(line.names, key=lambda name: (order.get(name, len(order)), name))
    return SEPARATOR.join(names) or "none of the topics"


def merge(
    path: Path, incoming: Sequence[Label], annotator: str, order: Mapping[str, int], topics: Topics
) -> Merged:
    """Add lines to labels.csv that it does not have yet.

    The order in which files are merged does not matter, and merging one again changes nothing.
    Lines without an annotator stay where they stand; the others are sorted. The version before is
    kept as labels.csv.bak.

    Parameters
    ----------
    path
        The labels' file; made where there is none.
    incoming
        New lines.
    annotator
        Whose the lines are that name nobody, unless such a line stands in the file as it is.
    order
        Paragraph id → rank, by which lines are sorted.
    topics
        The codebook, which settles ties.
    """
    with locked(path):
        columns, lines = _read(path) if path.exists() else ([], [])
        known = {line.key for line in lines}
        added = 0
        for line in incoming:
            named = line if line.annotator else replace(line, annotator=annotator)
            if line.key not in known and named.key not in known:
                known.add(named.key)
                lines.append(named)
                added += 1
        told = disputes(lines, [line.paragraph for line in incoming], topics)
        if added:
            last = len(order)
            nameless = [line for line in lines if not line.annotator]
            named_lines = sorted(
                (line for line in lines if line.annotator),
                key=lambda line: (
                    order.get(line.paragraph, last),
                    line.paragraph,
                    line.annotator,
                    line.time,
                    line.names,
                    line.note,
                ),
            )
            _rewrite(path, columns, [*nameless, *named_lines])
    return Merged(added, len(incoming) - added, told)


def append(path: Path, label: Label) -> Label:
    """Write one line at the end of labels.csv; when this returns, it is on the disk.

    Its time is now, or just after what the annotator said before where the clock went back.

    Returns
    -------
    The line as it was written.
    """
    with locked(path):
        columns, lines = _read(path) if path.exists() else ([], [])
        own = [line.time for line in lines if line.annotator == label.annotator]
        now = max([datetime.now(UTC), *(time + timedelta(microseconds=1) for time in own)])
        label = replace(
            label,
            text=" ".join(label.text.split()),
            note=" ".join(label.note.split()),
            when=now.isoformat(timespec="microseconds"),
        )
        if not set(COLUMNS + OPTIONAL) <= set(columns) or not _whole(path):
            columns = _rewrite(path, columns, lines)
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


def _rewrite(path: Path, columns: Sequence[str], lines: Sequence[Label]) -> list[str]:
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
