"""Labels as a sample of the corpus: weights that undo with what chances paragraphs were drawn.

This module does not draw paragraphs (`annotation.suggestion` does) or compute figures from labels.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

import numpy as np
import pandas as pd

from paratopic.corpus.table import TABLE, has_hand_label
from paratopic.labels.frames import Draws, weights_of_articles, weights_of_texts
from paratopic.labels.log import ARTICLE, Label
from paratopic.project.errors import in_short, plural
from paratopic.project.reports import Report

# Share of the corpus that draws from groups have to reach if nothing was drawn from all of it.
# Files that come later, or a corrected date, must not undo a sample.
LEAST_COVERED = 0.9
# Parts of the corpus that a message names, at most.
MOST_NAMED = 5
# What was drawn, as in the paragraph table → words for it.
KINDS = {"paragraph": "paragraphs", ARTICLE: "whole articles"}


def weigh_sample(
    frame: pd.DataFrame, lines: Iterable[Label], members: Mapping[str, Collection[str]]
) -> pd.DataFrame:
    """Weigh hand labels so that together they stand for the corpus, or for parts of it.

    Where paragraphs were drawn one by one, the weights are those of LURE (Farquhar, Gal & Rainforth
    2021, "On statistical bias in active learning", https://arxiv.org/abs/2101.11665), extended to
    paragraphs among them that were chosen in another way. Draws from groups, from tables and from
    all paragraphs count together as in surveys with several frames (Kalton & Anderson 1986, Journal
    of the Royal Statistical Society A 149, 65-82). Where whole articles were drawn, labels stand
    for the paragraphs of their article. Of the two, the one with more labels is weighed.

    Copies of a text are one paragraph: they share its weight. Boilerplate is no part of the corpus.

    Parameters
    ----------
    frame
        Paragraph table with the labels joined. Its column `draw` has what was drawn of the rows of
        labelled tables.
    lines
        All lines of labels.csv, in its order.
    members
        Part that paragraphs were drawn from (`Label.group`, or a table) → its texts. Draws from
        other groups count as chosen in another way.

    Returns
    -------
    For each row the columns of `corpus.labelled.SAMPLE_SCHEMA`, but for the paragraph. Weight and
    effective_count are 1 if all were drawn at random from all paragraphs, and NaN without a label.
    Weights are NaN, too, where labels are no sample.
    """
    whole, frame = frame, frame[~frame["boilerplate"]]  # which is never drawn
    hand = frame[has_hand_label(frame)]
    draws = _draws(hand, lines, {"": {*frame["text"]}, **members})
    drawn, rows, kind = draws.drawn, hand, "paragraph"
    of_articles = hand[hand["id"].isin(draws.in_whole_articles)]
    if len(of_articles) and len(drawn) < len(of_articles):
        rows, kind, drawn = of_articles, ARTICLE, list(of_articles["text"])
        weights = weights_of_articles(frame, rows, draws)
    else:
        weights = weights_of_texts(draws)
    covering = draws.covering(drawn)
    covered = {text for part in covering for text in draws.frames[part]}
    is_whole = len(covered) >= LEAST_COVERED * max(1, len(draws.frames[""]))
    usual = {"draw": "", "frame": "", "weight": np.nan, "effective_count": np.nan}
    sample = pd.DataFrame(usual, whole.index)
    copies = rows.groupby("text")["id"].transform("size")
    for column in ("weight", "effective_count"):
        sample.loc[rows.index, column] = rows["text"].map(weights[column]).astype(float) / copies
    if not covered:
        return sample.assign(weight=np.nan)
    if not is_whole:
        sample.loc[rows.index[~rows["text"].isin(covered)], "weight"] = 0.0
        rows = rows[rows["text"].isin(covered)]
    rows = rows[rows["text"].isin(drawn)]
    sample.loc[rows.index, "draw"] = kind
    if not is_whole:
        frames = [draws.frame(text, covering) for text in rows["text"]]
        sample.loc[rows.index, "frame"] = frames
    return sample


def _draws(
    hand: pd.DataFrame, lines: Iterable[Label], frames: Mapping[str, Collection[str]]
) -> Draws:
    """How the texts with a hand label were chosen; the parameters are those of `weigh_sample`."""
    first = _first_lines(dict(zip(hand["id"], hand["text"], strict=True)), lines)
    # Rows of tables that were drawn, and labels without a line, were there before.
    of_tables = hand[(hand["draw"] != "") | ~hand["text"].isin(first)]
    tables = {part for part in frames if part.startswith(TABLE) and frames[part] != frames[""]}
    frame_of = {
        text: next((part for part in tables if id_.startswith(f"{part[len(TABLE) :]}:")), "")
        for text, id_ in zip(of_tables["text"], of_tables["id"], strict=True)
    }
    chance_of: dict[str, float | None] = {
        text: 1.0 if draw == "paragraph" else None
        for text, draw in zip(of_tables["text"], of_tables["draw"], strict=True)
    }
    lines_of = {text: line for text, line in first.items() if text not in chance_of}
    chance_of |= {t: line.chance if line.group in frames else None for t, line in lines_of.items()}
    frame_of |= {text: line.group for text, line in lines_of.items()}
    in_articles = [line.paragraph for line in first.values() if line.draw == ARTICLE]
    in_articles += of_tables["id"][of_tables["draw"] == ARTICLE].tolist()
    return Draws(chance_of, frame_of, frames, in_articles)


def n_texts(frame: pd.DataFrame) -> int:
    """Number of paragraphs that can be drawn: without boilerplate, and copies once."""
    return int(frame["text"][~frame["boilerplate"]].nunique())


class Sample(Report):
    """What the hand labels are a sample of.

    Parameters
    ----------
    kind
        What was drawn, "paragraph" or "article"; None where it is not known.
    drawn
        Number of labels that were drawn so.
    frames
        The groups and tables that labels stand for; none, the default, where they stand for all
        paragraphs.
    open
        Number of the paragraphs that were drawn, and whose answers make no label.
    groups
        Number of answers on paragraphs that were drawn from groups.
    earlier
        How many answers are on paragraphs that were drawn before others were added, from how many
        at least, and how many there are now; None, the default, if none is.
    """

    kind: Literal["paragraph", "article"] | None
    drawn: int
    frames: tuple[str, ...] = ()
    open: int = 0
    groups: int = 0
    earlier: tuple[int, int, int] | None = None


def sample_of(frame: pd.DataFrame, sample: pd.DataFrame, people: Iterable[Label]) -> Sample:
    """Say what the hand labels are a sample of.

    Parameters
    ----------
    frame
        Paragraph table with labels and the columns of the sample.
    sample
        The table of the sample.
    people
        The latest answers of people.
    """
    drawn = frame[frame["draw"] != ""]
    kind = None if drawn.empty else str(drawn["draw"].iloc[0])
    frames = sorted({*drawn["frame"]} - {""})
    known = frame["text"].isin(frame["text"][has_hand_label(frame)]) | frame["boilerplate"]
    n_open = int(frame["id"][~known].isin(sample["paragraph"][sample["draw"] == kind]).sum())
    now = n_texts(frame)
    sizes = [line.drawn_from for line in people if line.drawn_from and line.drawn_from < now]
    labelled = {*frame["id"][has_hand_label(frame)]}
    n_of_groups = sum(bool(line.group) for line in people if line.paragraph in labelled)
    parts = {
        "frames": frames,
        "open": n_open,
        "groups": 0 if kind == ARTICLE else n_of_groups,
        "earlier": (len(sizes), min(sizes), now) if sizes else None,
    }
    given = {name: part for name, part in parts.items() if part}
    return Sample.model_validate({"kind": kind, "drawn": len(drawn), **given})


def describe_sample(sample: Sample, n_labels: int) -> str:
    """Say in a line what the hand labels are a sample of.

    >>> describe_sample(Sample(kind="paragraph", drawn=60), 75)
    'labels: 60 of 75 were drawn at random (paragraphs)'
    >>> describe_sample(Sample(kind="article", drawn=60), 60)
    'labels: all 60 were drawn at random (whole articles)'
    """
    if sample.kind is None:
        return (
            "labels: it is not known how these paragraphs were chosen. If you drew the rows of a "
            "table at random, write `random: true` under it in prepare.sources; `paratopic label "
            "--random` draws a random sample"
        )
    kind, drawn = KINDS[sample.kind], sample.drawn
    n = f"all {drawn}" if drawn == n_labels else f"{drawn} of {n_labels}"
    line = f"labels: {n} were drawn at random ({kind})"
    if sample.frames:
        return (
            f"{line}, all from {in_short(sample.frames, MOST_NAMED)}, which leave out more than "
            f"{1 - LEAST_COVERED:.0%} of the paragraphs: shares are of these parts alone, and all "
            "other figures give labels the same weight. `paratopic label --random` draws from all "
            "paragraphs, and with --by COLUMN from each group"
        )
    if sample.groups:
        n = "all" if sample.groups == drawn else f"{sample.groups} of these"
        line += f", {n} from groups (--by), weighted by the groups' sizes in the corpus"
    if sample.open:
        lacks = plural(sample.open, "more was drawn and has", "more were drawn and have")
        line += (
            f"; {lacks} no label now, so the sample lacks them: `paratopic suggest` offers first "
            "what the codebook's changes opened, `paratopic review` lists ties"
        )
    if sample.earlier is not None:
        n_before, then, now = sample.earlier
        line += (
            f"; {plural(n_before, 'was', 'were')} drawn when there were {then:,} paragraphs, and "
            f"there are {now:,}: none of those added since was drawn, so labels of the others "
            "correct their predictions, until `paratopic label --random` draws some of them"
        )
    return line


def _first_lines(text_of: Mapping[str, str], lines: Iterable[Label]) -> dict[str, Label]:
    """Text → the line that says how it was chosen, in the order in which they were labelled.

    It is the earliest line that says so, or the earliest one if none does: a paragraph that is
    labelled again is not drawn again, and `merge` may have put the second answer before the first.
    """
    decided = [line for line in lines if line.is_decided and line.paragraph in text_of]
    first: dict[str, Label] = {}
    # Lines of a sheet have one time, or none. Of suggestions in a mixed draw, the earlier ones have
    # the higher chances; those drawn at random weigh almost the same wherever they stand.
    for line in sorted(decided, key=lambda line: (line.time, -(line.chance or math.inf))):
        text = text_of[line.paragraph]
        if text not in first or (line.drawn and not first[text].drawn):
            first.pop(text, None)  # the place in the order is that of the line, too
            first[text] = line
    return first
