"""Labelled paragraphs as a dataset for others: a table, the votes and a card.

The library `datasets` opens the folder, and a project reads it as a source. This module sends
nothing: `cli.publish` does. The text of the card is in dataset.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import ClassLabel, Dataset, Features, Value
from huggingface_hub import DatasetCard, DatasetCardData

from paratopic.corpus.labelled import Labelled
from paratopic.labels.log import Label
from paratopic.labels.votes import in_current_names
from paratopic.project.errors import plural
from paratopic.project.files import escape_markdown, sha256, write_text
from paratopic.project.params import Params
from paratopic.project.topics import NONE_CELL

TEMPLATE = Path(__file__).with_name("dataset.md")
TABLE, VOTES, CARD = "paragraphs.parquet", "answers.parquet", "README.md"
# Fields of lines in the table of votes. Without names there are no notes, which may contain names.
VOTE_FIELDS = ["paragraph", "cell", "annotator", "when", "drawn", "note"]
# Columns of the table of paragraphs, before that of the label.
_COLUMNS = ("id", "article", "title", "heading", "position", "text")


def write_dataset(
    folder: Path, name: str, params: Params, data: Labelled, lines: Sequence[Label], anonymous: bool
) -> None:
    """Write paragraphs.parquet, answers.parquet and README.md of a dataset to an empty folder.

    Parameters
    ----------
    data
        The paragraphs, with topics of the codebook. Those without a hand label are left out,
        because the dataset does not distinguish weak labels from hand labels. In mode single, the
        label is the dominant topic or "none of the topics".
    lines
        Lines of labels.csv. Those on the paragraphs are written with current names of topics,
        replaced ones and "?" too, but not those that are to be filled in or name retired topics.
        Without any, there is no answers.parquet.
    anonymous
        Whether to replace names of annotators by numbers, and to leave out notes.
    """
    data = data.hand_labelled
    _table(data).to_parquet(str(folder / TABLE))
    ids = set(data.rows["id"])
    filled_in = [line for line in lines if line.paragraph in ids and line.is_filled_in]
    votes = _votes(in_current_names(filled_in, data.topics), anonymous)
    if len(votes):
        votes.to_parquet(folder / VOTES, index=False)
    write_text(folder / CARD, _card(name, params, data, votes, sha256(folder / TABLE)))


def _table(data: Labelled) -> Dataset:
    """Columns id, article, title, heading, position, text and label, a class of `Topics.outcomes`.

    In mode multi, the last one is "labels", a list of classes, [] for none of the topics.
    """
    labels, outcomes = data.topics.labels, list(data.topics.outcomes)
    name = f"label{labels.plural}"
    features = {name: Value("int64" if name == "position" else "string") for name in _COLUMNS}
    classes = [ClassLabel(names=outcomes)]
    features[name] = classes[labels.value]
    columns = {name: data.rows[name].tolist() for name in _COLUMNS}
    numbers = (np.flatnonzero(row).tolist() for row in data.outcomes[outcomes].to_numpy())
    columns[name] = [row_numbers[labels.value] for row_numbers in numbers]
    return Dataset.from_dict(columns, features=Features(features))


def _votes(lines: Sequence[Label], anonymous: bool) -> pd.DataFrame:
    """A row for each line: paragraph, topics (its cell), annotator, when, drawn and note.

    If `anonymous`, names become "annotator 1" and so on, "" stays, and there is no column note.
    """
    votes = pd.DataFrame(list(lines), columns=VOTE_FIELDS).rename(columns={"cell": "topics"})
    if not anonymous:
        return votes
    names = [name for name in votes["annotator"].unique() if name]
    codes = {name: f"annotator {number}" for number, name in enumerate(names, start=1)}
    return votes.replace({"annotator": codes}).drop(columns="note")


def _card(name: str, params: Params, data: Labelled, votes: pd.DataFrame, digest: str) -> str:
    """Text of README.md: YAML for the Hub, a table of topics, the license and how to load the data.

    `data` has only hand labels. `votes` has a row for each answer; without rows, the card lists no
    answers.parquet. `digest` is the SHA-256 of paragraphs.parquet.
    """
    topics = data.topics
    configs = [{"config_name": "paragraphs", "data_files": TABLE, "default": True}]
    if len(votes):
        configs.append({"config_name": "answers", "data_files": VOTES})
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
        votes=votes,
        digest=digest,
        label=f"label{topics.labels.plural}",
        # In mode multi, an empty list is read as this cell.
        no_topic="".join(topics.outcomes[len(topics.names) :]) or NONE_CELL,
        plural=plural,
        markdown=escape_markdown,
    )
    return f"{card}\n"
