"""Paragraphs as a dataset for others: a table, the answers, a card and a Croissant file.

The library `datasets` opens its folder, and so does a project, as a source. The paragraph table of
the pipeline gets a card and a Croissant file, too. Nothing is sent here (`cli.publish` does).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import DatasetCardData

from paratopic.corpus.table import (
    SCHEMA,
    WEAK,
    has_hand_label,
    labelled_rows,
    outcomes_of,
    targets_of,
)
from paratopic.labels.codebook import in_todays_names
from paratopic.labels.log import Label
from paratopic.project.files import sha256, write_json, write_text
from paratopic.project.plurals import plural
from paratopic.project.sources import NONE
from paratopic.project.topics import NO_TOPIC, Topics

TABLE, ANSWERS, CARD, CROISSANT = (
    "paragraphs.parquet",
    "answers.parquet",
    "README.md",
    "croissant.json",
)
# Columns of the answers. Without names there are no notes, which may have some.
OF_ANSWERS = ("paragraph", "topics", "annotator", "when", "drawn", "note")
# Column of the paragraph table → what it is.
_CONTENT = {
    "id": "id of the paragraph",
    "article": "article, or group of a table, that it is from",
    "title": "title of the article",
    "heading": "headings that it stands under",
    "position": "its place in the article",
    "ordered": "whether the rows before and after it in its article stand next to it",
    "text": "the paragraph",
    "before": "the text before it, where that is no row",
    "after": "the text after it, where that is no row",
    "topics": "its topics, the dominant one first; empty for none of them, null for no label",
    "label_source": "`hand`, `weak` for a label from weak sources, or `none` for no label",
    "trust": "trust in the label, from 0 to 1",
    "draw": "how it was drawn to be labelled: `paragraph`, `article`, or empty for not known",
    "weight": "how many paragraphs it stands for; null for not known",
}
# Those of a published table, where the label comes last.
_PUBLISHED = ("id", "article", "title", "heading", "position", "text")
_SCHEMA_ORG = {
    "string": "sc:Text",
    "int64": "sc:Integer",
    "double": "sc:Float",
    "bool": "sc:Boolean",
}
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


class Column(NamedTuple):
    """A column of a table, for its card and its Croissant file.

    Parameters
    ----------
    name
        Name of the column.
    kind
        Its type, for people.
    content
        What it is.
    data_type
        Its type in the vocabulary of schema.org; of a list, that of its items.
    repeated
        Whether it has lists; by default not.
    """

    name: str
    kind: str
    content: str
    data_type: str
    repeated: bool = False


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
    sources
        What the paragraphs are from, such as "the dataset press/news".
    """

    name: str
    license: str | None
    language: str | None
    sources: Sequence[str]


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
        Paragraph table, with no topic that the codebook lacks. Its rows without a hand label are
        left out: whoever reads the dataset could not tell a weak label from one by hand.
    topics
        The codebook. In mode single the label is the dominant topic, or that there is none.
    about
        What else the card says.
    lines
        Lines of labels.csv, of which answers on the paragraphs are written, in today's names; none
        for no answers.
    anonymous
        Whether annotators are numbered in place of their names, and notes left out.
    """
    rows = labelled_rows(frame[has_hand_label(frame)], topics)
    _write_table(folder / TABLE, rows, topics)
    answers = _answers(lines, set(rows["id"]), anonymous)
    if len(answers) > 1:
        values = zip(*answers[1:], strict=True)
        pq.write_table(pa.table(dict(zip(answers[0], values, strict=True))), folder / ANSWERS)
    columns = [*map(_column, _PUBLISHED), _label_column(topics)]
    card = _card(folder, rows, topics, about, columns, answers)
    no_topic = NO_TOPIC if topics.mode == "single" else NONE  # what an empty list is read as
    as_source = (
        "\nIn a project of paratopic, it is read by the source "
        f"`dataset://this/folder?label={_label(topics)}&group=article`, with `{no_topic}` in "
        "`prepare.no_topic`.\n"
    )
    write_text(folder / CARD, card + as_source)
    write_json(folder / CROISSANT, _croissant(folder, topics, about, columns))


def describe(folder: Path, frame: pd.DataFrame, topics: Topics, about: About) -> None:
    """Write the card and the Croissant file of a paragraph table.

    Parameters
    ----------
    folder
        Folder of the table.
    frame
        Paragraph table.
    topics
        The codebook.
    about
        What else the card says.
    """
    columns = [_column(name) for name in SCHEMA.names]
    write_json(folder / CROISSANT, _croissant(folder, topics, about, columns))
    if WEAK.name in frame:  # too nested for what reads Croissant
        columns.append(Column(WEAK.name, "list of answers", "what weak sources answer", ""))
    write_text(folder / CARD, _card(folder, frame, topics, about, columns, []))


def class_names(topics: Topics) -> list[str]:
    """Names of the label's classes, in the order of their numbers."""
    return [*topics.names, *([NO_TOPIC] if topics.mode == "single" else [])]


