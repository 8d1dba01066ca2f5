"""Weak sources: what they answer, and the labels that follow.

Which annotators are weak sources is for `answers`; how far a source is trusted, and what answers on
one paragraph say together, is for `labels.weak_sources`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import pandas as pd

from paratopic.corpus.table import WEAK, has_hand_label
from paratopic.labels.answers import current
from paratopic.labels.log import Label
from paratopic.labels.weak_sources import Sources, WeakAnswer, teach
from paratopic.project.errors import UserError
from paratopic.project.passages import section_heading
from paratopic.project.topics import Topics

# Names of the sources that are in the codebook.
HEADINGS, RULES = "headings", "rules"
# What the annotator's name of a language model begins with.
LLM = "llm-"
# Columns of labels.csv with what a language model's answer took.
EFFORT = "seconds", "tokens_read", "tokens_written"


def weak_answers(
    frame: pd.DataFrame, lines: Sequence[Label], topics: Topics, judged: Collection[str]
) -> pd.Series:
    """Collect what weak sources say of each paragraph.

    A heading stands for the paragraphs of an article that nobody has looked at yet. Beside these it
    answers for paragraphs with a hand label alone, so that it can be compared. A rule answers for
    each topic whose pattern it finds; in mode multi the topics together are its answer.

    Parameters
    ----------
    frame
        Paragraph table with the hand labels joined.
    lines
        Lines of weak sources, in the order of labels.csv.
    topics
        The codebook, with the patterns of rules and headings.
    judged
        Ids of the paragraphs that people have answers on in labels.csv.

    Returns
    -------
    A cell for each row: a list of `WeakAnswer`, or None for no answer.

    Raises
    ------
    UserError
        A pattern takes too long, or a line has an unknown topic or no number as its certainty.
    """
    answers: dict[str, list[WeakAnswer]] = {}
    for line in current(lines, topics):
        topics.check(line.names, line.where)
        given = WeakAnswer(
            source=line.annotator,
            topics=list(line.names),
            certainty=certainty_of(line),
        )
        answers.setdefault(line.paragraph, []).append(given)
    by_hand = has_hand_label(frame)
    seen = set(frame["article"][frame["id"].isin(list(judged))])
    search, column = topics.rules(), []
    columns = [frame[name] for name in ("id", "article", "heading", "title", "text")]
    for is_hand, id_, article, heading, title, text in zip(by_hand, *columns, strict=True):
        of_row = list(answers.get(id_, ()))
        if is_hand or article not in seen:
            named = topics.of_heading(section_heading(heading, title))
            of_row += _given(HEADINGS, [[named]] if named else [])
        names = search(text)
        of_row += _given(RULES, [[name] for name in names] if topics.mode == "single" else [names])
        # Of a paragraph without a label that people are divided on, nothing is learnt.
        is_open = is_hand or id_ not in judged
        column.append(of_row if of_row and is_open else None)
    return pd.Series(column, frame.index, dtype=object)


def join_weak(frame: pd.DataFrame, sources: Sources) -> pd.DataFrame:
    """Label paragraphs without a hand label with what is most probable by weak answers.

    Parameters
    ----------
    frame
        Paragraph table with the hand labels joined, and the column of `weak_answers`.
    sources
        How far each source is trusted (`labels.weak_sources.learn_sources`).

    Returns
    -------
    The table with `topics`, `label_source` and `trust` of these paragraphs filled in. Where there
    are none, weak answers have nothing to teach, and their column is left out.
    """
    lesson = teach(frame, sources)
    weights = lesson.weights.max(axis=1)
    chosen = (frame["label_source"] == "none").to_numpy() & (weights > 0)
    if not chosen.any():
        without: pd.DataFrame = frame.drop(columns=WEAK.name)
        return without
    names = sources.topics.names
    labels = [
        [name for name, has in zip(names, row, strict=True) if has] if is_chosen else own
        for row, is_chosen, own in zip(lesson.targets, chosen, frame["topics"], strict=True)
    ]
    return frame.assign(
        topics=pd.Series(labels, frame.index, dtype=object),
        label_source=frame["label_source"].mask(chosen, "weak"),
        trust=frame["trust"].mask(chosen, weights),
    )


def effort_of(
    lines: Iterable[Label], prices: Mapping[str, tuple[float, float]]
) -> dict[str, dict[str, float]]:
    """What 1,000 answers of each annotator take, as far as their lines say so.

    Parameters
    ----------
    prices
        Name of a language model → prices of a million tokens that it reads, and that it writes.

    Returns
    -------
    Annotator → seconds and, where the prices are known, cost.
    """
    of_sources: dict[str, list[list[float]]] = {}
    for line in lines:
        cells = dict(line.more)
        try:
            row = [float(cells[name]) for name in EFFORT]
        except (KeyError, ValueError):
            continue
        of_sources.setdefault(line.annotator, []).append(row)
    effort = {}
    for name, rows in sorted(of_sources.items()):
        seconds, *tokens = (1000 * sum(column) / len(rows) for column in zip(*rows, strict=True))
        effort[name] = {"seconds": round(seconds, 1)}
        if price := prices.get(name.removeprefix(LLM)):
            effort[name]["cost"] = cost(tokens, price)
    return effort


def cost(tokens: Sequence[float], price: tuple[float, float]) -> float:
    """Cost of tokens read and written, by the prices of a million of each."""
    return sum(n * each for n, each in zip(tokens, price, strict=True)) / 1e6


def certainty_of(line: Label) -> float | None:
    """How certain a weak source is of its answer, 0 to 1; None where it does not say.

    Raises
    ------
    UserError
        The cell of the column certainty is no such number.
    """
    cell = dict(line.more).get("certainty", "").strip()
    if not cell:
        return None
    try:
        certainty = float(cell)
    except ValueError:
        certainty = math.nan
    if not 0 <= certainty <= 1:
        raise UserError(
            f'{line.where}: "{cell}" in the column certainty is not a number from 0 to 1; correct '
            "it, or leave it empty"
        )
    return certainty


def _given(source: str, topics: Iterable[Sequence[str]]) -> list[WeakAnswer]:
    return [WeakAnswer(source=source, topics=list(each), certainty=None) for each in topics if each]
