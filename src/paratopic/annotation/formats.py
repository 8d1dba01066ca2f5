"""Exchange suggestions and labels with other tools: Label Studio and spreadsheets.

This module does not decide what to label (`suggestion` does) or which of several answers counts
(`labels.answers` does). Reading skips nothing silently: every row that gives no label is reported
by its line or task, or counted with a reason.
"""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar
from xml.etree import ElementTree

import pandas as pd

from paratopic.annotation.context import Explain, Suggestion
from paratopic.labels.log import (
    COLUMNS,
    UNDECIDED,
    Label,
    first_words,
    numbered_rows,
    one_line,
    parse_when,
)
from paratopic.project import files
from paratopic.project.cells import LineFeeds, find_separator, inert, live
from paratopic.project.errors import UserError
from paratopic.project.topics import ModeName, Topics, join_cell, split_cell
from paratopic.project.workbook import read_workbook, write_workbook

# Choice "none of the topics", in tools where choosing nothing means undecided.
NONE = "(none of the topics)"
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

# Where a record is (file and line, or file and task), and its content.
_Record = tuple[str, Mapping[str, Any]]
_Item = TypeVar("_Item")
_KINDS: dict[type, str] = {str: "texts", dict: "objects"}
# Why a row gives no label although nothing is wrong with it.
_UNDECIDED = "undecided"
_SKIPPED = "skipped by the annotator"
# Names of Label Studio's control for the dominant topic, and of its text field for notes.
_DOMINANT, _NOTE = "dominant", "note"
# Style of what stands beside the paragraph to label, on Label Studio's page.
_BESIDE = "margin: 12px 0; opacity: 0.6; zoom: 0.9"
# Number of choices on Label Studio's page that can be made by a digit key.
_DIGIT_KEYS = 9


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
    text
        Text of the paragraph, which identifies it if there is no id.
    topics
        Names of the chosen topics; None for undecided.
    annotator, when, note
        As in labels.csv.
    """

    where: str
    paragraph: str
    text: str
    topics: tuple[str, ...] | None
    annotator: str = ""
    when: str = ""
    note: str = ""


class _LeftOut(Exception):
    """A row holds no answer; the message is the reason, for counting."""


class _Paragraphs:
    """The paragraph table, searched by id or by text."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.text_of = dict(zip(frame["id"], frame["text"], strict=True))
        count = Counter(frame["text"])
        self._id_of = {text: id_ for id_, text in self.text_of.items() if count[text] == 1}

    def find(self, answer: _Answer) -> str:
        """Id of the paragraph that an answer is about; without an id, by its text if unique."""
        paragraph = answer.paragraph or self._id_of.get(answer.text.strip(), "")
        if paragraph not in self.text_of:
            raise _unknown_paragraph(answer)
        return paragraph


class _Tasks(NamedTuple):
    """Suggestions to write, and what is said about them; see `write_tasks`."""

    suggestions: Sequence[Suggestion]
    topics: Topics
    model: str
    explain: Explain | None


class _ToolFormat(ABC):
    """File format of a tool; `tool` is its name in messages."""

    tool: ClassVar[str]

    @abstractmethod
    def records(self, path: Path) -> Iterator[_Record]:
        """The rows or annotations of a file. A UserError says why the whole file is unreadable."""

    @abstractmethod
    def answer(self, where: str, record: Mapping[str, Any]) -> _Answer:
        """Read a record. `_LeftOut` says that it holds no answer, a UserError why it is unreadable.

        Other records of the file may be fine.
        """

    @abstractmethod
    def write(self, path: Path, tasks: _Tasks) -> list[Path]:
        """Write suggestions; see `write_tasks`."""


class _LabelStudio(_ToolFormat):
    """JSON: a list of tasks, each with any number of annotations."""

    tool = "Label Studio"

    def records(self, path: Path) -> Iterator[_Record]:
        tasks = _read_json(_read_text(path), f"{path}")
        if not isinstance(tasks, list) or not all(map(_is_task, tasks)):
            raise UserError(
                f"{path} is not a JSON export of Label Studio: export as JSON, not as JSON-MIN or "
                "CSV"
            )
        yield from _annotations(tasks, f"{path}")

    def answer(self, where: str, record: Mapping[str, Any]) -> _Answer:
        data, annotation = record["data"], record["annotation"]
        if annotation is None:
            raise _LeftOut(_UNDECIDED)
        if annotation.get("was_cancelled"):
            raise _LeftOut(_SKIPPED)
        topics, note = _chosen(_list(annotation, "result", dict, where), where)
        return _Answer(
            where,
            str(data.get("paragraph") or ""),
            str(data.get("text") or ""),
            tuple(topics) or None,
            _label_studio_annotator(annotation.get("completed_by")),
            str(annotation.get("updated_at") or annotation.get("created_at") or ""),
            note,
        )

    def write(self, path: Path, tasks: _Tasks) -> list[Path]:
        items = [_label_studio_task(suggestion, tasks) for suggestion in tasks.suggestions]
        files.write_text(path, json.dumps(items, indent=2, ensure_ascii=False) + "\n")
        config = path.with_suffix(".xml")
        files.write_text(config, label_studio_config(tasks.topics))
        return [path, config]


