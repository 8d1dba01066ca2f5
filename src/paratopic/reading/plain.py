"""Plain text → segments: one paragraph a line, paragraphs between blank lines, or wrapped text.

Only white space is changed. This module knows no Markdown but `#` headings, does not see
paragraphs that only an indent sets apart, does not mend words broken at a hyphen, and corrects
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from paratopic.reading.article import HEADING_MARK, Segment
from paratopic.reading.structure import BULLET, CLOSERS, clean_line, is_speech, is_title_case

# Text whose longest line is shorter or longer than these widths is not wrapped.
WRAP_WIDTHS = range(40, 121)

_SENTENCE_END = re.compile(rf"[.!?…:;。！？]{CLOSERS}")


def plain_segments(text: str) -> list[Segment]:
    """Cut a text into segments, all of kind "body"; `structure.classify` finds the headings.

    No character is lost, added or moved, except that white space becomes single spaces, and that
    zero-width spaces, word joiners, byte order marks and soft hyphens are dropped.

    Examples
    --------
    >>> [segment.text for segment in plain_segments("Trade\\n\\nTalks\\twent on.\\n")]
    ['Trade', 'Talks went on.']
    """
    lines = [clean_line(line) for line in text.splitlines()]
    wrapping = _Wrapping(lines)
    texts: list[list[str]] = []
    for line, following in pairwise(["", *lines]):
        if line and following and wrapping.joins(line, following):
            # 'long-' and 'term' are one word, but 'short-' and 'and a long one' are not.
            hyphenated = re.search(r"\w-$", line) and re.match(r"(?!and |or |to )\w", following)
            texts[-1] += [following] if hyphenated else [" ", following]
        elif following:
            texts.append([following])
    return [Segment("body", "".join(pieces)) for pieces in texts]


class _Wrapping:
    """How the lines of a document are wrapped, if they are.

    A line's *reach* is the length it would have with the first word of the next line. Where it
    exceeds the longest line, the line had to be broken. A document is wrapped when a third of its
    line breaks or more fall inside a sentence: before a small letter, or where a line had to be
    broken and no sentence ends. The other breaks may be the ends of short paragraphs.

    Parameters
    ----------
    lines
        All lines of the document, cleaned; "" for a blank one.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        breaks = [pair for pair in pairwise(lines) if all(pair)]
        # A single word that is longer than the line, such as a URL, says nothing about the width.
        width = max((len(line) for line in lines if " " in line), default=0)
        inside = sum(
            _continues(following) or (_reach(line, following) > width and _is_open(line))
            for line, following in breaks
        )
        self._wrapped = width in WRAP_WIDTHS and 3 * inside >= len(breaks)
        # Most programs fill each line as far as it goes; some, and people, break it earlier. So a
        # line was wrapped if it reaches as far as the shortest line that surely was. Lines less
        # than half full do not count, nor does one break in fifty: a paragraph that starts with a
        # small letter must not set the limit.
        sure = sorted(
            _reach(line, following)
            for line, following in breaks
            if _continues(following) and 2 * len(line) >= width
        )
        self._limit = min([width + 1, *sure[len(sure) // 50 :]])

    def joins(self, line: str, following: str) -> bool:
        """Whether two neighbouring lines belong to the same paragraph."""
        if not self._wrapped or HEADING_MARK.match(line) or HEADING_MARK.match(following):
            return False
        if is_speech(following) and not _is_open(line):
            return False
        return _continues(following) or _reach(line, following) >= self._limit


def _reach(line: str, following: str) -> int:
    return len(line) + 1 + len(following.split(" ", 1)[0])


def _is_open(line: str) -> bool:
    """Whether a line ends inside a sentence."""
    return not (_SENTENCE_END.search(line) or is_title_case(line))


def _continues(following: str) -> bool:
    """Whether a line begins inside a sentence."""
    return following[0].islower() and not BULLET.match(following)
