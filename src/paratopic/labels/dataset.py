"""Labelled paragraphs as a dataset for others: a table, the answers, a card and a Croissant file.

The library `datasets` opens its folder, and so does a project, as a source. Nothing is sent here
(`cli.publish` does).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import DatasetCardData

from paratopic.corpus.table import labelled_rows, outcomes_of, targets_of
from paratopic.labels.log import Label
from paratopic.project.files import sha256, write_json, write_text
from paratopic.project.plurals import plural
from paratopic.project.topics import NO_TOPIC, Topics

TABLE, ANSWERS, CARD, CROISSANT = (
    "paragraphs.parquet",
    "answers.parquet",
    "README.md",
    "croissant.json",
)
# Columns of the answers. Without names there are no notes, which may have some.
OF_ANSWERS = ("paragraph", "topics", "annotator", "when", "drawn", "note")
# Column → its type in the card and in Arrow, and what it is. The label's comes last.
_COLUMNS = {
    "id": ("string", "id of the paragraph"),
    "article": ("string", "article, or group of a table, that it is from"),
    "title": ("string", "title of the article"),
    "heading": ("string", "headings that it stands under"),
    "position": ("int64", "its place in the article"),
    "text": ("string", "the paragraph"),
    "label_source": ("string", "`hand`, or `heading` for a label from a heading"),
}
_ARROW = {"string": pa.string(), "int64": pa.int64()}
_SCHEMA_ORG = {"string": "sc:Text", "int64": "sc:Integer"}
# Terms of Croissant, https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
_TERMS = (
    "citeAs column equivalentProperty extract field fileProperty fileObject fileSet format "
    "includes isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated "
    "replace separator source subField transform"
).split()
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}


@dataclass(frozen=True)
class About:
    """What a dataset's card says that the paragraphs do not.

    Parameters
    ----------
    name
        Name of the dataset.
    license
        License of the labels and texts; None where none is given.
    language
        Language of the texts, as a code; None where it is not known.
    datasets
        Names of the datasets on a hub that paragraphs are from.
    """

    name: str
    license: str | None
    language: str | None
    datasets: Sequence[str]


def write_dataset(
    folder: Path,
    frame: pd.DataFrame,
    topics: Topics,
    about: About,
    lines: Sequence[Label],
    anonymous: bool,
) -> None:
    """Write the folder of a dataset.

    Parameters
    ----------
    folder
        Folder that is there and empty.
    frame
        Paragraph table. Its rows without a label are left out.
    topics
        The codebook. In mode single the label is the dominant topic, or that there is none.
    about
        What else the card says.
    lines
        Lines of labels.csv, of which answers on the paragraphs are written; none for no answers.
    anonymous
        Whether annotators are numbered in place of their names, and notes left out.
    """
    rows = labelled_rows(frame, topics)
    _write_table(folder / TABLE, rows, topics)
    answers = _answers(lines, set(rows["id"]), anonymous)
    if len(answers) > 1:
        columns = zip(*answers[1:], strict=True)
        pq.write_table(pa.table(dict(zip(answers[0], columns, strict=True))), folder / ANSWERS)
    write_text(folder / CARD, _card(folder, rows, topics, about, answers))
    write_json(folder / CROISSANT, _croissant(folder, topics, about))


def class_names(topics: Topics) -> list[str]:
    """Names of the label's classes, in the order of their numbers."""
    return [*topics.names, *([NO_TOPIC] if topics.mode == "single" else [])]


def _label(topics: Topics) -> str:
    """Name of the label's column."""
    return "label" if topics.mode == "single" else "labels"


def _features(topics: Topics) -> dict[str, dict[str, Any]]:
    """Columns in the form of the library `datasets`."""
    features: dict[str, dict[str, Any]] = {
        name: {"dtype": kind, "_type": "Value"} for name, (kind, _) in _COLUMNS.items()
    }
    classes = {"names": class_names(topics), "_type": "ClassLabel"}
    several = {"feature": classes, "_type": "List"}
    return features | {_label(topics): classes if topics.mode == "single" else several}


def _write_table(path: Path, rows: pd.DataFrame, topics: Topics) -> None:
    has = targets_of(rows, class_names(topics))
    columns = {name: pa.array(rows[name], _ARROW[kind]) for name, (kind, _) in _COLUMNS.items()}
    if topics.mode == "single":
        numbers = [row.index(True) if True in row else len(row) - 1 for row in has.tolist()]
        columns[_label(topics)] = pa.array(numbers, pa.int64())
    else:
        lists = [[n for n, topic in enumerate(row) if topic] for row in has.tolist()]
        columns[_label(topics)] = pa.array(lists, pa.list_(pa.int64()))
    about = json.dumps({"info": {"features": _features(topics)}}, ensure_ascii=False)
    table = pa.table(columns).replace_schema_metadata({"huggingface": about})
    pq.write_table(table, path)


