"""Lines of labels.csv, and the votes in them."""

from __future__ import annotations

from pathlib import Path

from paratopic.labels.log import read_lines
from paratopic.labels.votes import latest_votes
from paratopic.project.topics import Topics

HEADER = "paragraph,topics,text,annotator,when,note,drawn"
BY_HAND = "paragraph,topics,text"
# A codebook in which no name has changed.
ANY = Topics("single", ("one", "other"))
EARLY, LATE = "2025-09-15T10:00:00Z", "2025-09-15T12:30:00+02:00"


def write(path: Path, *lines: str, header: str = HEADER, end: str = "\n") -> Path:
    path.write_text("\n".join([header, *lines]) + end, encoding="utf-8")
    return path


def latest_votes_in(path: Path) -> list[tuple[str, str, str]]:
    """Paragraph, annotator and topics of each vote that counts."""
    votes = latest_votes(read_lines(path), ANY)
    return [(vote.paragraph, vote.annotator, vote.cell) for vote in votes]
