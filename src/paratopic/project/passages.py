"""Passages: texts with their contexts, from which models are trained and for which they predict."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

# Separates headings without a paragraph between them, such as a title and a section's heading.
HEADING_SEPARATOR = " / "
# Largest number of paragraphs that are read on each side of a text.
N_NEIGHBOURS = 3


@dataclass(frozen=True)
class Passage:
    """A text with its context. All parts of the context are optional.

    Parameters
    ----------
    before, after
        The paragraphs before and after the text in its article, in their order, so that the last
        one of `before` and the first one of `after` are next to it; or only that one, as a str.
        Default: none.
    heading, title
        The heading above the text, and the title of its article. Default: ``""``, none.

    Raises
    ------
    TypeError
        A part is not a str, or not a sequence of str.
    """

    text: str
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    heading: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        for name in ("text", "before", "after", "heading", "title"):
            value, is_side = getattr(self, name), name in ("before", "after")
            if is_side and not isinstance(value, Iterable):
                raise TypeError(f"{name} is {type(value).__name__}, not a sequence of str")
            texts = tuple(value) if is_side and not isinstance(value, str) else (value,)
            for text in texts:
                if not isinstance(text, str):
                    raise TypeError(f"{name} is {type(text).__name__}, not str")
            if is_side:
                object.__setattr__(self, name, texts)


def article_passages(
    paragraphs: Sequence[str], headings: Sequence[str] | None = None, title: str = ""
) -> list[Passage]:
    """Convert the n paragraphs of an article to passages with up to `N_NEIGHBOURS` on each side.

    There are n `headings`, one above each paragraph, "" for none, or by default no headings;
    another number is a ValueError. `title` is that of the article, "" for none.
    """
    if headings is not None and len(headings) != len(paragraphs):
        raise ValueError(f"{len(headings)} headings for {len(paragraphs)} paragraphs")
    return [
        Passage(
            text,
            paragraphs[max(0, place - N_NEIGHBOURS) : place],
            paragraphs[place + 1 : place + 1 + N_NEIGHBOURS],
            headings[place] if headings else "",
            title,
        )
        for place, text in enumerate(paragraphs)
    ]


def table_passages(
    texts: Sequence[str | None],
    articles: Sequence[Hashable],
    places: Sequence[float | None],
    context: Sequence[Sequence[str]],
    rows: Iterable[int],
) -> list[Passage]:
    """Convert the given rows of a table to passages with up to `N_NEIGHBOURS` on each side.

    A neighbour is a cell of `context` or, if that is empty, the text of the neighbouring row. A
    heading loses the title of its row (see `section_heading`).

    Parameters
    ----------
    texts
        n texts; None for a row without a text, which is no neighbour.
    articles
        Article of each of the n rows.
    places
        Place of each of the n rows in its article, in any order; None for a row without a place.
    context
        Columns `source_settings.CONTEXT_COLUMNS` of the table, (4, n), "" for empty cells. Rows
        without a place are neighbours if each one has the text of the other in these columns.
    rows
        Numbers of the rows to convert, each of which has a text.
    """
    before, after, headings, titles = context
    previous, following = _neighbour_rows(texts, articles, places, before, after)

    def neighbours(row: int, column: Sequence[str], next_rows: Mapping[int, int]) -> list[str]:
        """Up to `N_NEIGHBOURS` texts on one side of a row, none empty, the closest first."""
        result: list[str] = []
        current: int | None = row
        while current is not None and len(result) < N_NEIGHBOURS:
            text, current = column[current], next_rows.get(current)
            text = text or (texts[current] if current is not None else None) or ""
            result += [text] if text else []
        return result

    return [
        Passage(
            texts[row] or "",
            neighbours(row, before, previous)[::-1],
            neighbours(row, after, following),
            section_heading(headings[row], titles[row]),
            titles[row],
        )
        for row in rows
    ]


def _neighbour_rows(
    texts: Sequence[str | None],
    articles: Sequence[Hashable],
    places: Sequence[float | None],
    before: Sequence[str],
    after: Sequence[str],
) -> tuple[dict[int, int], dict[int, int]]:
    """Row → the row before it in its article, and row → the row after it, each if there is one.

    Rows with texts are neighbours by the order of their `places`, or if each has the text of the
    other as its own `before` or `after`.
    """
    ordered: dict[Hashable, list[tuple[float, int]]] = {}
    row_of: dict[tuple[Hashable, str, str], int] = {}
    for row, (text, article, place) in enumerate(zip(texts, articles, places, strict=True)):
        if text is not None and place is not None:
            ordered.setdefault(article, []).append((place, row))
        if text is not None and before[row]:
            row_of[article, text, before[row]] = row
    pairs: list[tuple[int, int]] = []
    for members in ordered.values():
        pairs += pairwise(row for _, row in sorted(members))
    for row, (text, article, text_after) in enumerate(zip(texts, articles, after, strict=True)):
        if text and text_after and (article, text_after, text) in row_of:
            pairs.append((row, row_of[article, text_after, text]))
    return {other: row for row, other in pairs}, dict(pairs)


def section_heading(heading: str, title: str) -> str:
    """Remove the title of an article, which does not describe a section, from a section's heading.

    >>> section_heading("Talks open / Trade", "Talks open"), section_heading("Venue", "Talks open")
    ('Trade', 'Venue')
    """
    first, _, rest = heading.partition(HEADING_SEPARATOR)
    return rest if title and first == title else heading
