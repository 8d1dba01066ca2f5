"""Articles: their segments, and the paragraphs and skipped parts that segments become."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from typing import Literal, NamedTuple

from paratopic.project.errors import UserError
from paratopic.project.passages import HEADING_SEPARATOR, Passage, article_passages, section_heading

# The mark that begins a Markdown heading: "## ".
HEADING_MARK = re.compile(r"#{1,6} (?=\S)")
# Maximum size of an article. A heading counts once for each of its paragraphs.
MOST_CHARACTERS = 10_000_000


class Segment(NamedTuple):
    """A piece of an article: a heading, a body paragraph, or skipped text, which is neither.

    `text` is on one line, and keeps the mark of a Markdown heading. `reason` is the reason to skip
    it; "" for headings and body paragraphs.
    """

    kind: Literal["heading", "body", "skipped"]
    text: str
    reason: str = ""


@dataclass(frozen=True)
class Article:
    """An article: its segments in order, and the metadata of its document, as written there."""

    name: str
    segments: tuple[Segment, ...]
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Paragraph:
    """A body paragraph of an article.

    `heading` is the heading above it, "" above the first one. Headings with no paragraph between
    them are joined: "Key Issues / Trade and Tariffs". `position` is the index among the paragraphs
    of its article, from 0. `title` is the first heading above all paragraphs, "" for none.
    """

    id: str
    article: str
    heading: str
    position: int
    text: str
    title: str = ""


@dataclass(frozen=True)
class Skipped:
    """Text of a source that does not become a paragraph.

    `article` is the name of its article or, for a file that is skipped as a whole, the file's path;
    `text` is "" then. `position` is that of the next paragraph.
    """

    article: str
    position: int
    text: str
    reason: str


def check_size(size: int, limit: int, unit: str, source: str) -> None:
    """Raise a `UserError` if an article has more than `limit` of a unit, such as "bytes"."""
    if size > limit:
        raise UserError(f"{source}: has more than {limit:,} {unit}. Divide it into several files.")


def paragraphs_of(article: Article) -> list[Paragraph]:
    """List the body paragraphs of an article in order, with their headings and the title.

    Ids are from `paragraph_id`; if a text recurs, its second id ends in "-2", the third in "-3". A
    `UserError` reports that there is no body paragraph, or that the paragraphs together, each with
    its heading, are longer than `MOST_CHARACTERS`.
    """
    name, bodies = article.name, list(_bodies(article.segments))
    size = sum(len(heading) + len(text) for heading, text in bodies)
    check_size(size, MOST_CHARACTERS, "characters, headings counted repeatedly", name)
    if not bodies:
        first = article.segments[0] if article.segments else None
        content = f'no paragraph but "{first.text}" ({first.reason})' if first else "no text"
        raise UserError(f"{name}: holds {content}. Give an article with at least one paragraph.")
    ids = number_repeats(paragraph_id(name, text) for _, text in bodies)
    title = bodies[0][0].partition(HEADING_SEPARATOR)[0]
    return [
        Paragraph(id_, name, heading, position, text, title)
        for position, (id_, (heading, text)) in enumerate(zip(ids, bodies, strict=True))
    ]


def passages_of(paragraphs: Sequence[Paragraph]) -> list[Passage]:
    """The paragraphs of one article, each with its context."""
    headings = [section_heading(row.heading, row.title) for row in paragraphs]
    texts = [row.text for row in paragraphs]
    return article_passages(texts, headings, paragraphs[0].title if paragraphs else "")


def skipped_of(article: Article) -> list[Skipped]:
    """List the skipped segments of an article, in order."""
    positions = accumulate((segment.kind == "body" for segment in article.segments), initial=0)
    return [
        Skipped(article.name, position, segment.text, segment.reason)
        for position, segment in zip(positions, article.segments, strict=False)
        if segment.kind == "skipped"
    ]


def paragraph_id(article_name: str, text: str) -> str:
    """Derive a paragraph's id from its text, so that edits elsewhere in its article keep the id.

    >>> paragraph_id("madrid", "Talks went on.")
    'madrid:5db912d5a3'
    """
    digest = hashlib.sha256(unicodedata.normalize("NFC", text).encode())
    return f"{article_name}:{digest.hexdigest()[:10]}"


def number_repeats(ids: Iterable[str]) -> list[str]:
    """Append a number to repeated ids, so that each id occurs once.

    >>> number_repeats(["a", "b", "a", "a"])
    ['a', 'b', 'a-2', 'a-3']
    """
    counts: Counter[str] = Counter()
    numbered = []
    for id_ in ids:
        counts[id_] += 1
        numbered.append(id_ if counts[id_] == 1 else f"{id_}-{counts[id_]}")
    return numbered


def merge_skipped(segments: Iterable[Segment], separate: str = "") -> list[Segment]:
    """Merge neighbouring skipped segments of the same reason, except those of reason `separate`.

    >>> links = [Segment("skipped", name, "navigation") for name in ("Home", "World")]
    >>> merge_skipped(links)
    [Segment(kind='skipped', text='Home | World', reason='navigation')]
    """
    merged: list[Segment] = []
    for (kind, reason), group in groupby(segments, lambda segment: (segment.kind, segment.reason)):
        if kind == "skipped" and reason != separate:
            text = " | ".join(segment.text for segment in group)
            merged.append(Segment("skipped", text, reason))
        else:
            merged += group
    return merged


def _bodies(segments: Iterable[Segment]) -> Iterator[tuple[str, str]]:
    """Yield (heading, text) of each body segment; the heading is the last one above it, or "".

    Headings without a body between them are joined by `HEADING_SEPARATOR` and lose Markdown marks.
    """
    heading = ""
    pending: list[str] = []  # headings since the last body
    for segment in segments:
        if segment.kind == "heading":
            pending.append(HEADING_MARK.sub("", segment.text, count=1))
        elif segment.kind == "body":
            heading = HEADING_SEPARATOR.join(pending) or heading
            pending.clear()
            yield heading, segment.text
