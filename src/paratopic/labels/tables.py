"""What changes of the codebook make of labels that come with tables.

Such a label is read as an answer above all lines of labels.csv: it is before every change of the
codebook, unless the table has a time for it. Whatever labels.csv says of a paragraph takes its
place. This module does not read tables (`reading.tables` does).
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from paratopic.corpus.table import has_hand_label
from paratopic.labels.answers import Reading, Reopened, read_answers
from paratopic.labels.codebook import before_all, changes_of
from paratopic.labels.log import Label
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics, join_cell

# Column of a table, and so of the metadata, that has the times of its labels, as in `Label.when`.
WHEN = "when"


def former_names(lines: Sequence[Label]) -> set[str]:
    """Names that topics had before changes of the codebook."""
    return {name for _, change in changes_of(lines) for name in change.names}


def follow_changes(
    frame: pd.DataFrame, metadata: pd.DataFrame, lines: Sequence[Label], topics: Topics
) -> tuple[pd.DataFrame, Reading]:
    """Give labels of tables today's names, or take them away if they are to be given again.

    Parameters
    ----------
    frame
        Paragraph table before hand labels are joined: those that it has come from tables.
    metadata
        What each of its rows is from, in the same order; a column `WHEN` has the times of labels.
    lines
        All lines of labels.csv, in its order.

    Returns
    -------
    The table, where paragraphs that labels.csv has answers on have no label; and what labels.csv
    says, where `again` has the paragraphs of tables too.

    Raises
    ------
    UserError
        A label has a name that the codebook had not at its time, or one that another topic has
        taken since; or a time cannot be read.
    """
    reading, changes = read_answers(lines), changes_of(lines)
    by_hand = has_hand_label(frame)
    if not changes or not by_hand.any():
        return frame, reading
    whens = metadata[WHEN].fillna("") if WHEN in metadata else pd.Series("", metadata.index)
    given = [
        Label(id_, id_, join_cell(names), "", when=when)
        for id_, names, when in zip(
            frame["id"][by_hand], frame["topics"][by_hand], whens[by_hand], strict=True
        )
    ]
    in_log = {answer.paragraph for answer in reading.answers} | reading.again.keys()
    again = dict(reading.again)
    names_of: dict[str, list[str]] = {}
    for label, today in zip(given, before_all(given, lines), strict=True):
        if label.paragraph in in_log:
            continue
        if today.reopened:
            again[label.paragraph] = Reopened(changes[today.reopened - 1][0], today.into)
        else:
            if not label.when:
                _refuse_taken(label, today.line, topics)
            names_of[label.paragraph] = list(topics.check(today.line.names, label.where))
    column = pd.Series(list(map(names_of.get, frame["id"])), frame.index, dtype=object)
    sources = ["none" if names is None else "hand" for names in column]
    return frame.assign(topics=column, label_source=sources), Reading(reading.answers, again)


def _refuse_taken(label: Label, today: Label, topics: Topics) -> None:
    """Refuse a name that meant another topic before: nothing tells which of them is meant."""
    taken = [name for name in label.names if name in topics.names and name not in today.names]
    if taken:
        raise UserError(
            f'{label.where}: "{taken[0]}" was the name of {join_cell(today.names)} before the '
            f"codebook changed, and is the name of another topic now; add a column {WHEN} to the "
            "table with the date of each label, such as 2025-09-15"
        )
