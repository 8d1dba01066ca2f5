"""What `paratopic init` takes the columns and labels of a table for, and what it asks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import typer

from paratopic.cli.next_steps import print_steps, typed
from paratopic.project.errors import UserError, did_you_mean, in_short, plural, shortened
from paratopic.project.topics import NONE_CELL, SEPARATOR, Topics, split_cell
from paratopic.reading.cells import iso_date
from paratopic.reading.columns import Proposal, named_after, propose
from paratopic.reading.tables import TABLES, LabelledTable, read_table

# Columns, and values of each, that are listed where it is not clear which column has the labels.
MOST_COLUMNS, MOST_VALUES = 12, 4


def proposal_of(
    names: Sequence[str], table: str, path: str, label: str
) -> tuple[Proposal, list[str]]:
    """What a table probably means, and its columns; exits where that is not clear.

    Parameters
    ----------
    names
        Topics that the user names; empty where the table's labels are to become the topics.
    label
        The column with the labels; empty where it is to be found.
    """
    place = Path(table)
    if place.suffix.lower() not in TABLES:
        raise UserError(f"--table {table}: a table can be {', '.join(TABLES)}")
    columns = read_table(place).columns
    if label and label not in columns:
        raise UserError(
            f"--label {label}: {table} has no such column{did_you_mean(label, columns)}; it has "
            f"{', '.join(columns)}"
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
    """Say which columns may have the labels, and which commands go on."""
    candidates, command = proposal.candidates, typed()
    unclear = "it is not clear which column has the labels. These may:"
    print(f"{table}: {unclear if candidates else 'no column looks like labels.'}")
    for name, values in [*candidates.items()][:MOST_COLUMNS]:
        shown = [shortened(value, 40, " [...]") for value in values]
        print(f"  {name}: {in_short(shown, MOST_VALUES)}")
    if len(candidates) > MOST_COLUMNS:
        print(f"  and {plural(len(candidates) - MOST_COLUMNS, 'other column')}")
    if proposal.flags:
        print(
            f"  {in_short(proposal.flags, MOST_VALUES)}: yes or no. If these are topics, make them "
            "one column with the names of those that are yes: sport;weather"
        )
    print_steps(
        {
            f"{command} --label COLUMN": "if a column has labels, which become the topics",
            f"{command} --topics sport,weather": "if none has: name your topics",
        }
    )


def print_proposal(table: str, names: list[str], proposal: Proposal, rows: LabelledTable) -> None:
    """Say which of the columns named, and which labels, are taken for what."""
    columns = proposal.columns
    frame, answers, fields = rows
    meanings = {
        "text": f"{frame['text'].str.len().mean():.0f} characters on average",
        "label": f"{len(answers)} rows are labelled, {len(frame) - len(answers)} are not",
        "group": f"{plural(frame['article'].nunique(), 'article')}, each used as a whole to train "
        "a model or to test it",
        "id": f"ids of paragraphs, such as {frame['id'][0]}",
    }
    if columns.get("group") == columns.get("date"):
        meanings["group"] += " (no column names the article: rows of one date count as one)"
    elif not {"position", "text_preceding"} & {*names}:
        meanings["group"] += (
            " (no column position numbers the rows of an article, so they are read without their "
            "neighbours)"
        )
    if "date" in fields:
        meanings["date"] = _dates(fields["date"].dropna().tolist())
    print(f"{table}: {plural(len(frame), 'row')}. They are read as follows:")
    for key in (key for key in meanings if key in columns):
        print(f"  {key:6} column {columns[key]}: {meanings[key]}")
    if "group" not in columns:
        print("  group  no column: each row counts as an article of its own")
    if kept := [str(name) for name in fields if name != "date"]:
        print(f"  kept   {', '.join(kept)}")
    for key in (name for name in names if name not in columns.values()):
        if (other := columns.get(key)) or getattr(proposal.source, key, "") is None:
            why = (
                f", as {other} is taken for it"
                if other
                else " does not have what is expected of it"
            )
            print(f"  {key:6} not read: the column {key}{why}")
    _print_labels(proposal, answers)


def _print_labels(proposal: Proposal, answers: pd.DataFrame) -> None:
    """Say which topic each label is taken for, and how many rows have it."""
    labels = proposal.source.labels
    if missing := [label for label in labels if proposal.source.meaning(label) is None]:
        print(f"  ?      no label: rows labelled {', '.join(missing)}")
    counts = Counter(name for names in answers["topics"] for name in names or [NONE_CELL])
    for name in filter(counts.get, [*proposal.topics, NONE_CELL]):
        what = "none   of the topics" if name == NONE_CELL else f"topic  {name}"
        meant = ", ".join(label for label, topic in labels.items() if topic == name)
        labelled = f", labelled {meant}" if meant else ""
        print(f"  {what}: {plural(counts[name], 'row')}{labelled}")


def doubts(proposal: Proposal, label: str, topics: Topics) -> list[str]:
    """What may be wrong with the labels that were found, and how to mend it."""
    notes, command = [], typed()
    taken, named = proposal.columns.get("label", ""), named_after(proposal.candidates, "label")
    if taken and named and not label:
        notes.append(
            f"{', '.join(named)}: may have labels, too; `{command} --again --label COLUMN`"
        )
    if taken and not label and not named_after([taken], "label"):
        notes.append(
            f"no column is named after labels; if {taken} has none, `{command} --again --topics "
            "sport,weather`"
        )
    if joined := [cell for cell, names in proposal.source.labels.items() if SEPARATOR in names]:
        notes.append(f"cells such as {joined[0]} have several labels")
    for name in proposal.topics:
        if not {*split_cell(re.sub("[,|]", SEPARATOR, name))}.isdisjoint({*topics.names} - {name}):
            notes.append(f"{name} is one topic; separate several by semicolons in the table")
    return notes


def _dates(dates: Sequence[str]) -> str:
    """The range of dates, and how many of them are none."""
    known = [iso for date in dates if (iso := iso_date(date))]
    span = f"{min(known)} to {max(known)}" if known else "no date"
    unknown = len(dates) - len(known)
    return f"{span}, and {unknown} that cannot be read" if unknown else span