class _Spreadsheet(_ToolFormat):
    """CSV: a row for each paragraph."""

    tool = "spreadsheet"

    def records(self, path: Path) -> Iterator[_Record]:
        content = _read_text(path)
        separator = find_separator(content, "paragraph")
        # Strict: otherwise a quote that is never closed would silently hide all rows after it.
        reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
        rows = list(numbered_rows(reader, path, "row"))
        _check_columns(reader.fieldnames or (), f"{path}, line 1")
        yield from rows

    def answer(self, where: str, record: Mapping[str, Any]) -> _Answer:
        if record["topics"] is None or None in record:
            raise UserError(
                f"{where}: the number of cells is not that of the columns; put cells that contain "
                "the separator in quotes"
            )
        cells = {name: live((record.get(name) or "").strip()) for name in (*SHEET, "when")}
        return _Answer(
            where,
            cells["paragraph"],
            cells["text"],
            None if cells["topics"] == UNDECIDED else split_cell(cells["topics"]),
            cells["annotator"],
            cells["when"],
            cells["note"],
        )

    def write(self, path: Path, tasks: _Tasks) -> list[Path]:
        files.write_text(path, sheet(tasks.suggestions))
        return [path]


class _Workbook(_Spreadsheet):
    """The same as a workbook, .xlsx."""

    def records(self, path: Path) -> Iterator[_Record]:
        (first, header), *rows = read_workbook(path)
        _check_columns(header, f"{path}, row {first}")
        for number, cells in rows:
            # As in CSV: cells outside all columns have the name None.
            record: dict[Any, Any] = dict(zip(header, cells, strict=False))
            if len(cells) > len(header):
                record[None] = cells[len(header) :]
            yield f"{path}, row {number}", record

    def write(self, path: Path, tasks: _Tasks) -> list[Path]:
        with files.aside(path) as draft:
            write_workbook(draft, [SHEET, *_sheet_rows(tasks.suggestions)])
        return [path]


@dataclass(frozen=True)
class _Control:
    """A list of topics to choose from, on Label Studio's page.

    Parameters
    ----------
    name
        Name of the control, which exports repeat as `from_name`.
    title
        Heading above the list.
    choice
        ``"single"`` or ``"multiple"``: how many topics can be chosen.
    required
        Whether an answer is needed; then the list ends with `NONE`, and has digit keys.
    """

    name: str
    title: str
    choice: str
    required: bool = False


_FORMATS: dict[str, _ToolFormat] = {
    ".json": _LabelStudio(),
    ".csv": _Spreadsheet(),
    ".xlsx": _Workbook(),
}
# Label Studio's controls in each mode; the first one shows the model's suggestion.
_CONTROLS: dict[ModeName, tuple[_Control, ...]] = {
    "single": (
        _Control(_DOMINANT, "Dominant topic", "single", required=True),
        _Control("others", "Other topics that apply", "multiple"),
    ),
    "multi": (_Control("topics", "Topics that apply", "multiple", required=True),),
}


def read_answers(path: Path, frame: pd.DataFrame, topics: Topics) -> ImportedLabels:
    """Read the labels in a file that people have worked on.

    Parameters
    ----------
    path
        Label Studio's JSON export (.json), or a sheet with the columns paragraph and topics (.csv,
        .xlsx). A row without a paragraph id is looked up by its text.
    frame
        Paragraph table.
    topics
        The codebook.

    Raises
    ------
    UserError
        The whole file is unreadable.
    """
    file_format = _format_of(path)
    return _imported(file_format, file_format.records(path), frame, topics)


