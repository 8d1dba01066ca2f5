"""What changes of the codebook make of answers: they get today's names, or have to be given again.

A change is a line of labels.csv like an answer, and applies to the answers before it. An answer
with a time is before the changes that are later; one without is before those below it. This module
does not decide which of several answers counts (`answers` does), and leaves params.yaml alone
(`project.codebook` does not).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from paratopic.labels.log import UNDECIDED, Label
from paratopic.project.codebook import Change
from paratopic.project.topics import Topics, join_cell


@dataclass(frozen=True)
class Today:
    """An answer as it reads after all changes of the codebook.

    Parameters
    ----------
    line
        The line, with today's names. One that has to be given again has the names of the time.
    reopened
        Number of the change, from 1, after which it has to be given again; 0 if it has not.
    into
        What its topics have become, in today's names; empty where one of them was dropped.
    """

    line: Label
    epoch: int
    reopened: int = 0
    into: tuple[str, ...] = ()


def changes_of(lines: Sequence[Label]) -> list[tuple[Label, Change]]:
    """The changes of the codebook among lines, the earliest first."""
    changes = [(line, change) for line in lines if (change := line.change) is not None]
    return sorted(changes, key=lambda pair: pair[0].time)


def in_todays_names(lines: Sequence[Label]) -> list[Today]:
    """Read answers as they are after all changes of the codebook.

    Returns
    -------
    The lines that answer something or take an answer back, in the same order.
    """
    changes = changes_of(lines)
    place_of = {id(line): place for place, line in enumerate(lines)}
    times = [(line.time, place_of[id(line)]) for line, _ in changes]
    answers = []
    for place, line in enumerate(lines):
        if line.change is not None or (line.cell == UNDECIDED and not line.when):
            continue  # printed by `paratopic paragraphs`, and not filled in yet
        time = line.time
        later = [
            number
            for number, (changed, below) in enumerate(times)
            if (time < changed if line.when else place < below)
        ]
        answers.append(_today(line, later, [change for _, change in changes]))
    return answers


def before_all(labels: Sequence[Label], lines: Sequence[Label]) -> list[Today]:
    """Read n answers as `in_todays_names` would if they stood above all lines of labels.csv."""
    return in_todays_names([*labels, *lines])[: len(labels)]


def unfinished(lines: Sequence[Label], topics: Topics) -> str:
    """Explain a change that is in labels.csv and not in params.yaml, as after a crash.

    Returns
    -------
    What to do about it, in one line; "" where the latest change is in both.
    """
    for line, change in changes_of(lines)[-1:]:
        if is_unfinished(lines, change, topics):
            option = ["--into"] if change.kind in ("merge", "split") else []
            words = ["codebook", change.kind, *change.names, *option, *change.into]
            command = f"paratopic {shlex.join(words)}"
            return (
                f"{line.where}: {change}, but not in params.yaml: run `{command}` again to finish "
                "the change"
            )
    return ""


def is_unfinished(lines: Sequence[Label], change: Change, topics: Topics) -> bool:
    """Whether a change is the latest of the log, before all answers, and not in the codebook."""
    latest = changes_of(lines)[-1:]
    if not latest or latest[0][1] != change:
        return False
    gone = [name for name in change.names if name not in change.into]
    lacks = [name for name in change.into if name not in topics.names]
    if not (set(change.names) <= set(topics.names) and (lacks or gone)):
        return False
    # Somebody who answers with a dropped topic has put it into the codebook again.
    number = len(changes_of(lines))
    later = [answer.line.names for answer in in_todays_names(lines) if answer.epoch == number]
    return bool(lacks) or not any(set(gone) & set(names) for names in later)


def _today(line: Label, later: Sequence[int], changes: Sequence[Change]) -> Today:
    names, reopened = line.names, 0
    for number in later:
        if changes[number].opens and not reopened and set(names) & set(changes[number].names):
            reopened = number + 1
            names = tuple(name for name in names if name in changes[number].names)
        names = changes[number].become(names)
    epoch = len(changes) - len(later)
    if reopened:
        return Today(line, epoch, reopened, names)
    changed = line if names == line.names else replace(line, cell=join_cell(names))
    return Today(changed, epoch)
