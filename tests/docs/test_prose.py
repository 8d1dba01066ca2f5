"""No sentence of the documentation is too long to be read once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.pages import FENCE, each_page

LONGEST = 30  # words
CODE = re.compile(r"`[^`]*`")
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
# An item of a list, a heading or a line of a table begins anew.
BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.|#+|\|) ?)")
END = re.compile(r"(?<=[.!?])[)\"”*]*\s+(?=[\"“(*]*[A-Z0-9`])")


def sentences(text: str) -> Iterator[str]:
    """The sentences of a page in Markdown, but for code, tables and headings.

    "# Start\\n\\nRun `make test`. See [the docs](docs/x.md)." → "Run code.", "See the docs."
    """
    text = LINK.sub(r"\1", CODE.sub("`x`", FENCE.sub("\n\n", text)))
    for block in BLOCK.split(text):
        if block.strip() and not block.lstrip().startswith(("#", "|", "<!--")):
            yield from END.split(" ".join(block.split()))


@each_page
def test_no_sentence_is_long(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [s for s in sentences(text) if len(s.split()) > LONGEST] == []