def _answers(lines: Sequence[Label], ids: set[str], anonymous: bool) -> list[list[str]]:
    """The answers on the paragraphs, below the names of their columns."""
    columns = OF_ANSWERS[:-1] if anonymous else OF_ANSWERS
    codes: dict[str, str] = {"": ""}
    answers = [list(columns)]
    for line in lines:
        if line.paragraph not in ids:
            continue
        annotator = line.annotator
        if anonymous:
            annotator = codes.setdefault(annotator, f"annotator {len(codes)}")
        cells = (line.paragraph, line.cell, annotator, line.when, line.drawn, line.note)
        answers.append(list(cells[: len(columns)]))
    return answers


def _card(
    folder: Path, rows: pd.DataFrame, topics: Topics, about: About, answers: list[list[str]]
) -> str:
    n_annotators = len({cells[2] for cells in answers[1:]} - {""})
    configs = [{"config_name": "paragraphs", "data_files": TABLE, "default": True}]
    if len(answers) > 1:
        configs.append({"config_name": "answers", "data_files": ANSWERS})
    given: dict[str, Any] = {"language": about.language, "license": about.license}
    head = DatasetCardData(
        pretty_name=about.name,
        task_categories=["text-classification"],
        tags=["paratopic", "croissant"],
        configs=configs,
        **{key: value for key, value in given.items() if value is not None},
    )
    counts = outcomes_of(rows, topics.names).sum()
    of = {topic.name: topic.definition for topic in topics.topics}
    parts = [
        f"---\n{head.to_yaml()}\n---\n",
        f"# {about.name}\n",
        f"{plural(len(rows), 'labelled paragraph')} of "
        f"{plural(rows['article'].nunique(), 'article')}.",
        f"SHA-256 of {TABLE}: `{sha256(folder / TABLE)}`.\n",
        "## Topics\n",
        "| topic | paragraphs | definition |\n|---|---|---|",
        *(f"| {name} | {n} | {_cell(of.get(str(name), ''))} |" for name, n in counts.items()),
        "\n## Columns\n",
        f"`{TABLE}`:\n",
        "| column | type | content |\n|---|---|---|",
        *(f"| `{name}` | {kind} | {what} |" for name, (kind, what) in _COLUMNS.items()),
        f"| `{_label(topics)}` | class | the dominant topic, or none of them |\n"
        if topics.mode == "single"
        else f"| `{_label(topics)}` | list of classes | all topics; empty for none of them |\n",
    ]
    if len(answers) > 1:
        parts += [
            f"`{ANSWERS}`: {plural(len(answers) - 1, 'answer')} of "
            f"{plural(n_annotators, 'named annotator')}, a line each: "
            f"{', '.join(answers[0])}.\n"
        ]
    license = about.license or "not given"
    from_hub = "".join(f"\n- from the dataset {name}" for name in about.datasets)
    parts += [
        "## Source and license\n",
        f"- license: {license}{from_hub}\n",
        "## Use\n",
        "```python\nfrom datasets import load_dataset\n\n"
        'data = load_dataset("this/folder", split="train")\n```\n',
        "In a project of paratopic, it is read by the source "
        f"`dataset://this/folder?label={_label(topics)}&group=article`, with `{NO_TOPIC}` in "
        "`prepare.no_topic`.",
    ]
    return "\n".join(parts) + "\n"


def _cell(text: str) -> str:
    """A text in a cell of Markdown."""
    return " ".join(text.split()).replace("|", "\\|")


def _croissant(folder: Path, topics: Topics, about: About) -> dict[str, Any]:
    """The table in the vocabulary of Croissant."""

    def field(name: str, kind: str, what: str) -> dict[str, Any]:
        return {
            "@type": "cr:Field",
            "@id": f"paragraphs/{name}",
            "name": name,
            "description": what,
            "dataType": kind,
            "source": {"fileObject": {"@id": TABLE}, "extract": {"column": name}},
        }

    names = ", ".join(f"{n} {name}" for n, name in enumerate(class_names(topics)))
    label = field(_label(topics), "sc:Integer", f"numbers of the classes: {names}")
    if topics.mode == "multi":
        label["repeated"] = True
    fields = [field(name, _SCHEMA_ORG[kind], what) for name, (kind, what) in _COLUMNS.items()]
    given = {"license": about.license, "inLanguage": about.language}
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": about.name,
        "description": f"Paragraphs with their topics: {', '.join(topics.names)}.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        **{key: value for key, value in given.items() if value is not None},
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": TABLE,
                "name": TABLE,
                "contentUrl": TABLE,
                "encodingFormat": "application/x-parquet",
                "sha256": sha256(folder / TABLE),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "paragraphs",
                "name": "paragraphs",
                "field": [*fields, label],
            }
        ],
    }
