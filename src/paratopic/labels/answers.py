"""Decide which answer counts: of one annotator the latest, of several annotators that of most.

A later line of the same annotator replaces an earlier one; "?" takes it back. How several answers
are settled depends on the mode. Whether a paragraph exists is not checked here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from paratopic.labels.log import (
    UNDECIDED,
    Label,
    locked,
    one_line,
    read_table,
    rewrite,
    tidy,
)
from paratopic.project.errors import UserError
from paratopic.project.topics import ModeName, Topics, join_cell

# How an answer was chosen: all annotators gave it, most did, or the rule for ties decided.
Reason = Literal["agreed", "majority", "tie"]
# What counts in a tie.
IN_A_TIE: Mapping[ModeName, str] = {
    "single": "the answer that is first in the codebook",
    "multi": "the topics that half of the annotators chose",
}


@dataclass(frozen=True)
class Merged:
    """Result of a merge: numbers of new and of known lines, and a message for each dispute."""

    added: int
    known: int
    disputes: list[str]


def current(lines: Iterable[Label]) -> list[Label]:
    """Select the latest answer of each annotator on each paragraph; "?" takes earlier ones back.

    Different answers of a named annotator at the same time are all kept.

    Raises
    ------
    UserError
        Lines without an annotator contradict each other at the same time.
    """
    latest: dict[tuple[str, str], list[Label]] = {}
    for line in lines:
        if line.cell == UNDECIDED and not line.when:
            continue  # printed by `paratopic paragraphs`, and not filled in yet
        answers = latest.setdefault((line.paragraph, line.annotator), [])
        if answers and line.time > answers[0].time:
            answers.clear()
        if answers and line.time < answers[0].time:
            continue
        if any(line.names == answer.names for answer in answers):
            continue
        if answers and not line.annotator:
            earlier = answers[0]
            raise UserError(
                f'{line.where}: {line.paragraph} is labelled "{line.cell}", but {earlier.where} '
                f'labels it "{earlier.cell}"; keep one of the two'
            )
        answers.append(line)
    return [line for answers in latest.values() for line in answers if line.cell != UNDECIDED]


def by_paragraph(answers: Iterable[Label]) -> dict[str, list[Label]]:
    """Paragraph id → its answers, both in order of appearance."""
    grouped: dict[str, list[Label]] = {}
    for answer in answers:
        grouped.setdefault(answer.paragraph, []).append(answer)
    return grouped


def resolve(answers: Sequence[Label], topics: Topics) -> tuple[tuple[str, ...], Reason]:
    """Choose the topics of a paragraph that count.

    In mode single the dominant topic that most annotators gave counts, with the further topics that
    are given most often beside it. In a tie the codebook's order decides, with "none of the topics"
    last. In mode multi each topic counts for itself, if at least half of the annotators gave it.

    Parameters
    ----------
    answers
        Answers on one paragraph, at least one. Their order does not matter.
    topics
        The codebook.

    Returns
    -------
    The topics, and how they were chosen: ``"agreed"`` where all answers are the same, ``"tie"``
    where the codebook's order decided or, in mode multi, exactly half gave some topic, else
    ``"majority"``.
    """
    return (_resolve_dominant if topics.mode == "single" else _resolve_each)(answers, topics)


def disputes(lines: Sequence[Label], paragraphs: Iterable[str], topics: Topics) -> list[str]:
    """Describe where lines contradict each other, and which answer counts.

    Example: "a:1 – ann: trade, then security → security counts (the latest)".

    Parameters
    ----------
    lines
        Lines of labels.csv.
    paragraphs
        Ids of the paragraphs to look at.
    topics
        The codebook.

    Returns
    -------
    One message for each paragraph in dispute.
    """
    wanted = set(paragraphs)
    lines = [line for line in lines if line.paragraph in wanted]
    counting = by_paragraph(current(lines))
    messages = []
    for paragraph, lines_on_it in by_paragraph(lines).items():
        cells = _cells_by_annotator(lines_on_it, topics)
        if len({cell for each in cells.values() for cell in each}) > 1:
            given = "; ".join(
                f"{annotator or 'nobody named'}: {', then '.join(dict.fromkeys(each))}"
                for annotator, each in cells.items()
            )
            verdict = _verdict(counting.get(paragraph, []), topics)
            messages.append(f"{paragraph} – {given} → {verdict}")
    return messages


def merge(
    path: Path, incoming: Sequence[Label], annotator: str, order: Mapping[str, int], topics: Topics
) -> Merged:
    """Add lines to labels.csv that it does not have yet.

    The result is the same in whichever order files are merged, and if one is merged twice. Lines
    without an annotator keep their place at the top; the others are sorted. The version before is
    kept as labels.csv.bak.

    Parameters
    ----------
    path
        The labels' file; made where there is none.
    incoming
        Lines to add.
    annotator
        Annotator of the incoming lines that name none, unless the file has the same line without
        an annotator.
    order
        Paragraph id → rank, by which lines are sorted.
    topics
        The codebook, by which disputes are settled.

    Raises
    ------
    UserError
        As for `read_lines` and `current`; the file is left as it was.
    """
    with locked(path):
        columns, lines = read_table(path) if path.exists() else ([], [])
        new = _new_lines(lines, incoming, annotator)
        lines += new
        messages = disputes(lines, [line.paragraph for line in incoming], topics)
        if new:
            rewrite(path, columns, _in_order(lines, order))
    return Merged(len(new), len(incoming) - len(new), messages)


def _resolve_dominant(answers: Sequence[Label], topics: Topics) -> tuple[tuple[str, ...], Reason]:
    whole = Counter(answer.names for answer in answers)
    dominant = Counter(answer.names[:1] for answer in answers)

    def votes(names: tuple[str, ...]) -> tuple[int, int]:
        return -dominant[names[:1]], -whole[names]

    def rank(names: tuple[str, ...]) -> tuple[object, ...]:
        return *votes(names), [_place(name, topics) for name in names] or [
            (len(topics.names) + 1, "")
        ]

    best = min(whole, key=rank)
    if len(whole) == 1:
        return best, "agreed"
    rivals = [names for names in whole if votes(names) == votes(best)]
    return best, "majority" if len(rivals) == 1 else "tie"


def _resolve_each(answers: Sequence[Label], topics: Topics) -> tuple[tuple[str, ...], Reason]:
    votes = Counter(name for answer in answers for name in answer.names)
    known = sorted(votes, key=lambda name: _place(name, topics))
    counted = tuple(name for name in known if 2 * votes[name] >= len(answers))
    if any(2 * votes[name] == len(answers) for name in counted):
        reason: Reason = "tie"
    else:
        reason = "agreed" if set(votes.values()) <= {len(answers)} else "majority"
    return counted, reason


def _place(name: str, topics: Topics) -> tuple[int, str]:
    """Rank of a topic: the order of the codebook, unknown ones last by name."""
    known = topics.names
    return (known.index(name), "") if name in known else (len(known), name)


def _cells_by_annotator(lines: Sequence[Label], topics: Topics) -> dict[str, list[str]]:
    """Annotator → their answers as messages show them, the earliest first."""
    cells: dict[str, list[str]] = {}
    for line in sorted(lines, key=lambda line: (line.annotator, line.time, line.cell)):
        if line.cell != UNDECIDED or line.when:
            cells.setdefault(line.annotator, []).append(_shown(line.names, topics))
    return cells


def _verdict(answers: Sequence[Label], topics: Topics) -> str:
    if not answers:
        return "taken back, no label"
    names, reason = resolve(answers, topics)
    rules = {"agreed": "the latest", "majority": "most annotators"}
    rule = rules.get(reason, f"a tie: {IN_A_TIE[topics.mode]}")
    return f"{_shown(names, topics)} counts ({rule})"


def _shown(names: Iterable[str], topics: Topics) -> str:
    """Topics as messages show them: in the codebook's order, unless their own tells something."""
    if topics.mode == "multi":
        names = sorted(names, key=lambda name: _place(name, topics))
    return join_cell(names) or "none of the topics"


def _new_lines(lines: Sequence[Label], incoming: Sequence[Label], annotator: str) -> list[Label]:
    """The incoming lines that are not among the lines, with their annotator filled in."""
    known = {tidy(line).key for line in lines}
    new = []
    for line in map(tidy, incoming):
        named = line if line.annotator else replace(line, annotator=one_line(annotator))
        if line.key not in known and named.key not in known:
            known.add(named.key)
            new.append(named)
    return new


def _in_order(lines: Sequence[Label], order: Mapping[str, int]) -> list[Label]:
    """Lines without an annotator as they are, then the others by paragraph, annotator and time."""

    def rank(line: Label) -> tuple[object, ...]:
        place = order.get(line.paragraph, len(order))
        return place, line.paragraph, line.annotator, line.time, line.names, line.note

    unnamed = [line for line in lines if not line.annotator]
    return unnamed + sorted((line for line in lines if line.annotator), key=rank)
