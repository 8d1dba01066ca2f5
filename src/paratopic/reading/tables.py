"""Labelled tables from elsewhere (CSV, JSON lines, parquet) → rows of the paragraph table."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from paratopic.corpus.table import SCHEMA
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics
from paratopic.reading.article import paragraph_id

READERS = {".csv": "csv", ".jsonl": "json", ".parquet": "parquet"}


def read_labelled_table(path: Path, topics: Topics, no_topic: Sequence[str]) -> pd.DataFrame:
    """Read a labelled table from elsewhere: columns text, label and, optionally, group.

    Rows of one group become one article; without the column each row is an article of its own. A
    label is a topic, or several as in labels.csv, the dominant one first. An empty one leaves the
    row unlabelled; one in `no_topic` means none of the topics.

    Raises
    ------
    UserError
        The file cannot be read, a column is missing, a text is empty or a label is unknown.
    """
    table = _load(path)
    groups = table.get("group", [None] * len(table["text"]))
    seen: Counter[str] = Counter()
    rows = []
    for number, (text, label, group) in enumerate(
        zip(table["text"], table["label"], groups, strict=True)
    ):
        where = f"{path}, row {number + 1}"
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{where}: the text is empty; remove the row")
        name = "" if label is None else str(label).strip()
        if name in no_topic:
            labels: tuple[str, ...] | None = ()
        elif not name:
            labels = None
        else:
            labels = topics.parse(name, where)
        key = paragraph_id(path.stem, text)
        seen[key] += 1
        identity = key if seen[key] == 1 else f"{key}-{seen[key]}"
        rows.append(
            {
                "id": identity,
                "article": identity if group is None else f"{path.stem}/{group}",
                "heading": "",
                "position": number,
                "text": text,
                "topics": None if labels is None else list(labels),
                "label_source": "none" if labels is None else "hand",
            }
        )
    return pd.DataFrame(rows, columns=SCHEMA.names)


def _load(path: Path) -> dict[str, list[object]]:
    # Loaded here: only tables from elsewhere need it, and it takes seconds.
    import datasets

    datasets.disable_progress_bars()
    try:
        # Its cache is a folder of our own: nothing of the table stays behind on the machine.
        with tempfile.TemporaryDirectory() as cache:
            table = datasets.load_dataset(
                READERS[path.suffix.lower()],
                data_files=str(path),
                split="train",
                cache_dir=cache,
                keep_in_memory=True,
            )
    except Exception as error:  # datasets raises whatever its readers raise
        cause = error.__cause__ or error
        raise UserError(f"{path} cannot be read as {path.suffix[1:]}: {cause}") from None
    for column in ("text", "label"):
        if column not in table.column_names:
            raise UserError(
                f'{path}: there is no column "{column}"; a labelled table has text, label and, '
                f"optionally, group (this one has {', '.join(table.column_names)})"
            )
    wanted = [c for c in ("text", "label", "group") if c in table.column_names]
    columns: dict[str, list[object]] = table.select_columns(wanted).to_dict()
    kind = table.features["label"]
    if isinstance(kind, datasets.ClassLabel):
        columns["label"] = [None if n is None else kind.names[n] for n in columns["label"]]
    return columns
