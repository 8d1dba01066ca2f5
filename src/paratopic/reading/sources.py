"""All sources of a project, articles and labelled tables, in one paragraph table.

Hand labels of articles are not joined here (`labels.join` does).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from paratopic.corpus.table import SCHEMA
from paratopic.project.errors import UserError
from paratopic.project.files import printable
from paratopic.project.topics import Topics
from paratopic.reading.article import Paragraph, Skipped, paragraphs_of, skipped_of
from paratopic.reading.files import SUFFIXES, find_files, read_file
from paratopic.reading.tables import LOADERS, read_labelled_table

# What the reason of an article that cannot be read begins with.
UNREADABLE = "unreadable"


def read_sources(
    patterns: Sequence[str], own_files: Collection[Path], topics: Topics, no_topic: Sequence[str]
) -> tuple[pd.DataFrame, list[Skipped]]:
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

    Returns
    -------
    The paragraph table (`corpus.table.SCHEMA`), and the files and texts that are left out of it:
    articles that cannot be read, among others. Their reasons begin with `UNREADABLE`.

    Raises
    ------
    UserError
        A pattern matches no file, two sources have the same name, a table cannot be read, or no
        source holds a paragraph.
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
    frames: list[pd.DataFrame] = []
    for path in paths:
        frame, skipped_parts = _read_source(path, topics, no_topic)
        if not frame.empty:
            frames.append(frame)
        skipped += skipped_parts
    if not frames:
        unreadable = [
            f"{s.article}: {s.reason}" for s in skipped if s.reason.startswith(UNREADABLE)
        ]
        what = f"prepare.sources: there is no paragraph in {', '.join(patterns)}"
        raise UserError("\n".join([what, *unreadable]))
    return pd.concat(frames, ignore_index=True), skipped


def _read_source(
    path: Path, topics: Topics, no_topic: Sequence[str]
) -> tuple[pd.DataFrame, list[Skipped]]:
    suffix = path.suffix.lower()
    if suffix in LOADERS:
        return read_labelled_table(path, topics, no_topic), []
    if suffix in SUFFIXES:
        return _read_article(path)
    raise UserError(f"{path}: sources are {', '.join([*SUFFIXES, *LOADERS])}")


def _read_article(path: Path) -> tuple[pd.DataFrame, list[Skipped]]:
    """The paragraphs and skipped parts of an article; one that cannot be read is skipped itself."""
    try:
        article = read_file(path)
        return frame_of(paragraphs_of(article)), skipped_of(article)
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ").removeprefix(f"{path.stem}: ")
        return frame_of([]), [Skipped(printable(path), 0, "", f"{UNREADABLE}: {reason}")]


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
    without_label = {"topics": None, "label_source": "none", "trust": 1.0}
    without_label |= {"ordered": True, "before": "", "after": ""}
    rows = [asdict(paragraph) | without_label for paragraph in paragraphs]
    return pd.DataFrame(rows, columns=SCHEMA.names)
