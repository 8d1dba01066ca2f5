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
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from paratopic.annotation import label_studio
from paratopic.annotation.context import Explain, Suggestion
from paratopic.annotation.label_studio import NONE
from paratopic.labels.log import COLUMNS, UNDECIDED, Label, first_words, one_line, parse_when
from paratopic.project import files
from paratopic.project.cells import LineFeeds, inert, live
from paratopic.project.errors import UserError
from paratopic.project.sheets import read_sheet
from paratopic.project.topics import Topics, join_cell, split_cell
from paratopic.project.workbook import write_workbook

# Columns of a sheet.
SHEET = (
    "paragraph",
    "topics",
    "text",
    "heading",
    "suggestion",
    "confidence",
    "reason",
    "annotator",
    "note",
)
# Endings of a sheet's file.
_SHEETS = (".csv", ".xlsx")


@dataclass
class ImportedLabels:
    """Content of a file that people have worked on.

    Parameters
    ----------
    labels
        Labels, in the order of the file.
    problems
        Messages about rows that could not be imported.
    left_out
        Reason → number of rows that hold no answer.
    """

    labels: list[Label] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Answer:
    """An answer as a file has it, not yet compared with the paragraphs and the codebook.

    Parameters
    ----------
    where
        File and line, or file and task, for messages.
    paragraph
        Id of the paragraph; "" if the file has none.
    topics
        Names of the chosen topics.
    annotator, when, note
        As in labels.csv.
    missing
        Why there is no answer, although nothing is wrong; "" if there is one.
    """

    where: str
    paragraph: str
    topics: tuple[str, ...] = ()
    annotator: str = ""
    when: str = ""
    note: str = ""
    missing: str = ""


def read_answers(path: Path, frame: pd.DataFrame, topics: Topics) -> ImportedLabels:
    """Read the labels in a file that people have worked on.

    Parameters
    ----------
    path
        Label Studio's JSON export (.json), or a sheet with the columns paragraph and topics (.csv,
        .xlsx).
    frame
        Paragraph table.
    topics
        The codebook.

    Raises
    ------
    UserError
        The whole file is unreadable.
    """
    if _is_sheet(path):
        return _imported(_answers_in_sheet(path), frame, topics)
    return read_annotations(label_studio.read_export(path), str(path), frame, topics)


def read_annotations(
    annotations: Iterable[label_studio.Annotated], source: str, frame: pd.DataFrame, topics: Topics
) -> ImportedLabels:
    """Read the labels in annotations of Label Studio.

    Parameters
    ----------
    annotations
        Tasks, each with one of its annotations.
    source
        Where they come from, for messages.
    frame
        Paragraph table.
    topics
        The codebook.
    """
    answers = (_annotated(task, annotation, source) for task, annotation in annotations)
    return _imported(answers, frame, topics)


def read_ids(path: Path, frame: pd.DataFrame) -> list[str]:
    """Read which paragraphs a sheet lists.

    Parameters
    ----------
    path
        A sheet with the columns paragraph and topics, .csv or .xlsx.
    frame
        Paragraph table.

    Returns
    -------
    Paragraph ids in the order of the sheet, each once.

    Raises
    ------
    UserError
        The file is unreadable, or lists an unknown paragraph.
    """
    if not _is_sheet(path):
        raise UserError(
            f"{path}: the paragraphs to label have to be in a .csv or .xlsx file, as `paratopic "
            "suggest` writes it"
        )
    known = set(frame["id"])
    ids: dict[str, None] = {}
    for answer in _answers_in_sheet(path):
        if answer.paragraph not in known:
            raise _unknown_paragraph(answer)
        ids[answer.paragraph] = None
    return list(ids)


def write_tasks(
    path: Path,
    suggestions: Sequence[Suggestion],
    topics: Topics,
    model: str,
    explain: Explain | None = None,
) -> list[Path]:
    """Write suggestions for Label Studio (.json) or a spreadsheet (.csv, .xlsx).

    Parameters
    ----------
    path
        File to write; its ending says for which tool.
    suggestions
        Paragraphs to label, in the order in which people should label them.
    topics
        The codebook.
    model
        Name of the model that made the suggestions.
    explain
        Function that explains a text with this model, for tasks of Label Studio; None, the default,
        if they are not to say why a topic is suggested.

    Returns
    -------
    The files written: for Label Studio the tasks and, beside them, its labelling configuration.
    """
    if not _is_sheet(path):
        tasks = [label_studio.task_of(s, topics.mode, model, explain) for s in suggestions]
        files.write_text(path, json.dumps(tasks, indent=2, ensure_ascii=False) + "\n")
        configuration = path.with_suffix(".xml")
        files.write_text(configuration, label_studio.configuration(topics))
        return [path, configuration]
    if path.suffix.lower() == ".csv":
        files.write_text(path, sheet(suggestions))
    else:
        with files.aside(path) as draft:
            write_workbook(draft, _sheet_rows(suggestions))
    return [path]


