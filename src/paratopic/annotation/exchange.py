"""Exchange suggestions and labels with other tools: Label Studio and spreadsheets.

This module does not decide what to label (`suggestion` does) or which of several answers counts
(`labels.answers` does). Reading skips nothing silently: every row that gives no label is reported
by its line or task, or counted with a reason.
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
from paratopic.project.files import inert, live
from paratopic.project.topics import Topics, join_cell
from paratopic.tables.sheets import LineFeeds, read_sheet
from paratopic.tables.workbook import Tab, write_workbook

# Columns of a sheet.
SHEET = [*COLUMNS, *"heading suggestion probability reason annotator note drawn when".split()]
# Widths of the columns of a workbook, in characters, and that of all others.
WIDTHS = {"paragraph": 24, "topics": 22, "text": 80, "heading": 24, "reason": 24, "note": 32}
WIDTH = 16
# The tab of a workbook from which topics are chosen.
CODEBOOK_TAB = "codebook"
# Column of a tool's answers, which stays in labels.csv: how certain it is of each.
CONFIDENCE = "confidence"
# Why a row or a task gives no label although nothing is wrong with it.
UNCHOSEN = "undecided"
EMPTY = 'empty (write "none" for none of the topics)'


class _LeftOut(NamedTuple):
    """A row or a task that holds no answer."""

    why: str
    where: str


@dataclass
class ImportedLabels:
    """Content of a file that people have worked on.

    Parameters
    ----------
    problems
        Messages about rows that could not be imported.
    left_out
        Reason → rows or tasks that hold no answer: "file.csv, row 2".
    retired
        Why a label does not count, because the codebook changed → number of such labels.
    drawn_after
        Id of each paragraph with an annotation in Label Studio that was drawn → id of the paragraph
        drawn just before it.
    """

    labels: list[Label] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    retired: Counter[str] = field(default_factory=Counter)
    drawn_after: dict[str, str] = field(default_factory=dict)


def read_answers(path: Path, frame: pd.DataFrame, topics: Topics) -> ImportedLabels:
    """Read the labels in a file that people have worked on.

    Parameters
    ----------
    path
        Label Studio's JSON export (.json), or a sheet with the columns paragraph and topics (.csv,
        .xlsx). Where it has a column suggestion, as sheets of `write_tasks` have, an empty cell of
        topics is undecided; elsewhere it is none of the topics, as in labels.csv.

    Raises
    ------
    UserError
        The whole file is unreadable.
    """
    if _is_sheet(path):
        return _imported(_in_sheet(path), frame, topics)
    tasks = label_studio.read_export(path)
    answers = chain.from_iterable(_annotated(task, str(path)) for task in tasks)
    imported = _imported(answers, frame, topics)
    labelled = {label.paragraph for label in imported.labels}
    drawn = ((task.cell("paragraph"), task.cell("drawn_after")) for task in tasks)
    imported.drawn_after = {id_: before for id_, before in drawn if before and id_ in labelled}
    return imported


def read_drawn(path: Path, frame: pd.DataFrame) -> dict[str, str]:
    """Read which paragraphs a sheet lists, and how they were chosen.

    Parameters
    ----------
    path
        A sheet with the columns paragraph, topics and, optionally, drawn; .csv or .xlsx.

    Returns
    -------
    Paragraph id → how it was chosen (`Label.drawn`), in the order of the sheet.

    Raises
    ------
    UserError
        The file is unreadable, lists an unknown paragraph, or has a cell of drawn that cannot be
        read.
    """
    if not _is_sheet(path):
        raise UserError(
            f"{path}: the paragraphs to label have to be in a .csv or .xlsx file, as `paratopic "
            "suggest` writes it"
        )
    known = set(frame["id"])
    drawn: dict[str, str] = {}
    for where, row in read_sheet(path, COLUMNS[:2]).rows:
        paragraph = live(row["paragraph"].strip())
        if paragraph not in known:
            raise _unknown_paragraph(where, paragraph)
        label = Label(where, paragraph, "", "", drawn=row.get("drawn", "").strip())
        drawn[paragraph] = checked(label).drawn
    return drawn


def write_tasks(
    path: Path, suggestions: Sequence[Suggestion], topics: Topics, model: str
) -> list[Path]:
    """Write suggestions for Label Studio (.json) or a spreadsheet (.csv, .xlsx).

    Parameters
    ----------
    path
        File to write; its ending says for which tool.
    suggestions
        Paragraphs to label, in the order in which people should label them.

    Returns
    -------
    The files written: for Label Studio the tasks and, beside them, its labelling configuration.
    """
    if not _is_sheet(path):
        before = ["", *(suggestion.id for suggestion in suggestions)]
        tasks = [
            label_studio.task_of(suggestion, id_, topics, model)
            for suggestion, id_ in zip(suggestions, before, strict=False)
        ]
        files.write_text(path, json.dumps(tasks, indent=2, ensure_ascii=False) + "\n")
        configuration = path.with_suffix(".xml")
        files.write_text(configuration, label_studio.configuration(topics))
        return [path, configuration]
    _check_unanswered(path)
    if path.suffix.lower() == ".csv":
        files.write_text(path, sheet(suggestions))
    else:
        widths = [WIDTHS.get(name, WIDTH) for name in SHEET]
        book = list(_codebook_rows(topics))
        # The last row only says how to write several topics.
        choices = {SHEET.index("topics"): f"{CODEBOOK_TAB}!$A$2:$A${len(book) - 1}"}
        with files.aside(path) as draft:
            write_workbook(
                draft,
                Tab(_sheet_rows(suggestions), "paragraphs", widths, wraps=True, choices=choices),
                Tab(book, CODEBOOK_TAB, (WIDTHS["topics"], WIDTHS["text"]), wraps=True),
            )
    return [path]


def sheet(suggestions: Sequence[Suggestion]) -> str:
    """Suggestions as CSV; a "?" stands in place of the topics that a person has to fill in."""
    text = io.StringIO()
    csv.writer(LineFeeds(text)).writerows(_sheet_rows(suggestions))
    return text.getvalue()


def _sheet_rows(suggestions: Sequence[Suggestion]) -> Iterator[Sequence[object]]:
    yield SHEET
    for s in suggestions:
        cells = {"paragraph": s.id, "topics": cell_of(None), "text": s.text, "heading": s.heading}
        cells |= {"suggestion": s.topic if s.scores else "", "reason": s.reason}
        cells |= {"drawn": s.drawn, "when": s.when}
        row: dict[str, object] = {name: inert(cell) for name, cell in cells.items()}
        if s.scores:
            row["probability"] = Decimal(f"{s.confidence:.2f}")
        yield [row.get(name, "") for name in SHEET]


def _codebook_rows(topics: Topics) -> Iterator[Sequence[str]]:
    """What may be written as topics, and what it means."""
    yield "topics", "definition"
    for topic in topics.topics:
        yield inert(topic.name), inert(topic.definition)
    yield NONE_CHOICE, "None of the topics. You can also write none."
    yield cell_of(None), "Not decided yet. An empty cell means the same."
    several = f"Several topics, separated by semicolons{topics.labels.order}."
    yield inert(join_cell(topics.names[:2])), several


def _check_unanswered(path: Path) -> None:
    """Refuse to write over a sheet that somebody has filled in, or over any other file."""
    if not path.exists():
        return
    try:
        n = sum(isinstance(answer, Label) for answer in _in_sheet(path))
    except UserError:
        raise UserError(f"{path} exists, and is no sheet to label; name another file") from None
    if n:
        raise UserError(
            f"{path} has {plural(n, 'answer')}, which would be lost: name another file, or remove "
            f"this one once `paratopic import {path}` has read it"
        )


def _is_sheet(path: Path) -> bool:
    """Whether a file is a sheet, and not of Label Studio."""
    suffix = path.suffix.lower()
    if suffix not in (".json", ".csv", ".xlsx"):
        raise UserError(
            f"{path}: the file's ending says what format it has; use one of .json (Label Studio), "
            ".csv (spreadsheet), .xlsx (spreadsheet)"
        )
    return suffix != ".json"


def _in_sheet(path: Path) -> Iterator[Label | _LeftOut]:
    columns, rows = read_sheet(path, COLUMNS[:2])
    for where, row in rows:
        cells = {name: live(row.get(name, "").strip()) for name in SHEET}
        own = {name: cells[name] for name in OPTIONAL}
        # Beside a suggestion, in older sheets, it is the model's, not that of whoever answered.
        is_own = "suggestion" not in columns
        confidence = live(row.get(CONFIDENCE, "").strip()) if is_own else ""
        more = ((CONFIDENCE, confidence),) if confidence else ()
        answer = Label(where, cells["paragraph"], cells["topics"], "", **own, more=more)
        if not answer.cell and "suggestion" in columns:
            yield _LeftOut(EMPTY, where)
        else:
            yield answer if answer.is_decided else _LeftOut(UNCHOSEN, where)


def _annotated(task: label_studio.Task, source: str) -> Iterator[Label | _LeftOut]:
    where = f"{source}, task {task.id}"
    if not task.annotations:
        yield _LeftOut(UNCHOSEN, where)
    for annotation in task.annotations:
        if annotation.was_cancelled:
            yield _LeftOut("skipped by the annotator", where)
        elif not annotation.topics:
            yield _LeftOut(UNCHOSEN, where)
        else:
            paragraph, cell = task.cell("paragraph"), join_cell(annotation.topics)
            person = annotation.annotator, annotation.when, annotation.note
            yield Label(where, paragraph, cell, "", *person, task.cell("drawn"))


def _imported(
    answers: Iterable[Label | _LeftOut], frame: pd.DataFrame, topics: Topics
) -> ImportedLabels:
    """Check answers, and say where there is none."""
    text_of = dict(zip(frame["id"], frame["text"], strict=True))
    imported = ImportedLabels()
    for answer in answers:
        if isinstance(answer, _LeftOut):
            imported.left_out.setdefault(answer.why, []).append(answer.where)
            continue
        try:
            if answer.paragraph not in text_of:
                raise _unknown_paragraph(answer.where, answer.paragraph)
            label = _checked(answer, text_of[answer.paragraph], topics)
            imported.labels.append(label)
            if why := topics.today(label.names).retired:
                imported.retired[why] += 1
        except UserError as problem:
            imported.problems.append(str(problem))
    return imported


def _checked(answer: Label, text: str, topics: Topics) -> Label:
    """Check an answer on a paragraph with this text against the codebook."""
    given = [_as_in_codebook(name, topics) for name in answer.names]
    names = [name for name in given if name != NONE_CHOICE]
    if names and NONE_CHOICE in given:
        raise UserError(
            f"{answer.where}: {NONE_CHOICE} and {', '.join(names)} are both chosen; choose one or "
            "the other"
        )
    if not (meaning := topics.today(names)).retired:
        topics.check(meaning.names, answer.where)
    return tidy(replace(checked(answer), cell=join_cell(names), text=first_words(text)))


def _as_in_codebook(name: str, topics: Topics) -> str:
    """A name as the codebook has or had it, in any case and spacing; `NONE_CHOICE` for "none"."""
    if name in topics.all_names:
        return name
    folded = " ".join(name.split()).casefold()
    alike = [known for known in topics.all_names if known.casefold() == folded]
    if alike:
        return alike[0] if len(alike) == 1 else name
    return NONE_CHOICE if folded in ("none", NONE_CHOICE) else name


def _unknown_paragraph(where: str, paragraph: str) -> UserError:
    problem = "the paragraph id is missing"
    if paragraph:
        problem = f"the sources have no paragraph {first_words(paragraph)}"
    return UserError(f"{where}: {problem}; `dvc repro prepare` reads new sources")
