"""Read all sources of a project: articles and tables → paragraphs, raw votes and fields."""

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
from paratopic.project.files import METADATA_FILE, Paths, printable, sha256
from paratopic.project.source_settings import Source
from paratopic.reading.article import Paragraph, Skipped, paragraphs_of, skipped_of
from paratopic.reading.article_files import SUFFIXES, find_files, metadata_sheets, read_file
from paratopic.reading.metadata import DATE, IN_TABLE, ORIGINS, check_sheets, date_notes, fields_of
from paratopic.reading.tables import RAW_VOTE_COLUMNS, TABLES, read_labelled_table

# First word of the reason to skip an article that cannot be read.
UNREADABLE = "unreadable"
UNNAMED = "a table that prepare.sources does not name"
NO_VOTES = pd.DataFrame(columns=RAW_VOTE_COLUMNS)


class Sources(NamedTuple):
    """The content of sources.

    Parameters
    ----------
    frame
        The paragraph table (`corpus.table.PARAGRAPHS_SCHEMA`).
    votes
        The labels of tables as they are written (`reading.tables.RAW_VOTE_COLUMNS`).
    skipped
        The files and texts that become no paragraph. The reasons of articles that cannot be read
        begin with `UNREADABLE`.
    metadata
        The metadata of each row of the paragraph table (`corpus.table`).
    origins
        Name of a field and its origin → number of articles.
    notes
        Messages about files of metadata, skipped tables, and dates that cannot be read.
    articles
        Names of the articles that were split into paragraphs; rows of tables belong to none.
    """

    frame: pd.DataFrame
    votes: pd.DataFrame
    skipped: list[Skipped]
    metadata: pd.DataFrame
    origins: Counter[tuple[str, str]]
    notes: Sequence[str] = ()
    articles: frozenset[str] = frozenset()


def read_sources(
    project: Paths, sources: Sequence[Source | str], own: Collection[Path], no_topic: Sequence[str]
) -> Sources:
    """Read every source of a project; an article that cannot be read becomes a skipped part.

    Parameters
    ----------
    sources
        `prepare.sources` of params.yaml: paths and globs, from the project's root, of articles and
        tables, and folders of articles. Tables in folders are not read: they have to be named.
    own
        The project's own files, which are not reported as skipped if they lie in these folders.
    no_topic
        Labels of tables, as written, that mean none of the topics.

    Raises
    ------
    UserError
        A pattern matches no file, two files have the same name, a table or a metadata.csv next to
        an article cannot be read, keys name columns of a file that is no table, a file is of
        neither kind, or no source contains a paragraph.
    """
    entries = _entries(project, sources)
    own_paths = {file.resolve() for file in own}
    paths, unread, entry_of = _find_sources(project, entries, own_paths)
    _refuse_same_names(paths)
    unread_files = {path: UNNAMED if _is_table(path) else reason for path, reason in unread}
    skipped = [Skipped(project.name(path), 0, "", why) for path, why in unread_files.items()]
    notes = check_sheets(project, [path for path in paths if path.suffix.lower() in SUFFIXES])
    notes += [_table_hint(project.name(path)) for path in filter(_is_table, unread_files)]
    parts = [_read(project, path, no_topic, entry_of.get(path)) for path in paths]
    for part in parts:
        skipped += part.skipped
    filled = [part for part in parts if not part.frame.empty]
    if not filled:
        raise _no_paragraph(entries, skipped)
    return _joined(filled, skipped, notes)


def _find_sources(
    project: Paths, entries: Sequence[Source], own_paths: Collection[Path]
) -> tuple[list[Path], list[tuple[Path, str]], dict[Path, Source]]:
    """The files, (path, reason) of skipped ones but `own_paths`, and table → entry with keys."""
    try:
        paths, unread = find_files([entry.path for entry in entries], SUFFIXES)
        entry_of = _table_entries(entries)
    except UserError as error:
        hints = _table_hints(project, entries, own_paths)
        raise UserError("\n".join([f"prepare.sources: {error}", *hints])) from None
    unread = [(path, reason) for path, reason in unread if path.resolve() not in own_paths]
    return paths, unread, entry_of


def _table_hints(project: Paths, entries: Iterable[Source], own: Collection[Path]) -> list[str]:
    """A hint for each table in the folders of sources, except own files of the project."""
    folders = [Path(entry.path) for entry in entries if os.path.isdir(entry.path)]
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    tables = [path for path in paths if _is_table(path) and path.resolve() not in own]
    return [_table_hint(project.name(path)) for path in tables]


