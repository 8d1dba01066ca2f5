"""An article: its segments, and the paragraphs and skipped parts that they make.

Nothing here knows a file format; `files` picks the reader of a file.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from paratopic.corpus.table import SCHEMA
from paratopic.project.errors import UserError

MARKDOWN = re.compile(r"#{1,6} (?=\S)")


@dataclass(frozen=True)
class Segment:
    """A heading, a body paragraph or what is neither, and why, on one line."""

    kind: Literal["heading", "body", "skipped"]
    text: str
    reason: str = ""


@dataclass(frozen=True)
class Article:
    """The name an article goes by, its file's stem, and its segments in order."""

    name: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Paragraph:
    """A body paragraph; `heading` is "" above the first heading, `position` counts from 0."""

    id: str
    article: str
    heading: str
    position: int
    text: str


@dataclass(frozen=True)
class Skipped:
    """What is no paragraph of an article; `position` is that of the paragraph it stood before."""

    article: str
    position: int
    text: str
    reason: str


def paragraphs_of(article: Article) -> list[Paragraph]:
    """Cut an article into its body paragraphs.

    Headings with no body between them are joined: 'Key Issues / Trade and Tariffs'. Of paragraphs
    that are the same, the second one's id ends in '-2', the third one's in '-3'.

    Raises
    ------
    UserError
        When the article holds no text, or none that is a paragraph.
    """
    headings: list[str] = []
    paragraphs: list[Paragraph] = []
    seen: Counter[str] = Counter()
    after_body = False
    for segment in article.segments:
        if segment.kind == "skipped":
            continue
        if segment.kind == "heading":
            headings = [*([] if after_body else headings), MARKDOWN.sub("", segment.text, count=1)]
        else:
            id_ = paragraph_id(article.name, segment.text)
            seen[id_] += 1
            unique = id_ if seen[id_] == 1 else f"{id_}-{seen[id_]}"
            heading = " / ".join(headings)
            paragraphs.append(
                Paragraph(unique, article.name, heading, len(paragraphs), segment.text)
            )
        after_body = segment.kind == "body"
    if not paragraphs:
        what = "no text"
        for segment in article.segments[:1]:
            what = f'no paragraph but "{segment.text}" ({segment.reason})'
        raise UserError(
            f"{article.name}: holds {what}. Give an article with at least one paragraph."
        )
    return paragraphs


def skipped_of(article: Article) -> list[Skipped]:
    """What `paragraphs_of` leaves out of an article, in order; nothing else is left out."""
    skipped: list[Skipped] = []
    position = 0
    for segment in article.segments:
        if segment.kind == "skipped":
            skipped.append(Skipped(article.name, position, segment.text, segment.reason))
        position += segment.kind == "body"
    return skipped


def paragraph_id(article_name: str, text: str) -> str:
    """Name a paragraph by what it says, so that edits elsewhere in the article leave it its labels.

    Examples
    --------
    >>> paragraph_id("madrid", "Talks went on.")
    'madrid:5db912d5a3'
    """
    digest = hashlib.sha256(unicodedata.normalize("NFC", text).encode())
    return f"{article_name}:{digest.hexdigest()[:10]}"


def frame_of(paragraphs: Iterable[Paragraph]) -> pd.DataFrame:
    """Unlabelled rows of the paragraph table."""
    rows = [
        {
            "id": p.id,
            "article": p.article,
            "heading": p.heading,
            "position": p.position,
            "text": p.text,
            "topics": None,
            "label_source": "none",
        }
        for p in paragraphs
    ]
    return pd.DataFrame(rows, columns=SCHEMA.names)
