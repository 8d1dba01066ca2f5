"""All sources of a project, articles and tables, in one paragraph table and one of fields.

Hand labels of articles are not joined here (`labels.join` does).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from paratopic.corpus.table import SCHEMA
from paratopic.project.errors import UserError
from paratopic.project.files import printable
from paratopic.project.paths import PARAMS
from paratopic.project.sources import Source
from paratopic.project.topics import Topics
from paratopic.reading.article import Paragraph, Skipped, paragraphs_of, skipped_of
from paratopic.reading.datasets import is_address
from paratopic.reading.files import SUFFIXES, find_files, read_file
from paratopic.reading.metadata import DATE, ID, IN_TABLE, SHEET, article_fields, check_sheets
from paratopic.reading.tables import read_labelled_table, table_name
from paratopic.tables.files import LOADERS

# What the reason of an article that cannot be read begins with.
UNREADABLE = "unreadable"
# Why a table in a folder is left out.
UNNAMED = "a table that prepare.sources does not name"


class Sources(NamedTuple):
    """What sources hold.

    Parameters
    ----------
    frame
        The paragraph table (`corpus.table.SCHEMA`).
    skipped
        The files and texts that are left out of it: articles that cannot be read, among others.
        Their reasons begin with `UNREADABLE`.
    metadata
        What each of its rows is from (`corpus.metadata`).
    origins
        Name of a field and where it was found → number of articles.
    notes
        What there is to say about files of metadata, and about tables and sources that are left
        out.
    """

    frame: pd.DataFrame
    skipped: list[Skipped]
    metadata: pd.DataFrame
    origins: Counter[tuple[str, str]]
    notes: Sequence[str] = ()


def read_sources(
    sources: Sequence[Source | str],
    own_files: Collection[Path],
    topics: Topics,
    no_topic: Sequence[str],
) -> Sources:
    """Read every source of a project.

    Parameters
    ----------
    sources
        `prepare.sources` of params.yaml: paths and globs of articles and tables, folders of
        articles, and addresses of datasets. Tables in a folder are not read: those that are meant
        are named.
    own_files
        The project's own files that may lie in such folders, and are not reported as skipped.
    topics
        The codebook that the labels of tables are from.
    no_topic
        Labels of tables that mean none of the topics.

    Raises
    ------
    UserError
        A pattern matches no file, two sources have the same name, a table or the metadata.csv
        beside an article cannot be read, keys name columns of a file that is no table, or no source
        holds a paragraph.
    """
    entries, datasets = _entries(sources)
    patterns = [entry.path for entry in entries]
    own = {file.resolve() for file in own_files}
    try:
        paths, left_out = find_files(patterns, SUFFIXES)
        source_of = _sources_of_tables(entries)
    except UserError as error:
        hints = [_hint(path) for path in _tables_in(patterns) if path.resolve() not in own]
        raise UserError("\n".join([f"prepare.sources: {error}", *hints])) from None
    _refuse_same_names([*paths, *(dataset.path for dataset in datasets)])
    left_out = [
        (path, UNNAMED if path.suffix.lower() in LOADERS else reason)
        for path, reason in left_out
        if path.resolve() not in own
    ]
    skipped = [Skipped(printable(path), 0, "", reason) for path, reason in left_out]
    notes = check_sheets(path for path in paths if path.suffix.lower() in SUFFIXES)
    notes += [_hint(path) for path, reason in left_out if reason == UNNAMED]
    filled: list[Sources] = []
    named: list[tuple[Path | str, Source | None]] = [(p, source_of.get(p)) for p in paths]
    named += [(dataset.path, dataset) for dataset in datasets]
    for path, entry in named:
        source = _read_source(path, topics, no_topic, entry)
        if not source.frame.empty:
            filled.append(source)
        skipped += source.skipped
    if not filled:
        unreadable = [
            f"{s.article}: {s.reason}" for s in skipped if s.reason.startswith(UNREADABLE)
        ]
        all_paths = [*patterns, *(dataset.path for dataset in datasets)]
        what = f"prepare.sources: there is no paragraph in {', '.join(all_paths)}"
        raise UserError("\n".join([what, *unreadable]))
    return _together(filled, skipped, notes)


def _together(sources: Sequence[Sources], skipped: list[Skipped], notes: Sequence[str]) -> Sources:
    """The rows of several sources, with what is said of all of them."""
    frame = pd.concat([source.frame for source in sources], ignore_index=True)
    metadata = pd.concat([source.metadata for source in sources], ignore_index=True)
    metadata = metadata[sorted(metadata, key=lambda name: (name != DATE, name))]
    metadata.insert(0, ID, frame[ID])
    origins = sum((source.origins for source in sources), Counter[tuple[str, str]]())
    return Sources(frame, skipped, metadata, origins, notes)


def _entries(sources: Sequence[Source | str]) -> tuple[list[Source], list[Source]]:
    """The sources that are files, and those that are datasets."""
    entries = [Source(source) if isinstance(source, str) else source for source in sources]
    return (
        [entry for entry in entries if not is_address(entry.path)],
        [entry for entry in entries if is_address(entry.path)],
    )


def _sources_of_tables(entries: Sequence[Source]) -> dict[Path, Source]:
    """The tables whose columns or labels are named, with their entries."""
    source_of: dict[Path, Source] = {}
    for entry in entries:
        if entry == Source(entry.path):
            continue
        for path in find_files([entry.path], SUFFIXES)[0]:
            if path.suffix.lower() not in LOADERS:
                raise UserError(
                    f"{printable(path)} is no table ({', '.join(LOADERS)}), so it has no columns "
                    "and no labels of its own; leave out all keys but path"
                )
            if path in source_of:
                raise UserError(f"{printable(path)} is named twice with keys; remove one of them")
            source_of[path] = entry
    return source_of


def _tables_in(patterns: Sequence[str]) -> list[Path]:
    """Tables in those of the sources that are folders."""
    return [
        path
        for folder in filter(os.path.isdir, patterns)
        for path in sorted(Path(folder).rglob("*"))
        if path.suffix.lower() in LOADERS and path.name != SHEET
    ]


def _hint(table: Path) -> str:
    return (
        f"{printable(table)} is a table, which is not read from a folder: name it in "
        f"prepare.sources of {PARAMS} to read it"
    )


def _read_source(
    path: Path | str,
    topics: Topics,
    no_topic: Sequence[str],
    source: Source | None,
) -> Sources:
    """What a file holds, or the dataset that a str is the address of."""
    suffix = "" if isinstance(path, str) else path.suffix.lower()
    if isinstance(path, str) or suffix in LOADERS:
        frame, fields = read_labelled_table(path, topics, no_topic, source)
        origins = Counter(
            {
                (str(name), IN_TABLE): frame["article"][values.notna()].nunique()
                for name, values in fields.items()
            }
        )
        return Sources(frame, [], fields, origins)
    if suffix in SUFFIXES:
        return _read_article(path)
    raise UserError(f"{path}: sources are {', '.join([*SUFFIXES, *LOADERS])}")


def _read_article(path: Path) -> Sources:
    """An article; one that cannot be read is skipped itself."""
    try:
        article = read_file(path)
        frame = frame_of(paragraphs_of(article))
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ").removeprefix(f"{path.stem}: ")
        skipped = [Skipped(printable(path), 0, "", f"{UNREADABLE}: {reason}")]
        return Sources(frame_of([]), skipped, pd.DataFrame(), Counter())
    fields = article_fields(path, article.fields)
    values = {name: field.value for name, field in fields.items()}
    origins = Counter((name, field.origin) for name, field in fields.items())
    metadata = pd.DataFrame(values, index=frame.index, dtype="str")
    return Sources(frame, skipped_of(article), metadata, origins)


def _refuse_same_names(paths: Sequence[Path | str]) -> None:
    names: dict[str, Path | str] = {}
    for path in paths:
        name = table_name(path)
        if name in names:
            raise UserError(
                f"{path} and {names[name]} have the same name, which labels refer to: rename or "
                "remove one of them"
            )
        names[name] = path


def frame_of(paragraphs: Iterable[Paragraph]) -> pd.DataFrame:
    """Turn paragraphs into unlabelled rows of the paragraph table (`corpus.table.SCHEMA`)."""
    without_label = {"topics": None, "label_source": "none", "retired": "", "trust": 1.0}
    without_label |= {"draw": "", "weight": np.nan, "ordered": True, "before": "", "after": ""}
    rows = [asdict(paragraph) | without_label for paragraph in paragraphs]
    return pd.DataFrame(rows, columns=SCHEMA.names)