def _no_paragraph(entries: Iterable[Source], skipped: Iterable[Skipped]) -> UserError:
    """The error for sources without a paragraph, which lists the articles that cannot be read."""
    unreadable = [f"{s.article}: {s.reason}" for s in skipped if _reason_kind(s) == UNREADABLE]
    paths = ", ".join(entry.path for entry in entries)
    return UserError("\n".join([f"prepare.sources: there is no paragraph in {paths}", *unreadable]))


def files_of(project: Paths, sources: Sequence[Source | str], *extra: Path) -> list[Path]:
    """The sources' files and `extra` ones, with metadata.csv beside them; sorted, if they exist."""
    patterns = [entry.path for entry in _entries(project, sources)]
    paths = [*find_files(patterns, SUFFIXES)[0], *extra]
    return [path for path in sorted({*paths, *metadata_sheets(paths)}) if path.is_file()]


def digests_of(project: Paths, sources: Sequence[Source | str], *extra: Path) -> dict[str, str]:
    """Path from the root of each file of `files_of` → the SHA-256 of its bytes."""
    return {project.name(path): sha256(path) for path in files_of(project, sources, *extra)}


def summary_of(sources: Sources) -> dict[str, object]:
    """Count `articles`, `paragraphs` (both also of tables), `skipped` and `metadata`.

    `skipped` is reason, without details → number of parts, and `metadata` is field → origin →
    number of articles.
    """
    metadata: dict[str, dict[str, int]] = {}
    for name in sources.metadata.columns[1:]:
        counts = {origin: sources.origins[name, origin] for origin in ORIGINS}
        metadata[name] = {origin: n for origin, n in counts.items() if n}
    return {
        "articles": int(sources.frame["article"].nunique()),
        "paragraphs": len(sources.frame),
        "skipped": _reason_counts(sources.skipped),
        "metadata": metadata,
    }


def describe_reading(
    metadata: Mapping[str, Mapping[str, int]],
    n_articles: int,
    n_boilerplate: int,
    skipped: Collection[Skipped],
) -> Iterator[str]:
    """Yield one line each on metadata, unreadable files, skipped parts and boilerplate, if any.

    `metadata` is field → origin → number of articles, and `skipped` has the unreadable files, too,
    which count in both lines. `n_boilerplate` counts paragraphs. Lines have no full stop.
    """
    if metadata:
        yield f"metadata: {_describe_metadata(metadata, n_articles)}"
    if unreadable := [part.article for part in skipped if _reason_kind(part) == UNREADABLE]:
        names = shortened(", ".join(unreadable), 300)
        count = plural(len(unreadable), "file")
        yield f"{count} could not be read (see {Paths().skipped}): {names}"
    if skipped:
        counts = [f"{n} {reason}" for reason, n in _reason_counts(skipped).items()]
        yield f"skipped (see {Paths().skipped}): {', '.join(counts)}"
    if n_boilerplate:
        yield (
            f"boilerplate: {plural(n_boilerplate, 'paragraph')}, not drawn for labels and not "
            "counted in shares (prepare.skip_boilerplate)"
        )


def _reason_counts(skipped: Iterable[Skipped]) -> dict[str, int]:
    """Reason without its details → number of parts that were skipped for it, sorted."""
    return dict(sorted(Counter(map(_reason_kind, skipped)).items()))


def _reason_kind(part: Skipped) -> str:
    """The reason to skip a part, without details: "unreadable: is empty" → "unreadable"."""
    return part.reason.partition(":")[0]


def _describe_metadata(metadata: Mapping[str, Mapping[str, int]], n_articles: int) -> str:
    """Describe how many articles have each field, and where dates are from, in 300 characters.

    >>> origins = {"date": {"documents": 2, "file names": 1}, "source": {"documents": 3}}
    >>> _describe_metadata(origins, 4)
    'date for 3 of 4 articles (2 from documents, 1 from file names), source for 3'
    """
    parts: list[str] = []
    for name, origins in metadata.items():
        part = f"{name} for {sum(origins.values())}"
        if not parts:
            part += f" of {plural(n_articles, 'article')}"
        if name == DATE:
            counts = ", ".join(f"{n} from {origin}" for origin, n in origins.items())
            part += f" ({counts})"
        parts.append(part)
    return shortened(", ".join(parts), 300)


