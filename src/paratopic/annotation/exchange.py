"""Exchange suggestions and votes with other tools: Label Studio and spreadsheets.

`suggestion` chooses the paragraphs, and `labels.votes` decides which of several votes counts.
This module skips no row silently: it reports or counts every row without a vote, with a reason.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from paratopic.annotation import label_studio
from paratopic.annotation.label_studio import NONE_CHOICE
from paratopic.annotation.suggestion import Suggestion
from paratopic.labels.log import COLUMNS, OPTIONAL, Label, cell_of, checked, first_words, tidy
from paratopic.project import files
from paratopic.project.errors import UserError, plural
from paratopic.project.files import escape_formula, unescape_formula
from paratopic.project.topics import Topics, join_cell
from paratopic.tables.sheets import LineFeeds, read_sheet
from paratopic.tables.workbook import Tab, write_workbook

# Columns of a sheet.
SHEET = [*COLUMNS, *"heading suggestion probability reason annotator note drawn when".split()]
# Widths of columns of a workbook in characters, and the width of all other columns.
WIDTHS = {"paragraph": 24, "topics": 22, "text": 80, "heading": 24, "reason": 24, "note": 32}
WIDTH = 16
# Tab of a workbook with the topics to choose from.
CODEBOOK_TAB = "codebook"
# Column with a tool's confidence in its votes, which labels.csv keeps.
CONFIDENCE = "confidence"
# Why a row or a task without an error has no vote.
UNDECIDED = "undecided"
EMPTY = 'empty (write "none" for none of the topics)'


class _SkippedRow(NamedTuple):
    """A row or a task without a vote."""

    reason: str
    place: str


@dataclass
class ImportedLabels:
    """Content of a file in which people labelled.

    Parameters
    ----------
    problems
        Messages about rows that could not be imported.
    skipped
        Reason → rows or tasks without a vote: "file.csv, row 2".
    retired
        Change of the codebook by which a label no longer counts → number of such labels.
    drawn_after
        Id of each drawn paragraph with an annotation in Label Studio → id of the paragraph drawn
        just before it.
    """

    labels: list[Label] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    retired: Counter[str] = field(default_factory=Counter)
    drawn_after: dict[str, str] = field(default_factory=dict)


def read_votes(path: Path, frame: pd.DataFrame, topics: Topics) -> ImportedLabels:
    """Read the votes in a file in which people labelled.

    Rows with a mistake, such as an id that `frame` lacks, are problems. Undecided ones are skipped.

    Parameters
    ----------
    path
        Label Studio's JSON export (.json), or a sheet with the columns paragraph and topics (.csv,
        .xlsx). If it has a column suggestion, as sheets of `write_tasks` have, an empty cell of
        topics means undecided. Otherwise it means none of the topics, as in labels.csv.

    Raises
    ------
    UserError
        The file is unreadable, lacks a column, or has another suffix.
    """
    if _is_sheet(path):
        return _import_votes(_sheet_votes(path), frame, topics)
    tasks = label_studio.read_export(path)
    votes = chain.from_iterable(_task_votes(task, str(path)) for task in tasks)
    imported = _import_votes(votes, frame, topics)
    labelled = {label.paragraph for label in imported.labels}
    for task in tasks:
        id_, previous_id = task.cell("paragraph"), task.cell("drawn_after")
        if previous_id and id_ in labelled:
            imported.drawn_after[id_] = previous_id
    return imported


def read_drawn(path: Path, frame: pd.DataFrame) -> dict[str, str]:
    """Read the paragraphs that a sheet lists: id → how it was chosen, `Label.drawn`, in its order.

    The sheet is a .csv or .xlsx file with the columns paragraph, topics, which is not read, and
    drawn; without drawn, the values are "". A `UserError` reports that the file is unreadable or
    has another suffix, a paragraph that `frame` lacks, or a cell of drawn that cannot be parsed.
    """
    if not _is_sheet(path):
        raise UserError(
            f"{path}: the paragraphs to label have to be in a .csv or .xlsx file, as `paratopic "
            "suggest` writes it"
        )
    known = set(frame["id"])
    drawn: dict[str, str] = {}
    for place, row in read_sheet(path, COLUMNS[:2]).rows:
        paragraph = unescape_formula(row["paragraph"].strip())
        if paragraph not in known:
            raise _unknown_paragraph(place, paragraph)
        label = Label(place, paragraph, "", "", drawn=row.get("drawn", "").strip())
        drawn[paragraph] = checked(label).drawn
    return drawn


def write_tasks(
    path: Path, suggestions: Sequence[Suggestion], topics: Topics, model: str
) -> list[Path]:
    """Write suggestions in their order for Label Studio (.json) or a spreadsheet (.csv, .xlsx).

    A .json file and a sheet without votes are replaced. A `UserError` reports another suffix, or
    that a sheet would replace votes or a file that is no sheet.

    Parameters
    ----------
    model
        Name of the model that made the predictions; only files for Label Studio have it.

    Returns
    -------
    The files written: `path` and, for Label Studio, its configuration, `path` with suffix .xml.
    """
    if not _is_sheet(path):
        previous_ids = ["", *(suggestion.id for suggestion in suggestions)]
        tasks = [
            label_studio.make_task(suggestion, id_, topics, model)
            for suggestion, id_ in zip(suggestions, previous_ids, strict=False)
        ]
        files.write_text(path, json.dumps(tasks, indent=2, ensure_ascii=False) + "\n")
        configuration = path.with_suffix(".xml")
        files.write_text(configuration, label_studio.configuration(topics))
        return [path, configuration]
    _check_unfilled(path)
    if path.suffix.lower() == ".csv":
        files.write_text(path, sheet(suggestions))
    else:
        widths = [WIDTHS.get(name, WIDTH) for name in SHEET]
        codebook = list(_codebook_rows(topics))
        # The last row is no choice: it explains how to write several topics.
        choices = {SHEET.index("topics"): f"{CODEBOOK_TAB}!$A$2:$A${len(codebook) - 1}"}
        with files.atomic_write(path) as draft:
            write_workbook(
                draft,
                Tab(_sheet_rows(suggestions), "paragraphs", widths, wraps=True, choices=choices),
                Tab(codebook, CODEBOOK_TAB, (WIDTHS["topics"], WIDTHS["text"]), wraps=True),
            )
    return [path]


def sheet(suggestions: Sequence[Suggestion]) -> str:
    """Suggestions as CSV with the columns `SHEET`; topics are "?", which a person replaces."""
    text = io.StringIO()
    csv.writer(LineFeeds(text)).writerows(_sheet_rows(suggestions))
    return text.getvalue()


def _sheet_rows(suggestions: Sequence[Suggestion]) -> Iterator[Sequence[object]]:
    """Yield the header, `SHEET`, and a row for each suggestion: topics "?", and "" if unknown."""
    yield SHEET
    for s in suggestions:
        cells = {"paragraph": s.id, "topics": cell_of(None), "text": s.text, "heading": s.heading}
        cells |= {"suggestion": s.topic if s.scores else "", "reason": s.reason}
        cells |= {"drawn": s.drawn, "when": s.when}
        row: dict[str, object] = {name: escape_formula(cell) for name, cell in cells.items()}
        if s.scores:
            row["probability"] = Decimal(f"{s.confidence:.2f}")
        yield [row.get(name, "") for name in SHEET]


def _codebook_rows(topics: Topics) -> Iterator[Sequence[str]]:
    """Yield the rows of the tab `CODEBOOK_TAB`: a value of the column topics, and its definition.

    They are the header, the topics, none of the topics, "?", and an example of several topics.
    """
    yield "topics", "definition"
    for topic in topics.topics:
        yield escape_formula(topic.name), escape_formula(topic.definition)
    yield NONE_CHOICE, "None of the topics. You can also write none."
    yield cell_of(None), "Not decided yet. An empty cell means the same."
    several = f"Several topics, separated by semicolons{topics.labels.order}."
    yield escape_formula(join_cell(topics.names[:2])), several


def _check_unfilled(path: Path) -> None:
    """Raise a UserError if `path` exists and is a sheet with votes, or is no sheet to label."""
    if not path.exists():
        return
    try:
        n = sum(isinstance(vote, Label) for vote in _sheet_votes(path))
    except UserError:
        raise UserError(f"{path} exists, and is no sheet to label; name another file") from None
    if n:
        raise UserError(
            f"{path} has {plural(n, 'answer')}, which would be lost: name another file, or remove "
            f"this one once `paratopic import {path}` has read it"
        )


def _is_sheet(path: Path) -> bool:
    """Whether the suffix is .csv or .xlsx, not .json (Label Studio); a `UserError` for others."""
    suffix = path.suffix.lower()
    if suffix not in (".json", ".csv", ".xlsx"):
        raise UserError(
            f"{path}: the file's ending says what format it has; use one of .json (Label Studio), "
            ".csv (spreadsheet), .xlsx (spreadsheet)"
        )
    return suffix != ".json"


def _sheet_votes(path: Path) -> Iterator[Label | _SkippedRow]:
    """Yield each row of a sheet as an unchecked label without text, or as skipped if undecided.

    An empty cell of topics is undecided if the sheet has a column suggestion, and else means none
    of the topics. A `UserError` reports a file that is no sheet with paragraph and topics.
    """
    columns, rows = read_sheet(path, COLUMNS[:2])
    for place, row in rows:
        cells = {name: unescape_formula(row.get(name, "").strip()) for name in SHEET}
        optional_cells = {name: cells[name] for name in OPTIONAL}
        # In older sheets with a suggestion, the confidence is the model's and not the annotator's.
        is_vote_confidence = "suggestion" not in columns
        confidence = unescape_formula(row.get(CONFIDENCE, "").strip()) if is_vote_confidence else ""
        more = ((CONFIDENCE, confidence),) if confidence else ()
        vote = Label(place, cells["paragraph"], cells["topics"], "", **optional_cells, more=more)
        if not vote.cell and "suggestion" in columns:
            yield _SkippedRow(EMPTY, place)
        else:
            yield vote if vote.is_decided else _SkippedRow(UNDECIDED, place)


def _task_votes(task: label_studio.Task, source: str) -> Iterator[Label | _SkippedRow]:
    """Yield a label for each annotation with a choice: its topics, or `NONE_CHOICE`, as chosen.

    Only `_check_vote` checks it, turns `NONE_CHOICE` into "" and adds the text. Other annotations,
    and a task without any, give a skipped row. `source` is the name of the file, for messages.
    """
    place = f"{source}, task {task.id}"
    if not task.annotations:
        yield _SkippedRow(UNDECIDED, place)
    for annotation in task.annotations:
        if annotation.was_cancelled:
            yield _SkippedRow("skipped by the annotator", place)
        elif not annotation.topics:
            yield _SkippedRow(UNDECIDED, place)
        else:
            paragraph, cell = task.cell("paragraph"), join_cell(annotation.topics)
            person = annotation.annotator, annotation.when, annotation.note
            yield Label(place, paragraph, cell, "", *person, task.cell("drawn"))


def _import_votes(
    votes: Iterable[Label | _SkippedRow], frame: pd.DataFrame, topics: Topics
) -> ImportedLabels:
    """Divide votes into labels, which `_check_vote` returns, problems and skipped rows.

    Votes that it refuses, or on paragraphs that `frame` lacks, are problems. Labels with retired
    topics are also counted in `retired`; `drawn_after` stays empty.
    """
    text_of_id = dict(zip(frame["id"], frame["text"], strict=True))
    imported = ImportedLabels()
    for vote in votes:
        if isinstance(vote, _SkippedRow):
            imported.skipped.setdefault(vote.reason, []).append(vote.place)
            continue
        try:
            if vote.paragraph not in text_of_id:
                raise _unknown_paragraph(vote.where, vote.paragraph)
            label = _check_vote(vote, text_of_id[vote.paragraph], topics)
            imported.labels.append(label)
            if change := topics.current_meaning(label.names).retired:
                imported.retired[change] += 1
        except UserError as problem:
            imported.problems.append(str(problem))
    return imported


def _check_vote(vote: Label, text: str, topics: Topics) -> Label:
    """Return the vote with names as in the codebook, the first words of `text`, and tidy cells.

    Names may be former or retired ones; the cell is "" for none of the topics. A `UserError`
    reports an unknown topic, none beside a topic, or a time or draw that cannot be parsed.
    """
    choices = [_codebook_name(name, topics) for name in vote.names]
    names = [name for name in choices if name != NONE_CHOICE]
    if names and NONE_CHOICE in choices:
        raise UserError(
            f"{vote.where}: {NONE_CHOICE} and {', '.join(names)} are both chosen; choose one or "
            "the other"
        )
    if not (meaning := topics.current_meaning(names)).retired:
        topics.check(meaning.names, vote.where)
    return tidy(replace(checked(vote), cell=join_cell(names), text=first_words(text)))


def _codebook_name(name: str, topics: Topics) -> str:
    """The one of `all_names` that is equal but for case; `NONE_CHOICE` for "none"; else `name`."""
    if name in topics.all_names:
        return name
    folded = " ".join(name.split()).casefold()
    matches = [known for known in topics.all_names if known.casefold() == folded]
    if matches:
        return matches[0] if len(matches) == 1 else name
    return NONE_CHOICE if folded in ("none", NONE_CHOICE) else name


def _unknown_paragraph(place: str, paragraph: str) -> UserError:
    problem = "the paragraph id is missing"
    if paragraph:
        problem = f"the sources have no paragraph {first_words(paragraph)}"
    return UserError(f"{place}: {problem}; `dvc repro prepare` reads new sources")