def sheet(suggestions: Sequence[Suggestion]) -> str:
    """Suggestions as CSV; a "?" stands in place of the topics that a person has to fill in."""
    text = io.StringIO()
    csv.writer(LineFeeds(text)).writerows(_sheet_rows(suggestions))
    return text.getvalue()


def _sheet_rows(suggestions: Sequence[Suggestion]) -> Iterator[Sequence[str]]:
    yield SHEET
    for s in suggestions:
        cells = {"paragraph": s.id, "topics": UNDECIDED, "text": s.text, "heading": s.heading}
        if s.scores:
            cells |= {"suggestion": s.topic, "confidence": f"{s.confidence:.2f}"}
        cells |= {"reason": s.reason}
        yield [inert(cells.get(name, "")) for name in SHEET]


def _is_sheet(path: Path) -> bool:
    """Whether a file is a sheet, and not of Label Studio."""
    suffix = path.suffix.lower()
    if suffix not in (".json", *_SHEETS):
        raise UserError(
            f"{path}: the file's ending says what format it has; use one of .json (Label Studio), "
            ".csv (spreadsheet), .xlsx (spreadsheet)"
        )
    return suffix in _SHEETS


def _answers_in_sheet(path: Path) -> Iterator[_Answer]:
    for where, row in read_sheet(path, COLUMNS[:2]).rows:
        cells = {name: live(row.get(name, "").strip()) for name in (*SHEET, "when")}
        yield _Answer(
            where,
            cells["paragraph"],
            split_cell(cells["topics"]),
            cells["annotator"],
            cells["when"],
            cells["note"],
            "undecided" if cells["topics"] == UNDECIDED else "",
        )


def _annotated(
    task: label_studio.Task, annotation: label_studio.Annotation | None, source: str
) -> _Answer:
    where = f"{source}, task {task.id}"
    paragraph = str(task.data.get("paragraph") or "")
    if annotation is None:
        return _Answer(where, paragraph, missing="undecided")
    missing = "" if annotation.topics else "undecided"
    return _Answer(
        where,
        paragraph,
        annotation.topics,
        annotation.annotator,
        annotation.updated_at or annotation.created_at or "",
        annotation.note,
        "skipped by the annotator" if annotation.was_cancelled else missing,
    )


def _imported(answers: Iterable[_Answer], frame: pd.DataFrame, topics: Topics) -> ImportedLabels:
    """Check answers, each of which gives a label, a problem or a reason for none."""
    text_of = dict(zip(frame["id"], frame["text"], strict=True))
    imported = ImportedLabels()
    for answer in answers:
        if answer.missing:
            imported.left_out[answer.missing] += 1
            continue
        try:
            if answer.paragraph not in text_of:
                raise _unknown_paragraph(answer)
            imported.labels.append(_label(answer, text_of[answer.paragraph], topics))
        except UserError as problem:
            imported.problems.append(str(problem))
    return imported


def _label(answer: _Answer, text: str, topics: Topics) -> Label:
    """Check an answer on a paragraph with this text against the codebook."""
    names = [name for name in answer.topics if name != NONE]
    if names and NONE in answer.topics:
        raise UserError(
            f"{answer.where}: {NONE} and {', '.join(names)} are both chosen; choose one or the "
            "other"
        )
    cell = join_cell(topics.check(names, answer.where))
    parse_when(answer.when, answer.where)
    words, annotator = first_words(one_line(text)), one_line(answer.annotator)
    note = one_line(answer.note)
    return Label(answer.where, answer.paragraph, cell, words, annotator, answer.when, note)


def _unknown_paragraph(answer: _Answer) -> UserError:
    problem = "no paragraph id is given"
    if answer.paragraph:
        problem = f"the sources have no paragraph {first_words(one_line(answer.paragraph))}"
    return UserError(f"{answer.where}: {problem}; `dvc repro prepare` reads new sources")
