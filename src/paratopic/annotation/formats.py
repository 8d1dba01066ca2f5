"""Suggestions and labels in the formats of other tools: Label Studio, spreadsheets, doccano.

What is worth labelling is `suggestion`'s matter, which answer counts `labels`'. Nothing that is
read here is dropped in silence: what cannot be used is told by its line or task.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pandas as pd

from paratopic.annotation.context import Suggestion
from paratopic.labels.log import COLUMNS, UNDECIDED, Label, first_words, parse_when
from paratopic.project import files
from paratopic.project.errors import UserError
from paratopic.project.files import decode
from paratopic.project.topics import SEPARATOR, Topics

# What stands for "none of the topics" where an empty answer would say nothing.
NONE = "(none of the topics)"

# The names of Label Studio's controls.
DOMINANT, OTHERS, TOPICS, NOTE = "dominant", "others", "topics", "note"

ASKED = ("suggestion", "confidence", "reason")

SHEET = ("paragraph", "topics", "text", "heading", *ASKED, "annotator", "note")

# Exported for nobody in particular: one JSON array, or one object a line.
KINDS = {".json": "Label Studio", ".csv": "spreadsheet", ".jsonl": "doccano"}


@dataclass
class ImportedLabels:
    """What a file holds: labels, what is wrong with others, and why more were left out."""

    labels: list[Label] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Answer:
    """An answer as it was read; without `names` nobody has decided."""

    where: str
    paragraph: str
    text: str
    names: Sequence[str] | None
    annotator: str = ""
    when: str = ""
    note: str = ""


def read_answers(path: Path, frame: pd.DataFrame, topics: Topics) -> ImportedLabels:
    """Read the labels in a file that people have worked on.

    Parameters
    ----------
    path
        Label Studio's JSON export (.json), CSV with the columns paragraph and topics (.csv), or
        doccano's JSONL export (.jsonl). What names no paragraph is looked up by its text.
    frame
        Paragraph table.
    topics
        The codebook.

    Raises
    ------
    UserError
        The file cannot be read at all.
    """
    readers: dict[str, Callable[[Path, str], Iterator[_Answer | UserError | str]]] = {
        ".json": _label_studio,
        ".csv": _sheet,
        ".jsonl": _doccano,
    }
    suffix = _kind(path)
    content = _content(path)
    text_of = dict(zip(frame["id"], frame["text"], strict=True))
    count = Counter(frame["text"])
    id_of = {text: name for name, text in text_of.items() if count[text] == 1}
    found = ImportedLabels()
    for answer in readers[suffix](path, content):
        if isinstance(answer, str):
            found.left_out[answer] += 1
            continue
        if isinstance(answer, UserError):
            found.problems.append(str(answer))
            continue
        try:
            paragraph = answer.paragraph or id_of.get(answer.text.strip(), "")
            if paragraph not in text_of:
                raise UserError(_unknown(answer))
            if answer.names is None:
                found.left_out["undecided"] += 1
                continue
            names = [name for name in answer.names if name != NONE]
            if names and NONE in answer.names:
                raise UserError(f"{answer.where}: both {NONE} and {', '.join(names)}; choose one")
            cell = SEPARATOR.join(topics.parse(SEPARATOR.join(names), answer.where))
            parse_when(answer.when, answer.where)
        except UserError as error:
            found.problems.append(str(error))
            continue
        words = first_words(text_of[paragraph])
        found.labels.append(
            Label(answer.where, paragraph, cell, words, answer.annotator, answer.when, answer.note)
        )
    return found


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        known = ", ".join(f"{ending} ({tool})" for ending, tool in KINDS.items())
        raise UserError(f"{path}: the file's ending says what it is: {known}")
    return suffix


def _unknown(answer: _Answer) -> str:
    if answer.paragraph:
        what = f"{answer.paragraph} is no paragraph of the sources"
    else:
        words = first_words(answer.text.strip())
        what = f'names no paragraph, and none of the sources has exactly its text "{words}"'
    return f"{answer.where}: {what}; `dvc repro prepare` reads new sources"


def _label_studio(path: Path, content: str) -> Iterator[_Answer | UserError | str]:
    try:
        tasks = json.loads(content)
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}") from None
    told = f"{path} is no JSON export of Label Studio: export as JSON, not as JSON-MIN or CSV"
    if not isinstance(tasks, list):
        raise UserError(told)
    for number, task in enumerate(tasks, start=1):
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise UserError(told)
        where = f"{path}, task {task.get('id', number)}"
        annotations = task.get("annotations") or []
        if not annotations:
            yield "undecided"
        for annotation in annotations:
            if annotation.get("was_cancelled"):
                yield "skipped by the annotator"
                continue
            yield _annotation(where, task["data"], annotation)


def _annotation(where: str, data: Mapping[str, Any], annotation: Mapping[str, Any]) -> _Answer:
    chosen: dict[str, list[str]] = {}
    for item in annotation.get("result") or []:
        value = item.get("value") or {}
        chosen.setdefault(item.get("from_name", ""), []).extend(
            value.get("choices") or value.get("text") or [] if item.get("type") else []
        )
    note = " ".join(chosen.pop(NOTE, []))
    dominant = chosen.pop(DOMINANT, [])
    names = [*dominant, *(name for names in chosen.values() for name in names)]
    by = annotation.get("completed_by")
    if isinstance(by, dict):
        by = by.get("email") or by.get("id")
    return _Answer(
        where,
        str(data.get("paragraph") or ""),
        str(data.get("text") or ""),
        names or None,
        "" if by is None else str(by) if isinstance(by, str) else f"label-studio-{by}",
        str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        note,
    )


def _sheet(path: Path, content: str) -> Iterator[_Answer | UserError | str]:
    # Spreadsheets of some countries separate cells by semicolons.
    head = content.split("\n", 1)[0]
    separator = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=separator)
    for column in COLUMNS[:2]:
        if column not in (reader.fieldnames or ()):
            raise UserError(f'{path}, line 1: there is no column "{column}"')
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        if row["topics"] is None or None in row:
            yield UserError(f"{where}: its cells do not match the columns; quote those with commas")
            continue
        cells = {name: (row.get(name) or "").strip() for name in (*SHEET, "when")}
        names = None if cells["topics"] == UNDECIDED else cells["topics"].split(SEPARATOR)
        yield _Answer(
            where,
            cells["paragraph"],
            cells["text"],
            names,
            cells["annotator"],
            cells["when"],
            cells["note"],
        )


def _doccano(path: Path, content: str) -> Iterator[_Answer | UserError | str]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            item = json.loads(line)
            # Columns that are not doccano's own come back beside the text, or under "meta".
            names, meta = item["label"], {**(item.get("meta") or {}), **item}
            if not all(isinstance(name, str) for name in names):
                raise TypeError("label has to be a list of names")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{where}: no document with labels of doccano ({error!r})") from None
        comments = meta.get("Comments") or []
        yield _Answer(
            where,
            str(meta.get("paragraph") or ""),
            str(meta.get("text") or ""),
            names or None,
            note=" ".join(map(str, comments)),
        )


def ids(path: Path, frame: pd.DataFrame) -> list[str]:
    """The paragraphs that a CSV names, each once, in its order.

    Raises
    ------
    UserError
        It cannot be read, or names a paragraph that there is not.
    """
    if _kind(path) != ".csv":
        raise UserError(f"{path}: paragraphs to label come as .csv (`paratopic suggest`)")
    known = set(frame["id"])
    found: dict[str, None] = {}
    for answer in _sheet(path, _content(path)):
        if isinstance(answer, UserError):
            raise answer
        if isinstance(answer, _Answer):
            if answer.paragraph not in known:
                raise UserError(_unknown(answer))
            found[answer.paragraph] = None
    return list(found)


def _content(path: Path) -> str:
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def write_tasks(
    path: Path, suggestions: Sequence[Suggestion], topics: Topics, model: str
) -> list[Path]:
    """Write suggestions for Label Studio (.json), a spreadsheet (.csv) or doccano (.jsonl).

    Parameters
    ----------
    path
        Its ending says for which tool.
    suggestions
        In the order in which they are worth labelling.
    topics
        The codebook.
    model
        Whose suggestions they are.

    Returns
    -------
    The files that were written: beside Label Studio's tasks the set-up of its labelling page.
    """
    match _kind(path):
        case ".json":
            control = DOMINANT if topics.mode == "single" else TOPICS
            tasks = [_task(suggestion, model, control) for suggestion in suggestions]
            files.write_text(path, json.dumps(tasks, indent=2, ensure_ascii=False) + "\n")
            page = path.with_suffix(".xml")
            files.write_text(page, label_studio_page(topics))
            return [path, page]
        case ".jsonl":
            lines = [
                json.dumps({"text": s.text, "label": [], "paragraph": s.id}, ensure_ascii=False)
                for s in suggestions
            ]
            files.write_text(path, "".join(f"{line}\n" for line in lines))
        case _:
            files.write_text(path, sheet(suggestions))
    return [path]


def sheet(suggestions: Sequence[Suggestion]) -> str:
    """Suggestions as CSV, a "?" in place of the topics that a person has to give."""
    text = io.StringIO()
    writer = csv.DictWriter(text, SHEET, lineterminator="\n")
    writer.writeheader()
    for s in suggestions:
        cells = {"paragraph": s.id, "topics": UNDECIDED, "text": s.text, "heading": s.heading}
        said = {"suggestion": s.topic, "confidence": f"{s.confidence:.2f}"} if s.scores else {}
        writer.writerow(cells | said | {"reason": s.reason})
    return text.getvalue()


def _task(s: Suggestion, model: str, control: str) -> dict[str, Any]:
    data = {
        "paragraph": s.id,
        "article": s.article,
        "heading": s.heading,
        "before": "\n\n".join(s.before),
        "text": s.text,
        "after": "\n\n".join(s.after),
        "reason": s.reason,
    }
    if not s.scores:
        return {"data": data}
    said = {
        "from_name": control,
        "to_name": "text",
        "type": "choices",
        "value": {"choices": [s.topic]},
    }
    prediction = {"model_version": model, "score": round(s.confidence, 4), "result": [said]}
    return {"data": data, "predictions": [prediction]}


def label_studio_page(topics: Topics) -> str:
    """The set-up of Label Studio's labelling page (Settings, Labeling Interface, Code)."""

    def choices(names: Sequence[str], keys: bool) -> list[str]:
        definitions = {topic.name: topic.definition for topic in topics.topics}
        found = []
        for number, name in enumerate(names, start=1):
            hint = f" hint={quoteattr(definitions[name])}" if definitions.get(name) else ""
            key = f' hotkey="{number}"' if keys and number < 10 else ""
            found.append(f"    <Choice value={quoteattr(name)}{hint}{key}/>")
        return found

    every = choices([*topics.names, NONE], keys=True)
    if topics.mode == "multi":
        asked = [
            '  <Header value="Topics that apply" size="5"/>',
            f'  <Choices name="{TOPICS}" toName="text" choice="multiple" required="true">',
            *every,
            "  </Choices>",
        ]
    else:
        asked = [
            '  <Header value="Dominant topic" size="5"/>',
            f'  <Choices name="{DOMINANT}" toName="text" choice="single" required="true">',
            *every,
            "  </Choices>",
            '  <Header value="Other topics that apply" size="5"/>',
            f'  <Choices name="{OTHERS}" toName="text" choice="multiple">',
            *choices(topics.names, keys=False),
            "  </Choices>",
        ]
    lines = [
        "<View>",
        '  <Header value="$heading"/>',
        '  <Text name="before" value="$before"/>',
        '  <Text name="text" value="$text"/>',
        '  <Text name="after" value="$after"/>',
        *asked,
        f'  <TextArea name="{NOTE}" toName="text" placeholder="Note"/>',
        "</View>",
    ]
    return "\n".join(lines) + "\n"
