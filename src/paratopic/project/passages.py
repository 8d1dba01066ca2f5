"""Texts with what stands around them in their article: what models learn from and predict.

How much of it a model reads is for `inference.linear_head`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

# Between headings with no paragraph between them, such as a title and a section's heading.
HEADING_SEPARATOR = " / "
# Number of paragraphs that are read on each side, at most.
REACH = 3


@dataclass(frozen=True)
class Passage:
    """A text with what stands around it. Everything but the text may be missing.

    Parameters
    ----------
    before
        The paragraphs before it in its article, in their order, so that the last one is next to the
        text; or that one alone, as a str. None by default.
    after
        The paragraphs after it, in their order; or the next one alone, as a str. None by default.
    heading, title
        The heading it stands under, and the title of its article; ``""``, the default, for none.

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
    """The paragraphs of one article as passages, each with those around it.

    Parameters
    ----------
    headings
        The heading that each of the paragraphs stands under; none by default.

    Raises
    ------
    ValueError
        There are not as many headings as paragraphs.
    """
    if headings is not None and len(headings) != len(paragraphs):
        raise ValueError(f"{len(headings)} headings for {len(paragraphs)} paragraphs")
    return [
        Passage(
            text,
            paragraphs[max(0, place - REACH) : place],
            paragraphs[place + 1 : place + 1 + REACH],
            headings[place] if headings else "",
            title,
        )
        for place, text in enumerate(paragraphs)
    ]


def table_passages(
    texts: Sequence[str | None],
    articles: Sequence[Hashable],
    places: Sequence[float | None],
    beside: Sequence[Sequence[str]],
    rows: Iterable[int],
) -> list[Passage]:
    """Rows of a table with what stands around them.

    Parameters
    ----------
    texts
        n texts; None for a row that has none, and is nobody's neighbour.
    places
        Place of each row in its article, in any order; None for a row that has no place.
    beside
        Columns `source_settings.CONTEXT_COLUMNS` of the table, (4, n), "" for nothing. Rows without
        a place are next to each other if each gives the text of the other as its neighbour.
    rows
        Numbers of the rows that are asked for, each of which has a text.
    """
    before, after, headings, titles = beside
    previous, following = _next_to(texts, articles, places, before, after)

    def near(row: int, given: Sequence[str], next_rows: Mapping[int, int]) -> list[str]:
        """Texts on one side of a row, the nearest first."""
        nearby: list[str] = []
        at: int | None = row
        while at is not None and len(nearby) < REACH:
            text, at = given[at], next_rows.get(at)
            text = text or (texts[at] if at is not None else None) or ""
            nearby += [text] if text else []
        return nearby

    return [
        Passage(
            texts[row] or "",
            near(row, before, previous)[::-1],
            near(row, after, following),
            section_heading(headings[row], titles[row]),
            titles[row],
        )
        for row in rows
    ]


def _next_to(
    texts: Sequence[str | None],
    articles: Sequence[Hashable],
    places: Sequence[float | None],
    before: Sequence[str],
    after: Sequence[str],
) -> tuple[dict[int, int], dict[int, int]]:
    """Row → the row before it, and row → the row after it; see `table_passages`."""
    ordered: dict[Hashable, list[tuple[float, int]]] = {}
    row_of: dict[tuple[Hashable, str, str], int] = {}
    for row, (text, article, place) in enumerate(zip(texts, articles, places, strict=True)):
        if text is not None and place is not None:
            ordered.setdefault(article, []).append((place, row))
        if text is not None and before[row]:
            row_of[article, text, before[row]] = row
    pairs = [
        (row, other)
        for members in ordered.values()
        for (_, row), (_, other) in pairwise(sorted(members))
    ]
    for row, (text, article, text_after) in enumerate(zip(texts, articles, after, strict=True)):
        given = row_of.get((article, text_after, text)) if text and text_after else None
        pairs += [(row, given)] if given is not None else []
    return {other: row for row, other in pairs}, dict(pairs)


def section_heading(heading: str, title: str) -> str:
    """The heading of a section without the title of its article.

    A title tells what the article is about, not what each of its sections is about.

    >>> section_heading("Talks open / Trade", "Talks open"), section_heading("Venue", "Talks open")
    ('Trade', 'Venue')
    """
    first, _, rest = heading.partition(HEADING_SEPARATOR)
    return rest if title and first == title else heading
