"""Columns and labels of a table that `paratopic init` reads, and questions about them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import typer

from paratopic.cli.next_steps import invocation, print_steps
from paratopic.project.errors import UserError, closest_word_hint, plural, shortened, shortened_list
from paratopic.project.topics import NONE_CELL, SEPARATOR, Topics, split_cell
from paratopic.reading.cells import iso_date
from paratopic.reading.columns import Proposal, columns_named_for, propose
from paratopic.reading.tables import TABLES, LabelledTable, read_table

# Columns, and values of each column, that are listed if the column of labels is not clear.
MOST_COLUMNS, MOST_VALUES = 12, 4
# Topics that are listed; and how many times as frequent a label is that another one may misspell.
MOST_TOPICS, MISSPELT = 50, 10


def read_proposal(
    names: Sequence[str], table: str, path: str, label: str
) -> tuple[Proposal, list[str]]:
    """Propose the meaning of the columns of a table; also return the names of all its columns.

    `names` are the topics of --topics; if there are none, the table's labels become the topics.
    `path` is the table's path in params.yaml, and `label` the column with the labels, "" to search
    for it. If none is found and `names` is empty, candidates are printed, and the command exits
    with status 2. A UserError reports a file that is no table or has no rows, a column `label` that
    does not exist or has fewer than two labels, and labels that are found in spite of `names`.
    """
    table_path = Path(table)
    if table_path.suffix.lower() not in TABLES:
        raise UserError(f"--table {table}: a table can be {', '.join(TABLES)}")
    columns = read_table(table_path).columns
    if label and label not in columns:
        hint = closest_word_hint(label, columns)
        raise UserError(
            f"--label {label}: {table} has no such column{hint}; it has {', '.join(columns)}"
        )
    proposal = propose(columns, path, label, guess=not names)
    if proposal.topics and names:
        raise UserError(
            f"--table {table}: the labels in its column {proposal.columns['label']} become the "
            "topics; leave out --topics, or rename the column if it has no labels"
        )
    if label and len(proposal.topics) < 2:
        raise UserError(f"--label {label}: the column has fewer than two labels")
    if not proposal.topics and not names:
        _ask_for_labels(table, proposal)
        raise typer.Exit(2)
    return proposal, list(columns)


def _ask_for_labels(table: str, proposal: Proposal) -> None:
    """Print columns that may have the labels, with some values, and the commands to continue."""
    candidates, command = proposal.candidates, invocation()
    unclear = "it is not clear which column has the labels. These may:"
    print(f"{table}: {unclear if candidates else 'no column looks like labels.'}")
    for name, values in list(candidates.items())[:MOST_COLUMNS]:
        shown = [shortened(value, 40, " [...]") for value in values]
        print(f"  {name}: {shortened_list(shown, MOST_VALUES)}")
    if len(candidates) > MOST_COLUMNS:
        print(f"  and {plural(len(candidates) - MOST_COLUMNS, 'other column')}")
    if proposal.flags:
        flags = shortened_list(proposal.flags, MOST_VALUES)
        print(
            f"  {flags}: yes or no. If these are topics, make them one column with the names of "
            "those that are yes: sport;weather"
        )
    print_steps(
        {
            f"{command} --label COLUMN": "if a column has labels, which become the topics",
            f"{command} --topics sport,weather": "if none has: name your topics",
        }
    )


def print_proposal(table: str, names: list[str], proposal: Proposal, rows: LabelledTable) -> None:
    """Print how a table with columns `names` is read: keys, kept and unread columns, and labels."""
    columns = proposal.columns
    frame, votes, fields = rows
    meanings = _column_meanings(names, columns, rows)
    print(f"{table}: {plural(len(frame), 'row')}. They are read as follows:")
    for key, meaning in meanings.items():
        if key in columns:
            print(f"  {key:6} column {columns[key]}: {meaning}")
    if "group" not in columns:
        print("  group  no column: each row counts as an article of its own")
    for key in ("heading", "title"):
        if key in proposal.source.columns and key in names and key not in columns.values():
            print(f"  {key:6} column {key}: models read it with the text")
    if kept := [str(name) for name in fields if name != "date"]:
        print(f"  kept   {', '.join(kept)}")
    for name in names:
        reason = ""
        if other := columns.get(name):
            reason = f", as {other} is taken for it"
        elif getattr(proposal.source, name, "") is None:
            reason = " does not have what is expected of it"
        if reason and name not in columns.values():
            print(f"  {name:6} not read: the column {name}{reason}")
    _print_labels(proposal, votes)


def _column_meanings(
    names: Sequence[str], columns: Mapping[str, str], rows: LabelledTable
) -> dict[str, str]:
    """Key (text, label, group, id, date if any) → words on it, even if no column stands for it."""
    frame, votes, fields = rows
    meanings = {
        "text": f"{frame['text'].str.len().mean():.0f} characters on average",
        "label": f"{len(votes)} rows are labelled, {len(frame) - len(votes)} are not",
        "group": f"{plural(frame['article'].nunique(), 'article')}, each used as a whole to train "
        "a model or to test it",
        "id": f"ids of paragraphs, such as {frame['id'][0]}",
    }
    if columns.get("group") == columns.get("date"):
        meanings["group"] += (
            " (no column names the article: rows of one date count as one; for one article a row, "
            "`group: null` in params.yaml)"
        )
    elif not {"position", "text_preceding"} & {*names}:
        meanings["group"] += (
            " (no column position numbers the rows of an article, so they are read without their "
            "neighbours)"
        )
    if "date" in fields:
        meanings["date"] = _date_range(fields["date"].dropna().tolist())
    return meanings


def _print_labels(proposal: Proposal, votes: pd.DataFrame) -> None:
    """Print cells that mean no label; then outcomes that occur, with numbers of rows and cells."""
    labels = proposal.source.labels
    if missing := [label for label in labels if proposal.source.label_topics(label) is None]:
        print(f"  ?      no label: rows labelled {', '.join(missing)}")
    counts = Counter(name for names in votes["topics"] for name in names or [NONE_CELL])
    present = [*filter(counts.get, proposal.topics)]
    for name in [*present[:MOST_TOPICS], *filter(counts.get, [NONE_CELL])]:
        outcome = "none   of the topics" if name == NONE_CELL else f"topic  {name}"
        cells = ", ".join(label for label, topic in labels.items() if topic == name)
        labelled = f", labelled {cells}" if cells else ""
        print(f"  {outcome}: {plural(counts[name], 'row')}{labelled}")
    if len(present) > MOST_TOPICS:
        print(f"  and {plural(len(present) - MOST_TOPICS, 'other topic')}")


def label_warnings(
    proposal: Proposal, votes: pd.DataFrame, label: str, topics: Topics
) -> list[str]:
    """Notes on columns or labels that may be misread; `label` is that of --label, "" for none."""
    notes, again = [], f"{invocation()} --again"
    column = proposal.columns.get("label", "")
    others = columns_named_for(proposal.candidates, "label")
    if column and others and not label:
        notes.append(f"{', '.join(others)}: may have labels, too; `{again} --label COLUMN`")
    if column and not label and not columns_named_for([column], "label"):
        notes.append(
            f"no column is named after labels; if {column} has none, `{again} --topics "
            "sport,weather`"
        )
    if len(proposal.topics) > MOST_TOPICS:
        notes.append(
            f"{column} has {len(proposal.topics)} different labels in {plural(len(votes), 'row')}; "
            f"if these are no topics, `{again} --label COLUMN`"
        )
    else:
        counts = Counter(name for names in votes["topics"] for name in names)
        for name in proposal.topics:
            frequent = [other for other in counts if counts[other] >= MISSPELT * counts[name]]
            if hint := closest_word_hint(name, frequent):
                notes.append(f"{name}: {plural(counts[name], 'row')}{hint}")
    if joined := [cell for cell, names in proposal.source.labels.items() if SEPARATOR in names]:
        notes.append(f"cells such as {joined[0]} have several labels")
    for name in proposal.topics:
        if not {*split_cell(re.sub("[,|]", SEPARATOR, name))}.isdisjoint({*topics.names} - {name}):
            notes.append(f"{name} is one topic; separate several by semicolons in the table")
    return notes


def _date_range(dates: Sequence[str]) -> str:
    """The first and the last date, and the number of unreadable dates."""
    known = [date for date in map(iso_date, dates) if date]
    span = f"{min(known)} to {max(known)}" if known else "no date"
    n_unknown = len(dates) - len(known)
    return f"{span}, and {n_unknown} that cannot be read" if n_unknown else span
