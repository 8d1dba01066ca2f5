"""Decide which answer counts: of one annotator the latest, of several annotators that of most.

A later line of the same annotator replaces an earlier one; "?" takes it back. How several answers
are settled depends on the mode. Answers are read in today's names (`Topics.today`). Whether a
paragraph exists is not checked here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Literal

from paratopic.labels.log import UNNAMED, Label, locked, one_line, read_table, rewrite, tidy
from paratopic.project.errors import UserError
from paratopic.project.params import Labels
from paratopic.project.topics import TieRule, Topics, join_cell, topics_in_words

# How an answer was chosen: all annotators gave it, most did, or they are divided.
Reason = Literal["agreed", "majority", "tie"]


@dataclass(frozen=True)
class CurrentAnswers:
    """What labels.csv says today.

    Parameters
    ----------
    answers
        The latest answer of each annotator on each paragraph, in today's names.
    retired
        The latest answers on paragraphs where all of them are to be given again, as written.
    """

    answers: list[Label]
    retired: list[Label]


def of_people(lines: Iterable[Label], settings: Labels) -> list[Label]:
    """Select the lines of people."""
    return [line for line in lines if not settings.is_weak(line.annotator)]


def current(lines: Iterable[Label], topics: Topics) -> list[Label]:
    """Select the answers that count; see `read_answers`."""
    return read_answers(lines, topics).answers


def read_answers(lines: Iterable[Label], topics: Topics) -> CurrentAnswers:
    """Select the latest answer of each annotator on each paragraph; "?" takes earlier ones back.

    Different answers of a named annotator at the same time are all kept. An answer with the name of
    a topic that was split or dropped does not count.

    Raises
    ------
    UserError
        Lines without an annotator contradict each other at the same time.
    """
    given: dict[tuple[str, str], dict[datetime, list[Label]]] = {}
    for line in lines:
        if line.is_given:
            of_annotator = given.setdefault((line.paragraph, line.annotator), {})
            of_annotator.setdefault(line.time, []).append(line)
    answers: list[Label] = []
    open_ones: list[Label] = []
    for by_time in given.values():
        latest = by_time[max(by_time)]
        answers += _distinct([a for a in in_todays_names(latest, topics) if a.is_decided])
        open_ones += [line for line in latest if topics.today(line.names).retired]
    counting = {answer.paragraph for answer in answers}
    return CurrentAnswers(answers, [line for line in open_ones if line.paragraph not in counting])


def in_todays_names(lines: Iterable[Label], topics: Topics) -> list[Label]:
    """Read answers in today's names, without those that are to be given again."""
    answers = []
    for line in lines:
        meaning = topics.today(line.names)
        if not meaning.retired:
            is_same = meaning.names == line.names
            answers.append(line if is_same else replace(line, cell=join_cell(meaning.names)))
    return answers


def _distinct(answers: Sequence[Label]) -> list[Label]:
    """Different answers of an annotator at the same time, each once; one alone without a name."""
    of_names: dict[tuple[str, ...], Label] = {}
    for answer in answers:
        of_names.setdefault(answer.names, answer)
    distinct = list(of_names.values())
    if len(distinct) > 1 and not distinct[0].annotator:
        earlier, line = distinct[:2]
        raise UserError(
            f'{line.where}: {line.paragraph} is labelled "{line.cell}", but {earlier.where} '
            f'labels it "{earlier.cell}"; keep one of the two'
        )
    return distinct


def by_paragraph(answers: Iterable[Label]) -> dict[str, list[Label]]:
    """Paragraph id → its answers, both in order of appearance."""
    grouped: dict[str, list[Label]] = {}
    for answer in answers:
        grouped.setdefault(answer.paragraph, []).append(answer)
    return grouped


def aggregate(answers: Sequence[Label], topics: Topics) -> tuple[tuple[str, ...], Reason]:
    """Choose the topics of a paragraph that count.

    In mode single the dominant topic that most annotators gave counts, with the further topics that
    are given most often beside it. Of those that are given equally often, the first of the codebook
    counts, and "none of the topics" is the last. In mode multi each topic counts for itself, if at
    least half of the annotators gave it.

    Parameters
    ----------
    answers
        Answers on one paragraph, at least one. Their order does not matter.

    Returns
    -------
    The topics, and how they were chosen: ``"agreed"`` where all answers are the same, ``"tie"``
    where two dominant topics were given most often or, in mode multi, exactly half gave some topic,
    else ``"majority"``.
    """
    return (_aggregate_dominant if topics.most == 1 else _aggregate_each)(answers, topics)


def tied(answers: Iterable[Label], topics: Topics) -> dict[str, list[Label]]:
    """Id of each paragraph on which annotators are divided → their answers; see `aggregate`."""
    grouped = by_paragraph(answers).items()
    return {paragraph: each for paragraph, each in grouped if aggregate(each, topics)[1] == "tie"}


