"""Cut plain text into segments, and classify segments as headings, paragraphs or page furniture.

This module uses only words and line breaks, and `#` as the only markup. Paragraphs that begin only
with an indent are not found, words broken at a hyphen are not joined, nor are errors corrected.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import compress, pairwise

from paratopic.project.scripts import QUESTIONS, STOPS, n_words
from paratopic.reading.article import HEADING_MARK, Segment
from paratopic.reading.cells import clean_line
from paratopic.reading.furniture import reasons

_BULLET = re.compile(r"(?:[-*+•‣◦▪·–—]|\(?(?:\d{1,3}|[a-z]|[ivx]+)[.)]|\([A-Z]\)) ")
# Signs after a full stop: quotes of several languages, after a blank in French; a wiki's '[3]'.
_CLOSERS = r"(?: ?[»«])?[\"'’”“‘»«」』》）)\]*_]*(?:\[\d+\])*$"
HEADING_WORDS = 12
TITLE_WORDS = 40  # the first segment may be a title; titles of executive orders have up to 35 words

_QUESTION = re.compile(r"[QA]:|Q[.—–]|Q (?!&)")  # 'Q Do you…', 'Q: Do…', 'Q—and…', but not 'Q & A'
# The end of a paragraph: also a dash ('I think —'), and commas of Arabic and Ethiopic.
_BODY_END = re.compile(rf"[.!…,;—–，；\u060c\u061b\u1363\u1364{STOPS}-]{_CLOSERS}")
_TITLE_CASE_END = re.compile(r"(?:[?:]|\b[A-Z]\.[A-Z]\.)$")  # '…: Why Spain?', 'Risks for the U.S.'
_LETTER = re.compile(r"[^\W\d_]")

# The rest of a word after a hyphen at the end of a line; not 'and a long one'.
_SECOND_HALF = re.compile(r"(?!(?:and|or|to|und|oder|bis|et|ou|y) )\w")

# Text whose longest line is shorter or longer than these widths is not wrapped.
WRAP_WIDTHS = range(40, 121)
_SENTENCE_END = re.compile(rf"[.!?…:;{STOPS}{QUESTIONS}]{_CLOSERS}")


def plain_segments(text: str) -> list[Segment]:
    """Cut a text into segments, all of kind "body"; `classify` finds the headings.

    A segment is a line or, in wrapped text, the lines of a paragraph (`_paragraph_test`). White
    space becomes single spaces; blank lines, invisible and control characters are left out.

    >>> [segment.text for segment in plain_segments("Trade\\n\\nTalks\\twent on.\\n")]
    ['Trade', 'Talks went on.']
    """
    lines = [clean_line(line) for line in text.splitlines()]
    joins = _paragraph_test(lines)
    texts: list[list[str]] = []
    for line, below in pairwise(["", *lines]):
        if line and below and joins(line, below):
            # 'long-' and 'term' are one word, but 'short-' and 'and a long one' are not.
            hyphenated = re.search(r"\w-$", line) and _SECOND_HALF.match(below)
            texts[-1] += [below] if hyphenated else [" ", below]
        elif below:
            texts.append([below])
    return [Segment("body", "".join(pieces)) for pieces in texts]


def classify(segments: Sequence[Segment]) -> list[Segment]:
    """Decide which segments of an article are headings, body paragraphs and page furniture.

    The format marks "heading" and "skipped" segments as such; "body" segments may be anything.
    Texts are cleaned, and blank ones are dropped. Page furniture is skipped, even with a heading's
    mark. A heading without a body paragraph anywhere below it becomes a body paragraph.

    >>> segments = classify([Segment("body", "Trade"), Segment("body", "Talks went on.")])
    >>> [segment.kind for segment in segments]
    ['heading', 'body']
    """
    cleaned = [segment._replace(text=clean_line(segment.text)) for segment in segments]
    marked = _with_furniture([segment for segment in cleaned if segment.text])
    kept = [number for number, segment in enumerate(marked) if segment.kind != "skipped"]
    headings = set(compress(kept, _are_headings([marked[number] for number in kept])))
    last_body = max((number for number in kept if number not in headings), default=-1)
    for number in kept:
        is_heading = number in headings and number < last_body
        marked[number] = marked[number]._replace(kind="heading" if is_heading else "body")
    return marked


def _with_furniture(segments: Sequence[Segment]) -> list[Segment]:
    """A copy of an article's cleaned segments in which page furniture is skipped, too."""
    marked = list(segments)
    kept = [number for number, segment in enumerate(segments) if segment.kind != "skipped"]
    headings = {place for place, number in enumerate(kept) if segments[number].kind == "heading"}
    furniture = reasons([segments[number].text for number in kept], headings)
    for number, reason in zip(kept, furniture, strict=True):
        if reason:
            marked[number] = marked[number]._replace(kind="skipped", reason=reason)
    return marked


