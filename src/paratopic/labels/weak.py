"""Weak sources: what they answer, and what their answers take.

Which annotators are weak sources is for `answers`; how far a source is trusted, and what answers on
one paragraph say together, is for `labels.weak_sources`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from paratopic.corpus.table import has_hand_label
from paratopic.labels.answers import current
from paratopic.labels.log import Label
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
) -> Iterator[dict[str, Any]]:
    """Collect what weak sources say of paragraphs, as rows of `corpus.answers` without a label.

    A heading stands for the paragraphs of an article that nobody has looked at yet. Beside these it
    answers for paragraphs with a hand label alone, so that it can be compared. A rule answers for
    each topic whose pattern it finds; in mode multi the topics together are its answer.

    Parameters
    ----------
    frame
        Paragraph table with the labels of people and tables.
    lines
        Lines of weak sources, in the order of labels.csv.
    topics
        The codebook, with the patterns of rules and headings.
    judged
        Ids of the paragraphs that people have answers on in labels.csv.

    Raises
    ------
    UserError
        A pattern takes too long, or a line has an unknown topic or no number as its certainty.
    """
    answers: dict[str, list[dict[str, Any]]] = {}
    for line in current(lines, topics):
        topics.check(line.names, line.where)
        row = _row(line.annotator, "model", line.names)
        row |= {"certainty": certainty_of(line), "where": line.where}
        answers.setdefault(line.paragraph, []).append(row)
    by_hand = has_hand_label(frame)
    seen = set(frame["article"][frame["id"].isin(list(judged))])
    search = topics.rules()
    columns = [frame[name] for name in ("id", "article", "heading", "title", "text")]
    for is_hand, id_, article, heading, title, text in zip(by_hand, *columns, strict=True):
        # Of a paragraph without a label that people are divided on, nothing is learnt.
        if not is_hand and id_ in judged:
            continue
        rows = list(answers.get(id_, ()))
        if is_hand or article not in seen:
            named = topics.of_heading(section_heading(heading, title))
            rows += [_row(HEADINGS, "heading", [named])] if named else []
        names = search(text)
        each = [[name] for name in names] if topics.mode == "single" else [names] if names else []
        rows += [_row(RULES, "rule", given) for given in each]
        yield from ({"paragraph": id_} | row for row in rows)


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


def _row(source: str, kind: str, topics: Sequence[str]) -> dict[str, Any]:
    return {"source": source, "kind": kind, "topics": list(topics), "status": "overruled"}
