"""All sources of a project, articles and labelled tables, in one paragraph table and one of fields.

Hand labels of articles are not joined here (`labels.join` does).
"""

from __future__ import annotations

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
from paratopic.project.topics import Topics
from paratopic.reading.article import Paragraph, Skipped, paragraphs_of, skipped_of
from paratopic.reading.files import SUFFIXES, find_files, read_file
from paratopic.reading.metadata import DATE, ID, IN_TABLE, article_fields, check_sheets
from paratopic.reading.tables import LOADERS, read_labelled_table

# What the reason of an article that cannot be read begins with.
UNREADABLE = "unreadable"


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
        What there is to say about files of metadata.
    """

    frame: pd.DataFrame
    skipped: list[Skipped]
    metadata: pd.DataFrame
    origins: Counter[tuple[str, str]]
    notes: Sequence[str] = ()


def read_sources(
    patterns: Sequence[str],
    own_files: Collection[Path],
    topics: Topics,
    no_topic: Sequence[str],
    former: Collection[str] = (),
) -> Sources:
    """Read every source of a project.

    Parameters
    ----------
    patterns
        `prepare.sources` of params.yaml: paths and globs of articles and tables, and folders of
        articles. Tables in a folder are not read: those that are meant are named.
    own_files
        The project's own files that may lie in such folders, and are not reported as skipped.
    topics
        The codebook that the labels of tables are from.
    no_topic
        Labels of tables that mean none of the topics.
    former
        Names that topics had before the codebook changed, which labels of tables may still have;
        none by default.

    Raises
    ------
    UserError
        A pattern matches no file, two sources have the same name, a table or the metadata.csv
        beside an article cannot be read, or no source holds a paragraph.
    """
    try:
        paths, left_out = find_files(patterns, SUFFIXES)
    except UserError as error:
        raise UserError(f"prepare.sources: {error}") from None
    _refuse_same_names(paths)
    own = {file.resolve() for file in own_files}
    skipped = [
        Skipped(printable(path), 0, "", reason)
        for path, reason in left_out
        if path.resolve() not in own
    ]
    notes = check_sheets(path for path in paths if path.suffix.lower() in SUFFIXES)
    filled: list[Sources] = []
    for path in paths:
        source = _read_source(path, topics, no_topic, former)
        if not source.frame.empty:
            filled.append(source)
        skipped += source.skipped
    if not filled:
        unreadable = [
            f"{s.article}: {s.reason}" for s in skipped if s.reason.startswith(UNREADABLE)
        ]
        what = f"prepare.sources: there is no paragraph in {', '.join(patterns)}"
        raise UserError("\n".join([what, *unreadable]))
    return _together(filled, skipped, notes)


def read_tables(
    patterns: Sequence[str], topics: Topics, no_topic: Sequence[str], former: Collection[str]
) -> Sources:
    """Read the labelled tables among the sources alone, of which there may be none.

    Parameters
    ----------
    patterns, topics, no_topic, former
        As for `read_sources`.

    Raises
    ------
    UserError
        A pattern matches no file, or a table cannot be read.
    """
    paths, _ = find_files(patterns, SUFFIXES)
    tables = [path for path in paths if path.suffix.lower() in LOADERS]
    read = [_read_source(path, topics, no_topic, former) for path in tables]
    filled = [source for source in read if not source.frame.empty]
    nothing = Sources(frame_of([]), [], pd.DataFrame(), Counter())
    return _together(filled or [nothing], [], ())


def _together(sources: Sequence[Sources], skipped: list[Skipped], notes: Sequence[str]) -> Sources:
    """The rows of several sources, with what is said of all of them."""
    frame = pd.concat([source.frame for source in sources], ignore_index=True)
    metadata = pd.concat([source.metadata for source in sources], ignore_index=True)
    metadata = metadata[sorted(metadata, key=lambda name: (name != DATE, name))]
    metadata.insert(0, ID, frame[ID])
    origins = sum((source.origins for source in sources), Counter[tuple[str, str]]())
    return Sources(frame, skipped, metadata, origins, notes)


def _read_source(
    path: Path, topics: Topics, no_topic: Sequence[str], former: Collection[str]
) -> Sources:
    suffix = path.suffix.lower()
    if suffix in LOADERS:
        frame, fields = read_labelled_table(path, topics, no_topic, former)
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


def _refuse_same_names(paths: Sequence[Path]) -> None:
    names: dict[str, Path] = {}
    for path in paths:
        if path.stem in names:
            raise UserError(
                f"{path} and {names[path.stem]} have the same name, which labels refer to: rename "
                "or remove one of them"
            )
        names[path.stem] = path


def frame_of(paragraphs: Iterable[Paragraph]) -> pd.DataFrame:
    """Turn paragraphs into unlabelled rows of the paragraph table (`corpus.table.SCHEMA`)."""
    without_label = {"topics": None, "label_source": "none", "trust": 1.0, "draw": ""}
    without_label |= {"weight": np.nan, "ordered": True, "before": "", "after": ""}
    rows = [asdict(paragraph) | without_label for paragraph in paragraphs]
    return pd.DataFrame(rows, columns=SCHEMA.names)
