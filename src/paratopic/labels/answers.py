"""Which answer counts: the latest of each annotator, then the majority of annotators.

A later line of the same annotator replaces an earlier one, "?" takes it back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from paratopic.labels.log import UNDECIDED, Label, locked, read_lines, read_table, rewrite
from paratopic.project.errors import UserError
from paratopic.project.topics import SEPARATOR, Topics


@dataclass(frozen=True)
class Merged:
    """What a merge did: lines that were new, lines that stood there, and what is in dispute."""

    added: int
    known: int
    disputes: list[str]


def read_labels(path: Path) -> list[Label]:
    """Read what counts of labels.csv: the latest answer of each annotator on each paragraph.

    Raises
    ------
    UserError
        As `read_lines`; or two lines that name no annotator answer differently, and no time tells
        which is the later one.
    """
    return current(read_lines(path))


def current(lines: Iterable[Label]) -> list[Label]:
    """The latest answer of each annotator on each paragraph; "?" takes earlier ones back.

    Answers of a named annotator that no time tells apart all count.

    Raises
    ------
    UserError
        Lines without an annotator contradict each other, and no time tells which is the later one.
    """
    latest: dict[tuple[str, str], list[Label]] = {}
    for line in lines:
        if line.cell == UNDECIDED and not line.when:
            continue  # from `paratopic paragraphs`, and not yet filled in
        so_far = latest.setdefault((line.paragraph, line.annotator), [])
        if so_far and line.time > so_far[0].time:
            so_far.clear()
        if so_far and line.time < so_far[0].time:
            continue
        if any(line.names == other.names for other in so_far):
            continue
        if so_far and not line.annotator:
            earlier = so_far[0]
            raise UserError(
                f'{line.where}: {line.paragraph} is labelled "{line.cell}", but {earlier.where} '
                f'labels it "{earlier.cell}"; keep one of the two'
            )
        so_far.append(line)
    return [line for lines in latest.values() for line in lines if line.cell != UNDECIDED]


def by_paragraph(answers: Iterable[Label]) -> dict[str, list[Label]]:
    """Paragraph id → its answers."""
    found: dict[str, list[Label]] = {}
    for answer in answers:
        found.setdefault(answer.paragraph, []).append(answer)
    return found


def resolve(answers: Sequence[Label], topics: Topics) -> tuple[Label, str]:
    """The answer that counts among those on one paragraph, and why.

    In mode single: the dominant topic that most name; of the answers with this topic the most
    frequent one; in a tie what comes first in the codebook, "none of the topics" last. In mode
    multi each topic stands for itself: those count that at least half name. The order of the lines
    does not matter.

    Returns
    -------
    The answer, and ``"agreed"``, ``"majority"`` or ``"tie"`` (settled by the codebook's order; in
    mode multi there is a topic that just half name).
    """
    whole = Counter(answer.names for answer in answers)
    if topics.mode == "multi":
        return _resolve_each(answers, topics)
    dominant = Counter(answer.names[:1] for answer in answers)

    def votes(answer: Label) -> tuple[int, int]:
        return -dominant[answer.names[:1]], -whole[answer.names]

    def rank(answer: Label) -> tuple[object, ...]:
        known = topics.names
        order = [(known.index(n), "") if n in known else (len(known), n) for n in answer.names]
        return *votes(answer), order or [(len(known) + 1, "")]

    best = min(answers, key=rank)
    if len(whole) == 1:
        return best, "agreed"
    rivals = {answer.names for answer in answers if votes(answer) == votes(best)}
    return best, "majority" if len(rivals) == 1 else "tie"


def _resolve_each(answers: Sequence[Label], topics: Topics) -> tuple[Label, str]:
    votes = Counter(name for answer in answers for name in answer.names)
    known = [*topics.names, *sorted(votes.keys() - set(topics.names))]
    counted = [name for name in known if 2 * votes[name] >= len(answers)]
    if any(2 * votes[name] == len(answers) for name in counted):
        why = "tie"
    else:
        why = "agreed" if set(votes.values()) <= {len(answers)} else "majority"
    return replace(answers[0], cell=SEPARATOR.join(counted)), why


def disputes(lines: Sequence[Label], paragraphs: Iterable[str], topics: Topics) -> list[str]:
    """What the lines contradict each other in, and which answer counts: a message a paragraph."""
    wanted = set(paragraphs)
    mine = [line for line in lines if line.paragraph in wanted]
    now = by_paragraph(current(mine))
    told = []
    for paragraph, all_lines in by_paragraph(mine).items():
        said: dict[str, list[Label]] = {}
        for line in sorted(all_lines, key=lambda line: (line.annotator, line.time, line.cell)):
            if line.cell != UNDECIDED or line.when:
                said.setdefault(line.annotator, []).append(line)
        answers = {who: [_shown(line, topics) for line in lines] for who, lines in said.items()}
        if len({answer for each in answers.values() for answer in each}) < 2:
            continue
        who_said = "; ".join(
            f"{who or 'nobody named'}: {', then '.join(dict.fromkeys(each))}"
            for who, each in sorted(answers.items())
        )
        if paragraph not in now:
            verdict = "taken back, no label"
        else:
            winner, why = resolve(now[paragraph], topics)
            verdict = f"{_shown(winner, topics)} counts ({_REASONS[topics.mode, why]})"
        told.append(f"{paragraph} – {who_said} → {verdict}")
    return told


_REASONS = {
    ("single", "agreed"): "the latest",
    ("single", "majority"): "most annotators",
    ("single", "tie"): "a tie: the first in the codebook",
    ("multi", "agreed"): "the latest",
    ("multi", "majority"): "what most annotators name",
    ("multi", "tie"): "a tie: what half of the annotators name",
}


def _shown(line: Label, topics: Topics) -> str:
    if topics.mode == "single":
        return line.cell or "none of the topics"
    # Whichever was named first.
    order = {name: n for n, name in enumerate(topics.names)}
    names = sorted(line.names, key=lambda name: (order.get(name, len(order)), name))
    return SEPARATOR.join(names) or "none of the topics"


def merge(
    path: Path, incoming: Sequence[Label], annotator: str, order: Mapping[str, int], topics: Topics
) -> Merged:
    """Add lines to labels.csv that it does not have yet.

    The order in which files are merged does not matter, and merging one again changes nothing.
    Lines without an annotator stay where they stand; the others are sorted. The version before is
    kept as labels.csv.bak.

    Parameters
    ----------
    path
        The labels' file; made where there is none.
    incoming
        New lines.
    annotator
        Whose the lines are that name nobody, unless such a line stands in the file as it is.
    order
        Paragraph id → rank, by which lines are sorted.
    topics
        The codebook, which settles ties.
    """
    with locked(path):
        columns, lines = read_table(path) if path.exists() else ([], [])
        known = {line.key for line in lines}
        added = 0
        for line in incoming:
            named = line if line.annotator else replace(line, annotator=annotator)
            if line.key not in known and named.key not in known:
                known.add(named.key)
                lines.append(named)
                added += 1
        told = disputes(lines, [line.paragraph for line in incoming], topics)
        if added:
            last = len(order)
            nameless = [line for line in lines if not line.annotator]
            named_lines = sorted(
                (line for line in lines if line.annotator),
                key=lambda line: (
                    order.get(line.paragraph, last),
                    line.paragraph,
                    line.annotator,
                    line.time,
                    line.names,
                    line.note,
                ),
            )
            rewrite(path, columns, [*nameless, *named_lines])
    return Merged(added, len(incoming) - added, told)