def _joined(sources: Sequence[Sources], skipped: list[Skipped], notes: Sequence[str]) -> Sources:
    """Concatenate one or more sources; `skipped`, and `notes` and any on dates, replace theirs."""
    frame = pd.concat([source.frame for source in sources], ignore_index=True)
    votes = pd.concat([source.votes for source in sources], ignore_index=True)
    metadata = pd.concat([source.metadata for source in sources], ignore_index=True)
    metadata = metadata[sorted(metadata, key=lambda name: (name != DATE, name))]
    metadata.insert(0, "id", frame["id"])
    origins = sum((source.origins for source in sources), Counter[tuple[str, str]]())
    notes = [*notes, *date_notes(metadata)]
    articles = frozenset[str]().union(*(source.articles for source in sources))
    return Sources(frame, votes, skipped, metadata, origins, notes, articles)


def _entries(project: Paths, sources: Iterable[Source | str]) -> list[Source]:
    """The sources as `Source`, with their paths joined to the project's root."""
    entries = [Source(source) if isinstance(source, str) else source for source in sources]
    if project == Paths():  # paths stay as they are written
        return entries
    return [replace(entry, path=os.path.join(project.root, entry.path)) for entry in entries]


def _table_entries(entries: Sequence[Source]) -> dict[Path, Source]:
    """Path of a table whose entry has keys → the entry; UserError for no table, or two entries."""
    entry_of: dict[Path, Source] = {}
    for entry in (entry for entry in entries if entry != Source(entry.path)):
        for path in find_files([entry.path], SUFFIXES)[0]:
            if path.suffix.lower() not in TABLES:
                raise UserError(
                    f"{printable(path)} is no table ({', '.join(TABLES)}), so it has no columns "
                    "and no labels of its own; leave out all keys but path"
                )
            if path in entry_of:
                raise UserError(f"{printable(path)} is named twice with keys; remove one of them")
            entry_of[path] = entry
    return entry_of


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in TABLES and path.name != METADATA_FILE


def _table_hint(table: str) -> str:
    return (
        f"{table} is a table, which is not read from a folder: name it in "
        "prepare.sources of params.yaml to read it"
    )


def _read(project: Paths, path: Path, no_topic: Sequence[str], source: Source | None) -> Sources:
    """Read an article or a table, by suffix (else a UserError); `source` is its entry with keys."""
    if path.suffix.lower() in SUFFIXES:
        return _read_article(project, path)
    if path.suffix.lower() not in TABLES:
        raise UserError(f"{path}: sources are {', '.join([*SUFFIXES, *TABLES])}")
    frame, votes, fields = read_labelled_table(path, no_topic, source)
    name = project.name(path)
    where = name + votes["where"].str.removeprefix(str(path))
    votes = votes.assign(source=name, where=where)
    counts = {name: frame["article"][fields[name].notna()].nunique() for name in fields}
    origins = Counter({(str(name), IN_TABLE): count for name, count in counts.items()})
    return Sources(frame, votes, [], fields, origins)


def _read_article(project: Paths, path: Path) -> Sources:
    """Read an article; one that cannot be read gives no rows, but a skipped part with a reason."""
    try:
        article = read_file(path)
        frame = frame_of(paragraphs_of(article))
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ").removeprefix(f"{path.stem}: ")
        skipped = [Skipped(project.name(path), 0, "", f"{UNREADABLE}: {reason}")]
        return Sources(frame_of([]), NO_VOTES, skipped, pd.DataFrame(), Counter())
    fields = fields_of(path, article.fields)
    values = {name: field.value for name, field in fields.items()}
    origins = Counter((name, field.origin) for name, field in fields.items())
    metadata = pd.DataFrame(values, index=frame.index, dtype="str")
    articles = frozenset(frame["article"])
    return Sources(frame, NO_VOTES, skipped_of(article), metadata, origins, articles=articles)


def _refuse_same_names(paths: Sequence[Path]) -> None:
    """Raise `UserError` if two files have the same name, whatever their folders and suffixes."""
    names: dict[str, Path] = {}
    for path in paths:
        first_path = names.setdefault(path.stem, path)
        if first_path != path:
            raise UserError(
                f"{path} and {first_path} have the same name, which labels refer to: rename or "
                "remove one of them"
            )


def frame_of(paragraphs: Iterable[Paragraph]) -> pd.DataFrame:
    """Turn paragraphs into rows of the paragraph table (`corpus.table.PARAGRAPHS_SCHEMA`)."""
    constant = {"ordered": True, "before": "", "after": "", "boilerplate": False}
    rows = [vars(paragraph) | constant for paragraph in paragraphs]
    return pd.DataFrame(rows, columns=PARAGRAPHS_SCHEMA.names)
