"""All sources of a project: articles and tables → paragraphs, raw answers and fields."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from paratopic.corpus.table import PARAGRAPHS_SCHEMA
from paratopic.project.errors import UserError, plural, shortened
from paratopic.project.files import SHEET, Paths, printable, sha256
from paratopic.project.source_settings import Source
from paratopic.reading.article import Paragraph, Skipped, paragraphs_of, skipped_of
from paratopic.reading.article_files import SUFFIXES, find_files, read_file
from paratopic.reading.metadata import (
    DATE,
    IN_TABLE,
    ORIGINS,
    article_fields,
    check_sheets,
    metadata_sheets,
    unread_dates,
)
from paratopic.reading.tables import RAW, TABLES, read_labelled_table

# What the reason of an article that cannot be read begins with.
UNREADABLE = "unreadable"
# Why a table in a folder is left out.
UNNAMED = "a table that prepare.sources does not name"
# The raw answers of an article, which has none.
NO_ANSWERS = pd.DataFrame(columns=RAW)


class Sources(NamedTuple):
    """What sources hold.

    Parameters
    ----------
    frame
        The paragraph table (`corpus.table.PARAGRAPHS_SCHEMA`).
    answers
        The labels of tables as they are written (`reading.tables.RAW`).
    skipped
        The files and texts that are left out. The reasons of articles that cannot be read begin
        with `UNREADABLE`.
    metadata
        What each row of the paragraph table is from (`corpus.table`).
    origins
        Name of a field and where it was found → number of articles.
    notes
        Messages about files of metadata, tables that are left out, and dates that cannot be read.
    articles
        Names of the articles that were split into paragraphs. Rows of tables belong to none of
        them.
    """

    frame: pd.DataFrame
    answers: pd.DataFrame
    skipped: list[Skipped]
    metadata: pd.DataFrame
    origins: Counter[tuple[str, str]]
    notes: Sequence[str] = ()
    articles: frozenset[str] = frozenset()


def read_sources(
    project: Paths,
    sources: Sequence[Source | str],
    own_files: Collection[Path],
    no_topic: Sequence[str],
) -> Sources:
    """Read every source of a project.

    Parameters
    ----------
    project
        Where the project is, from whose root relative paths go.
    sources
        `prepare.sources` of params.yaml: paths and globs of articles and tables, and folders of
        articles. Tables in a folder are not read: those that are meant are named.
    own_files
        The project's own files that may lie in such folders, and are not reported as skipped.
    no_topic
        Labels of tables that mean none of the topics.

    Raises
    ------
    UserError
        A pattern matches no file, two sources have the same name, a table or the metadata.csv
        beside an article cannot be read, keys name columns of a file that is no table, or no source
        holds a paragraph.
    """
    entries = _entries(project, sources)
    patterns = [entry.path for entry in entries]
    own = {file.resolve() for file in own_files}
    try:
        paths, left_out = find_files(patterns, SUFFIXES)
        source_of = _sources_of_tables(entries)
    except UserError as error:
        folders = map(Path, filter(os.path.isdir, patterns))
        inside = [path for folder in folders for path in sorted(folder.rglob("*"))]
        tables = [path for path in inside if _is_table(path) and path.resolve() not in own]
        hints = map(_hint, map(project.name, tables))
        raise UserError("\n".join([f"prepare.sources: {error}", *hints])) from None
    _refuse_same_names(paths)
    left_out = [(path, why) for path, why in left_out if path.resolve() not in own]
    skipped = [
        Skipped(project.name(path), 0, "", UNNAMED if _is_table(path) else why)
        for path, why in left_out
    ]
    notes = check_sheets(project, [path for path in paths if path.suffix.lower() in SUFFIXES])
    notes += [_hint(project.name(path)) for path, _ in left_out if _is_table(path)]
    read = [_read_source(project, path, no_topic, source_of.get(path)) for path in paths]
    skipped += [part for source in read for part in source.skipped]
    filled = [source for source in read if not source.frame.empty]
    if not filled:
        unreadable = [f"{s.article}: {s.reason}" for s in skipped if _kind(s) == UNREADABLE]
        all_paths = ", ".join(entry.path for entry in entries)
        what = f"prepare.sources: there is no paragraph in {all_paths}"
        raise UserError("\n".join([what, *unreadable]))
    return _together(filled, skipped, notes)


def files_of(project: Paths, sources: Sequence[Source | str], *others: Path) -> list[Path]:
    """The files that sources name, some others, and metadata beside them, as far as they exist."""
    patterns = [entry.path for entry in _entries(project, sources)]
    paths = [*find_files(patterns, SUFFIXES)[0], *others]
    return [path for path in sorted({*paths, *metadata_sheets(paths)}) if path.is_file()]


def digests_of(project: Paths, sources: Sequence[Source | str], *others: Path) -> dict[str, str]:
    """Path from the root of each of the files of `files_of`, with the SHA-256 of its bytes.

    By these it is seen later whether figures are of other files than there are.
    """
    return {project.name(path): sha256(path) for path in files_of(project, sources, *others)}


def summary_of(sources: Sources) -> dict[str, object]:
    """Count what there is, for the fields of `labels.summary.Prepared`."""
    return {
        "articles": int(sources.frame["article"].nunique()),
        "paragraphs": len(sources.frame),
        "skipped": _reasons(sources.skipped),
        "metadata": {
            name: {origin: n for origin in ORIGINS if (n := sources.origins[name, origin])}
            for name in sources.metadata.columns[1:]
        },
    }


def describe_reading(
    metadata: Mapping[str, Mapping[str, int]],
    n_articles: int,
    n_boilerplate: int,
    skipped: Collection[Skipped],
) -> Iterator[str]:
    """Say which fields articles have, and what is left out, in a line each."""
    if metadata:
        yield f"metadata: {_describe_metadata(metadata, n_articles)}"
    if unreadable := [part.article for part in skipped if _kind(part) == UNREADABLE]:
        names = shortened(", ".join(unreadable), 300)
        count = plural(len(unreadable), "file")
        yield f"{count} could not be read (see {Paths().skipped}): {names}"
    if skipped:
        whys = ", ".join(f"{count} {why}" for why, count in _reasons(skipped).items())
        yield f"skipped (see {Paths().skipped}): {whys}"
    if n_boilerplate:
        yield (
            f"boilerplate: {plural(n_boilerplate, 'paragraph')}, not drawn for labels and not "
            "counted in shares (prepare.skip_boilerplate)"
        )


def _reasons(skipped: Iterable[Skipped]) -> dict[str, int]:
    """Reason without its details → number of parts that were left out for it, sorted."""
    return dict(sorted(Counter(map(_kind, skipped)).items()))


def _kind(part: Skipped) -> str:
    """The reason without its details: "unreadable: is empty. Give …" → "unreadable"."""
    return part.reason.partition(":")[0]


def _describe_metadata(metadata: Mapping[str, Mapping[str, int]], n_articles: int) -> str:
    """How many articles have each field; for dates, which may be wrong, where they are from too.

    >>> origins = {"date": {"documents": 2, "file names": 1}, "source": {"documents": 3}}
    >>> _describe_metadata(origins, 4)
    'date for 3 of 4 articles (2 from documents, 1 from file names), source for 3'
    """
    parts: list[str] = []
    for name, origins in metadata.items():
        of_all = "" if parts else f" of {plural(n_articles, 'article')}"
        wheres = ", ".join(f"{n} from {origin}" for origin, n in origins.items())
        where = f" ({wheres})" if name == DATE else ""
        parts.append(f"{name} for {sum(origins.values())}{of_all}{where}")
    return shortened(", ".join(parts), 300)


def _together(sources: Sequence[Sources], skipped: list[Skipped], notes: Sequence[str]) -> Sources:
    """The rows of several sources, with what is said of all of them."""
    frame = pd.concat([source.frame for source in sources], ignore_index=True)
    answers = pd.concat([source.answers for source in sources], ignore_index=True)
    metadata = pd.concat([source.metadata for source in sources], ignore_index=True)
    metadata = metadata[sorted(metadata, key=lambda name: (name != DATE, name))]
    metadata.insert(0, "id", frame["id"])
    origins = sum((source.origins for source in sources), Counter[tuple[str, str]]())
    notes = [*notes, *unread_dates(metadata)]
    articles = frozenset[str]().union(*(source.articles for source in sources))
    return Sources(frame, answers, skipped, metadata, origins, notes, articles)


def _entries(project: Paths, sources: Iterable[Source | str]) -> list[Source]:
    """The sources with whole paths; a path alone stands for one without further keys."""
    entries = [Source(source) if isinstance(source, str) else source for source in sources]
    if project == Paths():  # then paths stay as they are written
        return entries
    return [replace(entry, path=os.path.join(project.root, entry.path)) for entry in entries]


def _sources_of_tables(entries: Sequence[Source]) -> dict[Path, Source]:
    """The tables whose columns or labels are named, with their entries."""
    source_of: dict[Path, Source] = {}
    for entry in (entry for entry in entries if entry != Source(entry.path)):
        for path in find_files([entry.path], SUFFIXES)[0]:
            if path.suffix.lower() not in TABLES:
                raise UserError(
                    f"{printable(path)} is no table ({', '.join(TABLES)}), so it has no columns "
                    "and no labels of its own; leave out all keys but path"
                )
            if path in source_of:
                raise UserError(f"{printable(path)} is named twice with keys; remove one of them")
            source_of[path] = entry
    return source_of


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in TABLES and path.name != SHEET


def _hint(table: str) -> str:
    return (
        f"{table} is a table, which is not read from a folder: name it in "
        "prepare.sources of params.yaml to read it"
    )


def _read_source(
    project: Paths, path: Path, no_topic: Sequence[str], source: Source | None
) -> Sources:
    """What a file holds."""
    if path.suffix.lower() in SUFFIXES:
        return _read_article(project, path)
    if path.suffix.lower() not in TABLES:
        raise UserError(f"{path}: sources are {', '.join([*SUFFIXES, *TABLES])}")
    frame, answers, fields = read_labelled_table(path, no_topic, source)
    name = project.name(path)
    where = name + answers["where"].str.removeprefix(str(path))
    answers = answers.assign(source=name, where=where)
    counts = {name: frame["article"][fields[name].notna()].nunique() for name in fields}
    origins = Counter({(str(name), IN_TABLE): count for name, count in counts.items()})
    return Sources(frame, answers, [], fields, origins)


def _read_article(project: Paths, path: Path) -> Sources:
    """An article; one that cannot be read is skipped itself."""
    try:
        article = read_file(path)
        frame = frame_of(paragraphs_of(article))
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ").removeprefix(f"{path.stem}: ")
        skipped = [Skipped(project.name(path), 0, "", f"{UNREADABLE}: {reason}")]
        return Sources(frame_of([]), NO_ANSWERS, skipped, pd.DataFrame(), Counter())
    fields = article_fields(path, article.fields)
    values = {name: field.value for name, field in fields.items()}
    origins = Counter((name, field.origin) for name, field in fields.items())
    metadata = pd.DataFrame(values, index=frame.index, dtype="str")
    articles = frozenset(frame["article"])
    return Sources(frame, NO_ANSWERS, skipped_of(article), metadata, origins, articles=articles)


def _refuse_same_names(paths: Sequence[Path]) -> None:
    names: dict[str, Path] = {}
    for path in paths:
        if (first := names.setdefault(path.stem, path)) != path:
            raise UserError(
                f"{path} and {first} have the same name, which labels refer to: rename or remove "
                "one of them"
            )


def frame_of(paragraphs: Iterable[Paragraph]) -> pd.DataFrame:
    """Turn paragraphs into rows of the paragraph table (`corpus.table.PARAGRAPHS_SCHEMA`)."""
    usual = {"ordered": True, "before": "", "after": "", "boilerplate": False}
    rows = [vars(paragraph) | usual for paragraph in paragraphs]
    return pd.DataFrame(rows, columns=PARAGRAPHS_SCHEMA.names)
