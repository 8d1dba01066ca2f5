"""Decide which votes count: the latest of each annotator, and of several annotators the majority.

A later line of the same annotator replaces an earlier one; "?" withdraws it. The mode decides how
several votes are aggregated. `Topics.current_meaning` translates former names of topics.
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

# How a label was chosen: all annotators voted for it, most did, or there is a tie.
Reason = Literal["agreed", "majority", "tie"]


@dataclass(frozen=True)
class CurrentVotes:
    """The votes that labels.csv contains now.

    Parameters
    ----------
    votes
        The latest vote of each annotator on each paragraph, with the current names of topics.
    retired
        The latest votes on paragraphs whose votes all name retired topics. They have the names as
        written, and the paragraphs have to be labelled again.
    """

    votes: list[Label]
    retired: list[Label]


def votes_of_people(lines: Iterable[Label], settings: Labels) -> list[Label]:
    """Select the lines of people, and leave out those of weak sources."""
    return [line for line in lines if not settings.is_weak(line.annotator)]


def latest_votes(lines: Iterable[Label], topics: Topics) -> list[Label]:
    """Select the votes that count; see `current_votes`."""
    return current_votes(lines, topics).votes


def current_votes(lines: Iterable[Label], topics: Topics) -> CurrentVotes:
    """Select the latest vote of each annotator on each paragraph; "?" with a time withdraws it.

    If an annotator has several votes of the same time, all that differ are kept; in lines without
    an annotator, they are a `UserError`. A latest vote for a topic that was split or dropped since
    does not count, nor do earlier ones; it is in `retired` if no vote on the paragraph counts.
    """
    lines_at: dict[tuple[str, str], dict[datetime, list[Label]]] = {}
    for line in lines:
        if line.is_filled_in:
            annotator_lines = lines_at.setdefault((line.paragraph, line.annotator), {})
            annotator_lines.setdefault(line.time, []).append(line)
    votes: list[Label] = []
    retired: list[Label] = []
    for annotator_lines in lines_at.values():
        latest = annotator_lines[max(annotator_lines)]
        decided = [vote for vote in in_current_names(latest, topics) if vote.is_decided]
        votes += _distinct_votes(decided)
        retired += [line for line in latest if topics.current_meaning(line.names).retired]
    voted_on = {vote.paragraph for vote in votes}
    return CurrentVotes(votes, [line for line in retired if line.paragraph not in voted_on])


def in_current_names(lines: Iterable[Label], topics: Topics) -> list[Label]:
    """Replace former names of topics by current ones, and leave out lines with a retired topic.

    Names that the codebook never had stay, and so do lines without a vote.
    """
    votes = []
    for line in lines:
        meaning = topics.current_meaning(line.names)
        if not meaning.retired:
            is_same = meaning.names == line.names
            votes.append(line if is_same else replace(line, cell=join_cell(meaning.names)))
    return votes


def _distinct_votes(votes: Sequence[Label]) -> list[Label]:
    """The first vote for each list of topics, of one annotator's votes on a paragraph at one time.

    Several are a `UserError` if the annotator has no name: they may be of different people.
    """
    vote_for: dict[tuple[str, ...], Label] = {}
    for vote in votes:
        vote_for.setdefault(vote.names, vote)
    distinct = list(vote_for.values())
    if len(distinct) > 1 and not distinct[0].annotator:
        earlier, line = distinct[:2]
        raise UserError(
            f'{line.where}: {line.paragraph} is labelled "{line.cell}", but {earlier.where} '
            f'labels it "{earlier.cell}"; keep one of the two'
        )
    return distinct


def by_paragraph(votes: Iterable[Label]) -> dict[str, list[Label]]:
    """Paragraph id → its votes, both in order of appearance."""
    grouped: dict[str, list[Label]] = {}
    for vote in votes:
        grouped.setdefault(vote.paragraph, []).append(vote)
    return grouped


def aggregate(votes: Sequence[Label], topics: Topics) -> tuple[tuple[str, ...], Reason]:
    """Choose the topics of a paragraph that count, from at least one vote on it, in any order.

    In mode single, the dominant topic that most annotators voted for counts, with the further
    topics that were given most often with it. The order of the codebook breaks ties; "none of the
    topics" comes last. In mode multi, each topic counts that at least half voted for.

    Returns
    -------
    The topics, and how they were chosen: ``"agreed"`` where all votes are the same, ``"tie"`` where
    two dominant topics have most votes or, in mode multi, exactly half voted for some topic, else
    ``"majority"``.
    """
    return (_aggregate_dominant if topics.max_topics == 1 else _aggregate_each)(votes, topics)


def ties(votes: Iterable[Label], topics: Topics) -> dict[str, list[Label]]:
    """Id of each paragraph with a tie between annotators → its votes; see `aggregate`."""
    grouped = by_paragraph(votes).items()
    return {id_: on_one for id_, on_one in grouped if aggregate(on_one, topics)[1] == "tie"}


def tie_rule_in_words(ties: TieRule, topics: Topics) -> str:
    """Describe the label of a paragraph during a tie between annotators, for messages."""
    return "without a label" if ties == "leave_out" else f"labelled with {topics.labels.tie}"


def disputes(lines: Sequence[Label], paragraphs: Iterable[str], topics: Topics) -> list[str]:
    """Describe each of these paragraphs whose lines have different topics, and which vote counts.

    Example: "a:1 – ann: trade, then security → security counts (latest answer)". Lines of one
    annotator, replaced ones too, are in the order of time. Lines with retired topics are left out,
    and so are paragraphs without a dispute.
    """
    wanted = set(paragraphs)
    lines = [line for line in lines if line.paragraph in wanted and line.is_filled_in]
    votes_on = by_paragraph(latest_votes(lines, topics))
    messages = []
    for paragraph, paragraph_lines in by_paragraph(in_current_names(lines, topics)).items():
        in_order = sorted(paragraph_lines, key=lambda line: (line.annotator, line.time, line.cell))
        if len({_shown(line, topics) for line in in_order}) > 1:
            histories = []
            for annotator, annotator_lines in groupby(in_order, key=lambda line: line.annotator):
                cells = dict.fromkeys(_shown(line, topics) for line in annotator_lines)
                histories.append(f"{annotator or UNNAMED}: {', then '.join(cells)}")
            verdict = _verdict(votes_on.get(paragraph, []), topics)
            messages.append(f"{paragraph} – {'; '.join(histories)} → {verdict}")
    return messages


def merge(
    path: Path,
    incoming: Sequence[Label],
    annotator: str,
    order: Mapping[str, int],
    topics: Topics,
    settings: Labels,
) -> tuple[int, list[str]]:
    """Add those lines to labels.csv that it does not contain yet.

    The order in which files are merged does not change the result, and neither does a second merge
    of the same file. Lines without an annotator keep their place at the top; the others are sorted
    by `order`, id → rank. If lines are added, the previous version is kept as labels.csv.bak. The
    errors are those of `read_table`, `rewrite` and `current_votes`, and leave the file as it was.

    Incoming lines without an annotator get `annotator`, and are not added if the file has the same
    line without one. `settings` tells weak sources, whose lines are not part of disputes.

    Returns
    -------
    The number of added lines, and a message for each dispute on paragraphs of incoming lines.
    """
    with locked(path):
        columns, lines = read_table(path) if path.exists() else ([], [])
        new = _new_lines(lines, incoming, annotator)
        lines += new
        ids = [line.paragraph for line in incoming]
        messages = disputes(votes_of_people(lines, settings), ids, topics)
        if new:
            rewrite(path, columns, _in_order(lines, order))
    return len(new), messages


def _aggregate_dominant(votes: Sequence[Label], topics: Topics) -> tuple[tuple[str, ...], Reason]:
    """The topics that count in mode single, those of one vote, and the reason why they do.

    Votes rank by the number of votes with their dominant topic, its place in the codebook, the
    number of votes with the same topics, and the places of these. The reason is "agreed" if all
    votes have the same topics, "tie" if several dominant topics have most votes, else "majority".
    """
    n_votes = Counter(vote.names for vote in votes)
    n_dominant = Counter(vote.names[:1] for vote in votes)

    def places(names: tuple[str, ...]) -> list[tuple[int, str]]:
        return [_place(name, topics) for name in names] or [(len(topics.names) + 1, "")]

    def rank(names: tuple[str, ...]) -> tuple[object, ...]:
        first = names[:1]
        return -n_dominant[first], places(first), -n_votes[names], places(names)

    best = min(n_votes, key=rank)
    if len(n_votes) == 1:
        return best, "agreed"
    n_most = list(n_dominant.values()).count(max(n_dominant.values()))
    return best, "majority" if n_most == 1 else "tie"


def _aggregate_each(votes: Sequence[Label], topics: Topics) -> tuple[tuple[str, ...], Reason]:
    """Mode multi: topics with at least half of the votes, in the codebook's order; and the reason.

    It is "tie" if a topic has exactly half, "agreed" if all votes have the same, else "majority".
    """
    n_votes = Counter(name for vote in votes for name in vote.names)
    names = sorted(n_votes, key=lambda name: _place(name, topics))
    chosen = tuple(name for name in names if 2 * n_votes[name] >= len(votes))
    if any(2 * n_votes[name] == len(votes) for name in chosen):
        return chosen, "tie"
    return chosen, "agreed" if set(n_votes.values()) <= {len(votes)} else "majority"


def _place(name: str, topics: Topics) -> tuple[int, str]:
    """Rank of a topic: the order of the codebook, unknown ones last by name."""
    known = topics.names
    return (known.index(name), "") if name in known else (len(known), name)


def _verdict(votes: Sequence[Label], topics: Topics) -> str:
    """Say for `disputes` which topics count by these votes, or that there is a tie or no label."""
    if not votes:
        return "no label, because the answer was taken back or the codebook changed"
    names, reason = aggregate(votes, topics)
    if reason == "tie":
        return "a tie; another answer settles it"
    rule = {"agreed": "latest answer", "majority": "answer of most annotators"}[reason]
    return f"{topics_in_words(names)} counts ({rule})"


def _shown(line: Label, topics: Topics) -> str:
    """Topics as messages show them; in mode multi, they are in the order of the codebook."""
    return topics_in_words(aggregate([line], topics)[0])


def _new_lines(lines: Sequence[Label], incoming: Sequence[Label], annotator: str) -> list[Label]:
    """The incoming lines that `lines` lacks, each once, tidy and with `annotator` where unnamed.

    Lines are equal if paragraph, topics, annotator, time and note are. An unnamed line is not new,
    either, if `lines` has the same line without a name.
    """
    known = {tidy(line).key for line in lines}
    new = []
    for line in map(tidy, incoming):
        named = line if line.annotator else replace(line, annotator=one_line(annotator))
        if line.key not in known and named.key not in known:
            known.add(named.key)
            new.append(named)
    return new


def _in_order(lines: Sequence[Label], order: Mapping[str, int]) -> list[Label]:
    """Lines without an annotator as they are, then the others by `order`, annotator and time."""

    def rank(line: Label) -> tuple[object, ...]:
        if not line.annotator:
            return ()
        place = order.get(line.paragraph, len(order))
        return place, line.paragraph, line.annotator, line.time, line.names, line.note

    return sorted(lines, key=rank)