def is_speech(text: str) -> bool:
    """Whether a text begins with a speaker in capitals and a colon, or with a "Q" or "A:".

    >>> is_speech("Q Do you think so"), is_speech("THE PRESIDENT: Yes")
    (True, True)
    >>> is_speech("COVID-19: What We Know")
    False
    """
    label, colon, _ = text.partition(":")
    speaker = bool(colon) and label.isupper() and " " in label and not text.isupper()
    return speaker or bool(_QUESTION.match(text))


def is_title_case(text: str) -> bool:
    """Whether all words but a few short ones, such as "of", begin with a capital.

    >>> is_title_case("The Madrid Context: Why Spain?"), is_title_case("The talks in Madrid")
    (True, False)
    """
    words = re.findall(r"[^\W\d_][\w'’-]*", text)
    small = [word for word in words if word[0].islower()]
    if len(words) < 2 or words[0][0].islower() or 2 * len(small) > len(words):
        return False
    return all(len(word) < 5 for word in small)  # 'of', 'and', 'from'


def _are_headings(segments: Sequence[Segment]) -> list[bool]:
    """Whether each segment is a heading, by its kind, its Markdown mark or its text.

    `segments` are those of an article that are not skipped. An utterance is none by its text: it is
    one of `is_speech`, or begins with the same words and colon as at least two others.
    """
    texts = [segment.text for segment in segments if segment.kind == "body"]
    labels = Counter(text.partition(":")[0] for text in texts if ":" in text)

    def is_utterance(text: str) -> bool:
        # 'President Trump: Yes' looks like 'Trade Talks: Why Spain', but a speaker's name recurs.
        return is_speech(text) or (":" in text and labels[text.partition(":")[0]] > 2)

    is_transcript = sum(map(is_utterance, texts)) > 2

    def is_heading(number: int, segment: Segment) -> bool:
        if segment.kind == "heading" or HEADING_MARK.match(segment.text):
            return True
        if is_utterance(segment.text):
            return False
        most_words = HEADING_WORDS if number else TITLE_WORDS
        return _is_heading_text(segment.text, most_words, is_transcript)

    return [is_heading(number, segment) for number, segment in enumerate(segments)]


def _is_heading_text(text: str, most_words: int, is_transcript: bool) -> bool:
    """Whether a text is a heading: at most `most_words`, and no small letter at the beginning.

    It has a letter, no bullet, and no end of a sentence or clause. It may end in "?", ":" or "U.S."
    only in title case and outside of transcripts, where all headings need title case.
    """
    if n_words(text) > most_words or text[0].islower():
        return False
    if _BULLET.match(text) or not _LETTER.search(text):
        return False
    if _TITLE_CASE_END.search(text):
        return not is_transcript and is_title_case(text)
    return not _BODY_END.search(text) and (not is_transcript or is_title_case(text))


def _paragraph_test(lines: Sequence[str]) -> Callable[[str, str], bool]:
    """Return a function that says whether two neighbouring lines belong to the same paragraph.

    The *reach* of a line is the length that it would have with the first word of the next line.
    A line had to be broken if its reach exceeds the longest line. A document is wrapped if that one
    has a length in `WRAP_WIDTHS` and a third or more of the breaks between filled lines lie inside
    a sentence: before a small letter, or after a line that had to be broken and ends no sentence.
    In a wrapped document, the next line continues the paragraph if it begins with a small letter or
    if the reach is at least `_least_reach`, but not if one of the two is a Markdown heading, nor if
    the next one is a speaker's after a sentence. The function needs two filled lines.
    """
    breaks = [pair for pair in pairwise(lines) if all(pair)]
    # A single word that is longer than the line, such as a URL, does not show the width.
    width = max((len(line) for line in lines if " " in line), default=0)
    inside = sum(
        _continues(below) or (_reach(line, below) > width and _is_open(line))
        for line, below in breaks
    )
    is_wrapped = width in WRAP_WIDTHS and 3 * inside >= len(breaks)
    limit = _least_reach(breaks, width)

    def joins(line: str, below: str) -> bool:
        if not is_wrapped or HEADING_MARK.match(line) or HEADING_MARK.match(below):
            return False
        if is_speech(below) and not _is_open(line):
            return False
        return _continues(below) or _reach(line, below) >= limit

    return joins


def _least_reach(breaks: Sequence[tuple[str, str]], width: int) -> int:
    """The least reach of a wrapped line: some programs, like people, do not fill each line.

    It is the least reach of the lines before a small letter. Lines that are less than half full do
    not count, nor the smallest 2 % of the reaches: a paragraph may begin with a small letter.
    """
    filled = [(line, below) for line, below in breaks if 2 * len(line) >= width]
    reaches = sorted(_reach(line, below) for line, below in filled if _continues(below))
    return min([width + 1, *reaches[len(reaches) // 50 :]])


def _reach(line: str, below: str) -> int:
    return len(line) + 1 + len(below.split(" ", 1)[0])


def _is_open(line: str) -> bool:
    """Whether a line ends inside a sentence."""
    has_capitals = line != line.lower()  # without capitals, any line would look like a title
    return not (_SENTENCE_END.search(line) or (has_capitals and is_title_case(line)))


def _continues(below: str) -> bool:
    """Whether a line begins inside a sentence."""
    return below[0].islower() and not _BULLET.match(below)