def _label(topics: Topics) -> str:
    """Name of the label's column."""
    return "label" if topics.mode == "single" else "labels"


def _column(name: str) -> Column:
    """A column of the paragraph table."""
    kind = SCHEMA.field(name).type
    repeated = pa.types.is_list(kind)
    item = str(kind.value_type if repeated else kind)
    shown = f"list of {item}" if repeated else item
    return Column(name, shown, _CONTENT[name], _SCHEMA_ORG[item], repeated)


def _label_column(topics: Topics) -> Column:
    """The label's column of a published table."""
    names = ", ".join(f"{n} {name}" for n, name in enumerate(class_names(topics)))
    if topics.mode == "single":
        content = f"the dominant topic, or none of them: {names}"
        return Column(_label(topics), "class", content, "sc:Integer")
    content = f"all topics; empty for none of them: {names}"
    return Column(_label(topics), "list of classes", content, "sc:Integer", repeated=True)


def _features(topics: Topics) -> dict[str, dict[str, Any]]:
    """Columns of a published table in the form of the library `datasets`."""
    features: dict[str, dict[str, Any]] = {
        name: {"dtype": str(SCHEMA.field(name).type), "_type": "Value"} for name in _PUBLISHED
    }
    classes = {"names": class_names(topics), "_type": "ClassLabel"}
    several = {"feature": classes, "_type": "List"}
    return features | {_label(topics): classes if topics.mode == "single" else several}


def _write_table(path: Path, rows: pd.DataFrame, topics: Topics) -> None:
    has = targets_of(rows, class_names(topics))
    columns = {name: pa.array(rows[name], SCHEMA.field(name).type) for name in _PUBLISHED}
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
    for line in (answer.line for answer in in_todays_names(lines) if not answer.reopened):
        if line.paragraph not in ids:
            continue
        annotator = line.annotator
        if anonymous:
            annotator = codes.setdefault(annotator, f"annotator {len(codes)}")
        cells = (line.paragraph, line.cell, annotator, line.when, line.drawn, line.note)
        answers.append(list(cells[: len(columns)]))
    return answers


def _card(
    folder: Path,
    frame: pd.DataFrame,
    topics: Topics,
    about: About,
    columns: Sequence[Column],
    answers: list[list[str]],
) -> str:
    rows = labelled_rows(frame, topics)
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
        f"{plural(len(frame), 'paragraph')} of {plural(frame['article'].nunique(), 'article')}, "
        f"{len(rows)} of them labelled.",
        f"SHA-256 of {TABLE}: `{sha256(folder / TABLE)}`.\n",
        "## Topics\n",
        "| topic | paragraphs | definition |\n|---|---|---|",
        *(f"| {name} | {n} | {_cell(of.get(str(name), ''))} |" for name, n in counts.items()),
        "\n## Columns\n",
        f"`{TABLE}`:\n",
        "| column | type | content |\n|---|---|---|",
        *(f"| `{column.name}` | {column.kind} | {column.content} |" for column in columns),
        "",
    ]
    if len(answers) > 1:
        parts += [
            f"`{ANSWERS}`: {plural(len(answers) - 1, 'answer')} of "
            f"{plural(n_annotators, 'named annotator')}, a line each: "
            f"{', '.join(answers[0])}.\n"
        ]
    license = about.license or "not given"
    sources = "".join(f"\n- from {source}" for source in about.sources)
    parts += [
        "## Source and license\n",
        f"- license: {license}{sources}\n",
        "## Use\n",
        "```python\nfrom datasets import load_dataset\n\n"
        'data = load_dataset("this/folder", split="train")\n```',
    ]
    return "\n".join(parts) + "\n"


def _cell(text: str) -> str:
    """A text in a cell of Markdown."""
    return " ".join(text.split()).replace("|", "\\|")


def _croissant(
    folder: Path, topics: Topics, about: About, columns: Sequence[Column]
) -> dict[str, Any]:
    """The table in the vocabulary of Croissant."""
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"paragraphs/{column.name}",
            "name": column.name,
            "description": column.content,
            "dataType": column.data_type,
            **({"repeated": True} if column.repeated else {}),
            "source": {"fileObject": {"@id": TABLE}, "extract": {"column": column.name}},
        }
        for column in columns
    ]
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
                "field": fields,
            }
        ],
    }
