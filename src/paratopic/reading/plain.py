"""Plain text → segments: a paragraph a line, blocks between blank lines, or hard-wrapped text.

White space is all that is ever changed. What this module does *not* do: it knows no Markdown but
`#` headings, does not see paragraphs that indentation alone marks, does not mend hyphenation,
corrects and normalises nothing, and knows nothing about topics.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from paratopic.reading.article import MARKDOWN, Segment
from paratopic.reading.structure import BULLET, CLOSERS, classify, clean_line, speaks, title_case

WRAP_WIDTHS = range(40, 121)  # with a longest line outside these, lines are not taken for wrapped
_SENTENCE_END = re.compile(rf"[.!?…:;。！？]{CLOSERS}")


def segments(text: str) -> list[Segment]:
    """Cut a text into headings, body paragraphs and what is neither, in order.

    Nothing is lost, added or moved, save that white space becomes single spaces and that zero-width
    spaces, word joiners, byte order marks and soft hyphens are dropped. A Markdown heading keeps
    its marks.

    Examples
    --------
    >>> [(s.kind, s.text) for s in segments("Trade and Tariffs\\nTalks went on.\\n")]
    [('heading', 'Trade and Tariffs'), ('body', 'Talks went on.')]
    """
    return classify([Segment("body", block) for block in _blocks(text)])


def _blocks(text: str) -> list[str]:
    """Join the lines that wrapping has broken: 'The talks\\ngo on.\\n\\nNo end.' → two blocks."""
    lines = [clean_line(line) for line in text.splitlines()]
    joins = _wrap_rule(lines)
    blocks: list[str] = []
    for line, following in pairwise(["", *lines]):
        if line and following and joins(line, following):
            hyphenated = re.search(r"\w-$", line) and re.match(r"(?!and |or |to )\w", following)
            blocks[-1] += following if hyphenated else f" {following}"
        elif following:
            blocks.append(following)
    return blocks


def _wrap_rule(lines: list[str]) -> Callable[[str, str], bool]:
    """Say of two neighbouring lines whether they are one paragraph's.

    How far a line would have *reached* with the next line's first word on it tells whether the
    break had to be: beyond the longest line, it had to. A document is wrapped when a third of its
    breaks or more fall inside a sentence: before a small letter, or where they had to be and no
    sentence ends. The rest may be the ends of short paragraphs.
    """
    breaks = [pair for pair in pairwise(lines) if all(pair)]
    # A word that is longer than the line, a URL say, tells nothing about the width.
    width = max((len(line) for line in lines if " " in line), default=0)

    def reach(line: str, following: str) -> int:
        return len(line) + 1 + len(following.split(" ", 1)[0])

    def open_ended(line: str) -> bool:
        return not (_SENTENCE_END.search(line) or title_case(line))

    def runs_on(following: str) -> bool:
        return following[0].islower() and not BULLET.match(following)

    inside = sum(
        runs_on(following) or (reach(line, following) > width and open_ended(line))
        for line, following in breaks
    )
    if width not in WRAP_WIDTHS or 3 * inside < len(breaks):
        return lambda line, following: False
    # Most programs fill each line as far as it goes; some, and people, break earlier. So the
    # shortest reach of the breaks that are surely wraps is this document's measure. Lines not half
    # full, and one break in fifty, are left out: a paragraph that starts small must not set it.
    sure = sorted(
        reach(line, following)
        for line, following in breaks
        if runs_on(following) and 2 * len(line) >= width
    )
    limit = min([width + 1, *sure[len(sure) // 50 :]])

    def joins(line: str, following: str) -> bool:
        if MARKDOWN.match(line) or MARKDOWN.match(following):
            return False
        if speaks(following) and not open_ended(line):
            return False
        return runs_on(following) or reach(line, following) >= limit

    return joins