def read_tasks(
    tasks: Sequence[Mapping[str, Any]], source: str, frame: pd.DataFrame, topics: Topics
) -> ImportedLabels:
    """Read the labels in tasks of Label Studio, as from the file of an export.

    Parameters
    ----------
    tasks
        Tasks as in an export: each has an object "data" and a list "annotations".
    source
        Where the tasks come from, for messages.
    frame
        Paragraph table.
    topics
        The codebook.

    Raises
    ------
    UserError
        The annotations of a task are not a list of objects.
    """
    return _imported(_LabelStudio(), _annotations(tasks, source), frame, topics)


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
    file_format = _format_of(path)
    if not isinstance(file_format, _Spreadsheet):
        raise UserError(
            f"{path}: the paragraphs to label have to be in a .csv or .xlsx file, as `paratopic "
            "suggest` writes it"
        )
    known = set(frame["id"])
    ids: dict[str, None] = {}
    for where, record in file_format.records(path):
        answer = file_format.answer(where, record)
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
    return _format_of(path).write(path, _Tasks(suggestions, topics, model, explain))


def sheet(suggestions: Sequence[Suggestion]) -> str:
    """Suggestions as CSV; a "?" stands in place of the topics that a person has to fill in."""
    text = io.StringIO()
    csv.writer(LineFeeds(text)).writerows([SHEET, *_sheet_rows(suggestions)])
    return text.getvalue()


def label_studio_config(topics: Topics) -> str:
    """Label Studio's labelling configuration, as XML (Settings → Labeling Interface → Code)."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Header", value="$heading")
    for name in ("before", "text", "after", "why"):
        place = view if name == "text" else ElementTree.SubElement(view, "View", style=_BESIDE)
        ElementTree.SubElement(place, "Text", name=name, value=f"${name}")
    for control in _CONTROLS[topics.mode]:
        _add_control(view, control, topics)
    ElementTree.SubElement(view, "TextArea", name=_NOTE, toName="text", placeholder="Note")
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def label_studio_prediction(
    scores: Mapping[str, float], mode: ModeName, model: str
) -> dict[str, Any]:
    """The most probable topic, as a prediction of Label Studio.

    Parameters
    ----------
    scores
        Probability of each topic.
    mode
        Mode of the codebook, which says what control of the labelling configuration shows it.
    model
        Name or version of the model.
    """
    topic = max(scores, key=scores.__getitem__)
    choice = {
        "from_name": _CONTROLS[mode][0].name,
        "to_name": "text",
        "type": "choices",
        "value": {"choices": [topic]},
    }
    return {"model_version": model, "score": round(scores[topic], 4), "result": [choice]}


def _sheet_rows(suggestions: Sequence[Suggestion]) -> Iterator[list[str]]:
    """The rows of a sheet below its header."""
    for s in suggestions:
        cells = {"paragraph": s.id, "topics": UNDECIDED, "text": s.text, "heading": s.heading}
        if s.scores:
            cells |= {"suggestion": s.topic, "confidence": f"{s.confidence:.2f}"}
        cells |= {"reason": s.reason}
        yield [inert(cells.get(name, "")) for name in SHEET]


def _check_columns(names: Collection[str], where: str) -> None:
    for column in COLUMNS[:2]:
        if column not in names:
            raise UserError(f'{where}: there is no column "{column}"')


def _format_of(path: Path) -> _ToolFormat:
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        known = ", ".join(f"{ending} ({known.tool})" for ending, known in _FORMATS.items())
        raise UserError(f"{path}: the file's ending says what format it has; use one of {known}")
    return _FORMATS[suffix]


def _imported(
    file_format: _ToolFormat,
    records: Iterable[_Record],
    frame: pd.DataFrame,
    topics: Topics,
) -> ImportedLabels:
    """Read the records of a format, each of which gives a label, a problem or a reason for none."""
    paragraphs = _Paragraphs(frame)
    imported = ImportedLabels()
    for where, record in records:
        try:
            answer = file_format.answer(where, record)
            imported.labels.append(_label(answer, paragraphs, topics))
        except _LeftOut as reason:
            imported.left_out[str(reason)] += 1
        except UserError as problem:
            imported.problems.append(str(problem))
    return imported


def _read_text(path: Path) -> str:
    try:
        return files.decode(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def _label(answer: _Answer, paragraphs: _Paragraphs, topics: Topics) -> Label:
    """Check an answer against the paragraphs and the codebook."""
    paragraph = paragraphs.find(answer)
    if answer.topics is None:
        raise _LeftOut(_UNDECIDED)
    names = [name for name in answer.topics if name != NONE]
    if names and NONE in answer.topics:
        raise UserError(
            f"{answer.where}: {NONE} and {', '.join(names)} are both chosen; choose one or the "
            "other"
        )
    cell = join_cell(topics.check(names, answer.where))
    parse_when(answer.when, answer.where)
    words = first_words(one_line(paragraphs.text_of[paragraph]))
    annotator, note = one_line(answer.annotator), one_line(answer.note)
    return Label(answer.where, paragraph, cell, words, annotator, answer.when, note)


def _unknown_paragraph(answer: _Answer) -> UserError:
    if answer.paragraph:
        problem = f"the sources have no paragraph {first_words(one_line(answer.paragraph))}"
    else:
        words = first_words(one_line(answer.text))
        problem = f'no paragraph id is given, and no paragraph has exactly the text "{words}"'
    return UserError(f"{answer.where}: {problem}; `dvc repro prepare` reads new sources")


def _is_task(task: Any) -> bool:
    return isinstance(task, dict) and isinstance(task.get("data"), dict)


def _read_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f"{where} is not JSON: {error}") from None
    except RecursionError:
        raise UserError(f"{where} is not JSON that can be read: it is nested too deeply") from None


def _list(record: Mapping[str, Any], key: str, kind: type[_Item], where: str) -> list[_Item]:
    """A list of texts or objects in a record; empty if the record has none."""
    items = record.get(key) or []
    if not isinstance(items, list) or not all(isinstance(item, kind) for item in items):
        raise UserError(f'{where}: "{key}" has to be a list of {_KINDS[kind]}')
    return items


def _annotations(tasks: Iterable[Mapping[str, Any]], source: str) -> Iterator[_Record]:
    """Each annotation of Label Studio's tasks with its task's data; None for a task without any."""
    for number, task in enumerate(tasks, start=1):
        where = f"{source}, task {first_words(one_line(str(task.get('id', number))))}"
        for annotation in _list(task, "annotations", dict, where) or (None,):
            yield where, {"data": task["data"], "annotation": annotation}


def _chosen(result: Sequence[Mapping[str, Any]], where: str) -> tuple[list[str], str]:
    """Topics, the dominant one first, and note in the results of an annotation."""
    values: dict[str, list[str]] = {}
    for item in result:
        value = item.get("value")
        if item.get("type") and isinstance(value, dict):
            own = _list(value, "choices", str, where) or _list(value, "text", str, where)
            values.setdefault(str(item.get("from_name", "")), []).extend(own)
    note = " ".join(values.pop(_NOTE, []))
    dominant = values.pop(_DOMINANT, [])
    return [*dominant, *(name for names in values.values() for name in names)], note


def _label_studio_annotator(completed_by: Any) -> str:
    """Name of an annotator: 1 → "label-studio-1", {"email": "bo@b.org"} → "bo@b.org", None → ""."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    if completed_by is None:
        return ""
    return completed_by if isinstance(completed_by, str) else f"label-studio-{completed_by}"