def label_in_a_tie(ties: TieRule, topics: Topics) -> str:
    """What label a paragraph has while annotators are divided on it, for messages."""
    return "without a label" if ties == "leave_out" else f"labelled with {topics.labels.tie}"


def disputes(lines: Sequence[Label], paragraphs: Iterable[str], topics: Topics) -> list[str]:
    """Describe where lines contradict each other, and which answer counts.

    Example: "a:1 – ann: trade, then security → security counts (latest answer)". There is one
    message for each of these paragraphs that is in dispute.
    """
    wanted = set(paragraphs)
    lines = [line for line in lines if line.paragraph in wanted and line.is_given]
    counting = by_paragraph(current(lines, topics))
    messages = []
    for paragraph, lines_on_it in by_paragraph(in_todays_names(lines, topics)).items():
        in_order = sorted(lines_on_it, key=lambda line: (line.annotator, line.time, line.cell))
        if len({_shown(line, topics) for line in in_order}) > 1:
            given = []
            for annotator, each in groupby(in_order, key=lambda line: line.annotator):
                cells = dict.fromkeys(_shown(line, topics) for line in each)
                given.append(f"{annotator or UNNAMED}: {', then '.join(cells)}")
            verdict = _verdict(counting.get(paragraph, []), topics)
            messages.append(f"{paragraph} – {'; '.join(given)} → {verdict}")
    return messages


def merge(
    path: Path,
    incoming: Sequence[Label],
    annotator: str,
    order: Mapping[str, int],
    topics: Topics,
    settings: Labels,
) -> tuple[int, list[str]]:
    """Add lines to labels.csv that it does not have yet.

    Returned are their number, and a message for each dispute of answers on these paragraphs.

    The result is the same in whichever order files are merged, and if one is merged twice. Lines
    without an annotator keep their place at the top; the others are sorted. The version before is
    kept as labels.csv.bak.

    Parameters
    ----------
    annotator
        Annotator of the incoming lines that name none, unless the file has the same line without
        an annotator.
    order
        Paragraph id → rank, by which lines are sorted.
    settings
        Which annotators are weak sources, which dispute nothing.

    Raises
    ------
    UserError
        As for `read_lines` and `current`; the file is left as it was.
    """
    with locked(path):
        columns, lines = read_table(path) if path.exists() else ([], [])
        new = _new_lines(lines, incoming, annotator)
        lines += new
        by_people, ids = of_people(lines, settings), [line.paragraph for line in incoming]
        messages = disputes(by_people, ids, topics)
        if new:
            rewrite(path, columns, _in_order(lines, order))
    return len(new), messages


def _aggregate_dominant(answers: Sequence[Label], topics: Topics) -> tuple[tuple[str, ...], Reason]:
    whole = Counter(answer.names for answer in answers)
    dominant = Counter(answer.names[:1] for answer in answers)

    def places(names: tuple[str, ...]) -> list[tuple[int, str]]:
        return [_place(name, topics) for name in names] or [(len(topics.names) + 1, "")]

    def rank(names: tuple[str, ...]) -> tuple[object, ...]:
        first = names[:1]
        return -dominant[first], places(first), -whole[names], places(names)

    best = min(whole, key=rank)
    if len(whole) == 1:
        return best, "agreed"
    n_most = list(dominant.values()).count(max(dominant.values()))
    return best, "majority" if n_most == 1 else "tie"


def _aggregate_each(answers: Sequence[Label], topics: Topics) -> tuple[tuple[str, ...], Reason]:
    votes = Counter(name for answer in answers for name in answer.names)
    known = sorted(votes, key=lambda name: _place(name, topics))
    counted = tuple(name for name in known if 2 * votes[name] >= len(answers))
    if any(2 * votes[name] == len(answers) for name in counted):
        return counted, "tie"
    return counted, "agreed" if set(votes.values()) <= {len(answers)} else "majority"


def _place(name: str, topics: Topics) -> tuple[int, str]:
    """Rank of a topic: the order of the codebook, unknown ones last by name."""
    known = topics.names
    return (known.index(name), "") if name in known else (len(known), name)


def _verdict(answers: Sequence[Label], topics: Topics) -> str:
    if not answers:
        return "no label, because the answer was taken back or the codebook changed"
    names, reason = aggregate(answers, topics)
    if reason == "tie":
        return "a tie; another answer settles it"
    rule = {"agreed": "latest answer", "majority": "answer of most annotators"}[reason]
    return f"{topics_in_words(names)} counts ({rule})"


def _shown(line: Label, topics: Topics) -> str:
    """Topics as messages show them: in the codebook's order, unless their own tells something."""
    return topics_in_words(aggregate([line], topics)[0])


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
        if not line.annotator:
            return ()
        place = order.get(line.paragraph, len(order))
        return place, line.paragraph, line.annotator, line.time, line.names, line.note

    return sorted(lines, key=rank)
