"""Blocks of text → segments: which are headings, which paragraphs, and what is neither.

The same rules for every format. What this module does *not* do: it sees no layout and no markup;
readers say what they are sure of, which stays as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from paratopic.project.files import INVISIBLE
from paratopic.reading.article import MARKDOWN, Segment
from paratopic.reading.boilerplate import reasons

HEADING_WORDS = 12
TITLE_WORDS = 40  # the first block may be a title, and those of executive orders run to 35 words

BULLET = re.compile(r"(?:[-*+•‣◦▪·–—]|\(?(?:\d{1,3}|[a-z]|[ivx]+)[.)]|\([A-Z]\)) ")
CLOSERS = r"[\"'’”»)\]*_]*(?:\[\d+\])*$"  # what may follow a full stop: quotes, a wiki's '[3]'
_QUESTION = re.compile(r"[QA]:|Q[.—–]|Q (?!&)")  # 'Q Do you…', 'Q: Do…', 'Q—and…', but not 'Q & A'
_BODY_END = re.compile(rf"[.!…,;—–。！，；-]{CLOSERS}")  # a speaker cut off ('I think —') included
_TITLE_CASE_END = re.compile(r"(?:[?:]|\b[A-Z]\.[A-Z]\.)$")  # '…: Why Spain?', 'Risks for the U.S.'


def classify(blocks: Sequence[Segment]) -> list[Segment]:
    """Tell headings, body paragraphs and what is neither from each other.

    A heading with no body below it becomes body.

    Parameters
    ----------
    blocks
        An article's blocks in order, as its reader has them: "heading" and "skipped" where the
        format says so, which stay what they are; "body" where it does not.

    Examples
    --------
    >>> [s.kind for s in classify([Segment("body", "Trade"), Segment("body", "Talks went on.")])]
    ['heading', 'body']
    """
    blocks = [Segment(b.kind, text, b.reason) for b in blocks if (text := clean_line(b.text))]
    rest = [number for number, block in enumerate(blocks) if block.kind != "skipped"]
    marked = {place for place, number in enumerate(rest) if blocks[number].kind == "heading"}
    whys = dict(zip(rest, reasons([blocks[n].text for n in rest], marked), strict=True))
    kept = [number for number, why in whys.items() if not why]
    is_heading = _heading_rule([blocks[n].text for n in kept if blocks[n].kind == "body"])
    segments: list[Segment] = []
    above_body = False  # from the end, so that a 'heading' with no body below it is kept as body
    for number, block in reversed(list(enumerate(blocks))):
        if block.kind == "skipped" or whys[number]:
            segments.append(Segment("skipped", block.text, block.reason or whys[number]))
            continue
        heading = block.kind == "heading" or is_heading(block.text, number == kept[0])
        segments.append(Segment("heading" if heading and above_body else "body", block.text))
        above_body = above_body or not heading
    return segments[::-1]


def clean_line(line: str) -> str:
    """'\\xa0Trade\\u2009 and\\u200b tariffs' → 'Trade and tariffs'."""
    return " ".join(line.translate(INVISIBLE).split())


def _heading_rule(blocks: list[str]) -> Callable[[str, bool], bool]:
    """Say of a block, and whether it is the first, whether it is a heading."""
    labels = Counter(block.partition(":")[0] for block in blocks if ":" in block)

    def utterance(block: str) -> bool:
        # 'President Trump: Yes' looks like 'Trade Talks: Why Spain'; only the speaker comes again.
        return speaks(block) or (":" in block and labels[block.partition(":")[0]] > 2)

    # There, a short line without a full stop is more often speech than the heading of a section.
    transcript = sum(map(utterance, blocks)) > 2

    def is_heading(block: str, first: bool) -> bool:
        if MARKDOWN.match(block):
            return True
        if (
            len(block.split()) > (TITLE_WORDS if first else HEADING_WORDS)
            or not re.search(r"[^\W\d_]", block)
            or block[0].islower()
            or BULLET.match(block)
            or utterance(block)
        ):
            return False
        if _TITLE_CASE_END.search(block):
            return not transcript and title_case(block)
        return not _BODY_END.search(block) and (not transcript or title_case(block))

    return is_heading


def speaks(block: str) -> bool:
    """'Q Do you think so', 'THE PRESIDENT: Yes' → True; 'COVID-19: What We Know' → False."""
    label, colon, _ = block.partition(":")
    called = bool(colon) and label.isupper() and " " in label and not block.isupper()
    return called or bool(_QUESTION.match(block))


def title_case(text: str) -> bool:
    """'The Madrid Context: Why Spain?' → True; 'The talks in Madrid' → False."""
    words = re.findall(r"[^\W\d_][\w'’-]*", text)
    small = [word for word in words if word[0].islower()]
    return (
        len(words) > 1
        and not words[0][0].islower()
        and 2 * len(small) <= len(words)
        and all(len(word) < 5 for word in small)  # 'of', 'and', 'from'
    )