def _label_studio_task(suggestion: Suggestion, tasks: _Tasks) -> dict[str, Any]:
    data = {
        "paragraph": suggestion.id,
        "article": suggestion.article,
        "heading": suggestion.heading,
        "before": "\n\n".join(suggestion.before),
        "text": suggestion.text,
        "after": "\n\n".join(suggestion.after),
        "reason": suggestion.reason,
        "why": _why(suggestion, tasks.explain) if tasks.explain and suggestion.scores else "",
    }
    if not suggestion.scores:
        return {"data": data}
    prediction = label_studio_prediction(suggestion.scores, tasks.topics.mode, tasks.model)
    return {"data": data, "predictions": [prediction]}


def _why(suggestion: Suggestion, explain: Explain) -> str:
    """The sentence that speaks most for the suggested topic; "" if none speaks for it."""
    try:
        explanation = explain(suggestion.text)
    except UserError:  # not every encoder can say why
        return ""
    topic = explanation.topic
    shares = {sentence.text: sentence.shares.get(topic, 0.0) for sentence in explanation.sentences}
    strongest = max(shares, key=shares.__getitem__, default="")
    return f"Speaks most for {topic}: {strongest}" if shares.get(strongest, 0.0) > 0 else ""


def _add_control(view: ElementTree.Element, control: _Control, topics: Topics) -> None:
    ElementTree.SubElement(view, "Header", value=control.title, size="5")
    choices = ElementTree.SubElement(
        view, "Choices", name=control.name, toName="text", choice=control.choice
    )
    options = [(topic.name, topic.definition) for topic in topics.topics]
    if control.required:
        choices.set("required", "true")
        options.append((NONE, ""))
    for number, (name, definition) in enumerate(options, start=1):
        choice = ElementTree.SubElement(choices, "Choice", value=name)
        if definition:
            choice.set("hint", definition)
        if control.required and number <= _DIGIT_KEYS:
            choice.set("hotkey", str(number))
