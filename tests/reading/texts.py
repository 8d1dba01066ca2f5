"""Segments of plain texts in a form that is easy to compare, and strategies that draw texts."""

from __future__ import annotations

import re
import textwrap

from hypothesis import strategies as st

from paratopic.reading.article import Segment
from paratopic.reading.structure import classify, plain_segments
from tests.samples import BODIES, DOCUMENT

LINES = [text for _, text in DOCUMENT]

sentences = st.sampled_from(BODIES).flatmap(
    lambda body: st.integers(3, 20).map(lambda n: " ".join(body.split()[:n]).strip(",.;") + ".")
)
_lines = st.one_of(
    sentences,
    st.sampled_from(["Trade and Tariffs", "# Chips", "- a point", "Q Do you think so", "…", "x-"]),
    st.text(alphabet="aB-é.:#•字\u00a0\u3000\u200b\u00ad\ufeff\u2060\t 1", max_size=30),
    st.text(max_size=10),
)
_line_breaks = st.sampled_from(
    ["\n", "\n\n", "\r\n", "\r", "\u2028", "\u2029", "\x85", "\f", "\v", "\n \u00a0\n"]
)
documents = st.one_of(
    st.lists(st.tuples(_lines, _line_breaks)).map(lambda parts: "".join(sum(parts, ()))),
    st.builds(
        lambda paragraphs, width, gap: gap.join(textwrap.fill(p, width) for p in paragraphs),
        st.lists(st.sampled_from(LINES), max_size=8),
        st.integers(20, 130),
        _line_breaks,
    ),
)


def segments_of(text: str) -> list[Segment]:
    return classify(plain_segments(text))


def pairs(text: str) -> list[tuple[str, str]]:
    return [(segment.kind, segment.text) for segment in segments_of(text)]


def kinds(text: str) -> str:
    """The initials of the segments' kinds: "hbb"."""
    return "".join(segment.kind[0] for segment in segments_of(text))


def visible(text: str) -> str:
    """A text without white space, and invisible and control characters."""
    return re.sub(r"[\s\u200b\u2060\ufeff\u00ad\x00-\x1f\x7f-\x9f]", "", text)
