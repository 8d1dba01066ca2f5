"""Labelled paragraphs as a dataset for others: a table, the answers and a card.

The library `datasets` opens its folder, and so does a project, as a source. Nothing is sent here
(`cli.publish` does). The text of the card is in dataset.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import ClassLabel, Dataset, Features, Value
from huggingface_hub import DatasetCard, DatasetCardData

from paratopic.corpus.labelled import Labelled
from paratopic.labels.answers import in_todays_names
from paratopic.labels.log import Label
from paratopic.project.errors import plural
from paratopic.project.files import markdown, sha256, write_text
from paratopic.project.params import Params
from paratopic.project.topics import NONE_CELL

TEMPLATE = Path(__file__).with_name("dataset.md")
TABLE, ANSWERS, CARD = "paragraphs.parquet", "answers.parquet", "README.md"
# What the answers have of lines. Without names there are no notes, which may have some.
OF_LINES = ["paragraph", "cell", "annotator", "when", "drawn", "note"]
# Columns of the table, to which the label comes.
_COLUMNS = ("id", "article", "title", "heading", "position", "text")


def write_dataset(
    folder: Path, name: str, params: Params, data: Labelled, lines: Sequence[Label], anonymous: bool
) -> None:
    """Write the folder of a dataset.

    Parameters
    ----------
    folder
        Folder that is there and empty.
    data
        The paragraphs, with no topic that the codebook lacks. Those without a hand label are left
        out: whoever reads the dataset could not tell a weak label from one by hand. In mode single
        the label is the dominant topic, or that there is none.
    lines
        Lines of labels.csv, of which answers on the paragraphs are written, in today's names; none
        for no answers.
    anonymous
        Whether annotators are numbered in place of their names, and notes left out.
    """
    data = data.hand
    _table(data).to_parquet(str(folder / TABLE))
    ids = set(data.rows["id"])
    given = [line for line in lines if line.paragraph in ids and line.is_given]
    answers = _answers(in_todays_names(given, data.topics), anonymous)
    if len(answers):
        answers.to_parquet(folder / ANSWERS, index=False)
    write_text(folder / CARD, _card(name, params, data, answers, sha256(folder / TABLE)))


def _table(data: Labelled) -> Dataset:
    """The rows with their label: in mode single a class, in mode multi a list of classes."""
    labels, outcomes = data.topics.labels, list(data.topics.outcomes)
    name = f"label{labels.plural}"
    features = {name: Value("int64" if name == "position" else "string") for name in _COLUMNS}
    features[name] = [ClassLabel(names=outcomes)][labels.value]
    columns = {name: data.rows[name].tolist() for name in _COLUMNS}
    numbers = (np.flatnonzero(has).tolist() for has in data.outcomes[outcomes].to_numpy())
    columns[name] = [row[labels.value] for row in numbers]
    return Dataset.from_dict(columns, features=Features(features))


def _answers(lines: Sequence[Label], anonymous: bool) -> pd.DataFrame:
    """The answers on the paragraphs."""
    answers = pd.DataFrame(list(lines), columns=OF_LINES).rename(columns={"cell": "topics"})
    if not anonymous:
        return answers
    names = [name for name in answers["annotator"].unique() if name]
    codes = {name: f"annotator {number}" for number, name in enumerate(names, start=1)}
    return answers.replace({"annotator": codes}).drop(columns="note")


def _card(name: str, params: Params, data: Labelled, answers: pd.DataFrame, digest: str) -> str:
    topics = data.topics
    configs = [{"config_name": "paragraphs", "data_files": TABLE, "default": True}]
    if len(answers):
        configs.append({"config_name": "answers", "data_files": ANSWERS})
    card = DatasetCard.from_template(
        DatasetCardData(
            pretty_name=name,
            **params.hub,
            task_categories=["text-classification"],
            tags=["paratopic"],
            configs=configs,
        ),
        template_path=str(TEMPLATE),
        name=name,
        hub=params.hub,
        rows=data.rows,
        counts=data.counts,
        definition_of={topic.name: topic.definition for topic in topics.topics},
        answers=answers,
        digest=digest,
        label=f"label{topics.labels.plural}",
        # As an empty list is read.
        no_topic="".join(topics.outcomes[len(topics.names) :]) or NONE_CELL,
        plural=plural,
        markdown=markdown,
    )
    return f"{card}\n"
