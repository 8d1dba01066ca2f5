"""Labels as a sample of the corpus: weights that undo with what chances paragraphs were drawn.

This module does not draw paragraphs (`annotation.suggestion` does) or compute figures from labels.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import LEAST_DRAWN
from paratopic.corpus.table import TABLE, has_hand_label
from paratopic.labels.log import ARTICLE, Label
from paratopic.project.errors import in_short, plural

# Chance that the next paragraph of a mixed draw is drawn at random, and is not a suggestion.
RANDOM_SHARE = 0.3
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
    For each row: draw, as in `corpus.labelled.SCHEMA`; weight, how much of the corpus its label
    stands for beside the others; and worth, how much the label tells beside one that was drawn at
    random, from 0 to 1. Both are 1 if all were drawn at random from all paragraphs, and NaN without
    a label. Weights are NaN, too, where labels are no sample.
    """
    whole, frame = frame, frame[~frame["boilerplate"]]  # which is never drawn
    frames = {"": {*frame["text"]}, **members}
    hand = frame[has_hand_label(frame)]
    first = _first_lines(dict(zip(hand["id"], hand["text"], strict=True)), lines)
    # Rows of tables that were drawn, and labels without a line, were there before.
    of_tables = hand[(hand["draw"] != "") | ~hand["text"].isin(first)]
    tables = {part for part in members if part.startswith(TABLE) and members[part] != frames[""]}
    part_of = {
        text: next((part for part in tables if id_.startswith(f"{part[len(TABLE) :]}:")), "")
        for text, id_ in zip(of_tables["text"], of_tables["id"], strict=True)
    }
    chance_of: dict[str, float | None] = {
        text: 1.0 if draw == "paragraph" else None
        for text, draw in zip(of_tables["text"], of_tables["draw"], strict=True)
    }
    lines_of = {text: line for text, line in first.items() if text not in chance_of}
    chance_of |= {t: line.chance if line.group in frames else None for t, line in lines_of.items()}
    part_of |= {text: line.group for text, line in lines_of.items()}
    drawn_whole = [line.paragraph for line in first.values() if line.draw == ARTICLE]
    of_articles = hand[
        hand["id"].isin([*drawn_whole, *of_tables["id"][of_tables["draw"] == ARTICLE]])
    ]
    sample = pd.DataFrame({"draw": "", "weight": np.nan, "worth": np.nan}, whole.index)
    drawn = [text for text, chance in chance_of.items() if chance is not None]
    if len(of_articles) and len(drawn) < len(of_articles):
        rows, kind = of_articles, ARTICLE
        weights = _of_whole_articles(frame, of_articles, part_of, frames)
        drawn = list(of_articles["text"])
    else:
        rows, kind, weights = hand, "paragraph", _together(chance_of, part_of, frames)
    covering = _covering(Counter(part_of[text] for text in drawn), chance_of, frames)
    covered = {text for part in covering for text in frames[part]}
    is_sample = len(covered) >= LEAST_COVERED * max(1, len(frames[""]))
    inside = rows[rows["text"].isin(covered)] if covered and not is_sample else rows
    copies = rows.groupby("text")["id"].transform("size")
    for column in ("weight", "worth"):
        sample.loc[rows.index, column] = rows["text"].map(weights[column]).astype(float) / copies
    if not covered:
        sample["weight"] = np.nan
        return sample
    outside = rows.index.difference(inside.index)
    sample.loc[outside, "weight"] = 0.0
    of_drawn = inside[inside["text"].isin(drawn)]
    sample.loc[of_drawn.index, "draw"] = [
        kind if is_sample else f"{kind} in {_part(text, part_of, covering, frames)}"
        for text in of_drawn["text"]
    ]
    return sample


def _covering(
    n_drawn: Mapping[str, int], labelled: Collection[str], frames: Mapping[str, Collection[str]]
) -> list[str]:
    """Parts of the corpus that labels stand for: draws from them, or all their texts have one.

    Draws from all paragraphs beside others have to be at least `LEAST_DRAWN`.
    """
    counted = [part for part in frames if part and _is_counted(frames[part], labelled)]
    parts = [part for part in frames if n_drawn.get(part)]
    if not parts:
        return []
    others = [part for part in parts if part] + [part for part in counted if part not in parts]
    if "" in parts and (not others or n_drawn[""] >= LEAST_DRAWN):
        return [""]
    return others


def _is_counted(texts: Collection[str], labelled: Collection[str]) -> bool:
    """Whether all texts of a part have a label, however they were chosen."""
    return bool(texts) and all(text in labelled for text in texts)


def _part(
    text: str,
    part_of: Mapping[str, str],
    covering: Sequence[str],
    frames: Mapping[str, Collection[str]],
) -> str:
    """The part that a text was drawn from, or the first one that it is in."""
    own = part_of[text]
    return own if own in covering else next(part for part in covering if text in frames[part])


def _of_whole_articles(
    frame: pd.DataFrame,
    labelled: pd.DataFrame,
    part_of: Mapping[str, str],
    frames: Mapping[str, Collection[str]],
) -> pd.DataFrame:
    """Weight and worth of the texts of articles that were drawn, if no text is there twice.

    A text that several of the articles have is labelled in one of them, and counts once. Articles
    weigh the more the fewer were drawn where they could be.
    """
    drawn = frame[frame["article"].isin(labelled["article"])]
    known = drawn[drawn["text"].isin(labelled["text"])]
    n_known = known.groupby("article")["id"].transform("size")
    each = known["article"].map(drawn["article"].value_counts()) / n_known
    weight = each.groupby(known["text"]).sum() / frame["text"].value_counts()
    weight = weight.loc[labelled["text"].unique()]
    own = labelled["text"].map(part_of)
    density = pd.Series(0.0, labelled["article"].unique())
    for part in own.unique():
        articles = frame["article"][frame["text"].isin(frames[part])].unique()
        rate = labelled["article"][own == part].nunique() / len(articles)
        density[density.index.isin(articles)] += rate
    of_texts = labelled["article"].map(density.mean() / density).groupby(labelled["text"]).mean()
    return pd.DataFrame({"weight": weight * of_texts, "worth": weight.clip(upper=1.0)})


def n_texts(frame: pd.DataFrame) -> int:
    """Number of paragraphs that can be drawn: without boilerplate, and copies once."""
    return int(frame["text"][~frame["boilerplate"]].nunique())


def sample_of(
    frame: pd.DataFrame, answers: pd.DataFrame, people: Iterable[Label]
) -> dict[str, Any]:
    """Say what the hand labels are a sample of.

    Parameters
    ----------
    frame
        Paragraph table, with the columns of `weigh_sample`.
    answers
        The table of answers.
    people
        The latest answers of people.

    Returns
    -------
    ``kind``, what was drawn, "paragraph" or "article", None where it is not known; ``drawn``, the
    number of labels that were drawn so; ``parts``, if labels do not stand for all paragraphs, the
    parts that they stand for; ``open``, if there are any, the number of the paragraphs that were
    drawn, and whose answers make no label; ``groups``, if there are any, the number of answers on
    paragraphs that were drawn from groups; and ``earlier``, if paragraphs were added since, how
    many answers are on paragraphs that were drawn before, and from how many.
    """
    drawn = frame["draw"][frame["draw"] != ""]
    kind = None if drawn.empty else str(drawn.iloc[0]).partition(" in ")[0]
    parts = parts_of(drawn)
    known = frame["text"].isin(frame["text"][has_hand_label(frame)]) | frame["boilerplate"]
    n_open = int(frame["id"][~known].isin(answers["paragraph"][answers["draw"] == kind]).sum())
    now = n_texts(frame)
    sizes = [line.drawn_from for line in people if line.drawn_from and line.drawn_from < now]
    sample: dict[str, Any] = {"kind": kind, "drawn": len(drawn)}
    sample |= ({"parts": parts} if parts else {}) | ({"open": n_open} if n_open else {})
    labelled = {*frame["id"][has_hand_label(frame)]}
    n_of_groups = sum(bool(line.group) for line in people if line.paragraph in labelled)
    if n_of_groups and kind != ARTICLE:
        sample["groups"] = n_of_groups
    return sample | ({"earlier": [len(sizes), min(sizes), now]} if sizes else {})


def parts_of(draws: Iterable[str]) -> list[str]:
    """Parts of the corpus that labels stand for, by their column draw; none if for all of it.

    >>> parts_of(["paragraph in table old", "", "paragraph in table old"])
    ['table old']
    """
    return sorted({draw.partition(" in ")[2] for draw in draws} - {""})


def describe_sample(sample: Mapping[str, Any], n_labels: int) -> str:
    """Say in a line what the hand labels are a sample of.

    >>> describe_sample({"kind": "paragraph", "drawn": 60}, 75)
    'labels: 60 of 75 were drawn at random (paragraphs)'
    """
    if sample["kind"] is None:
        return (
            "labels: it is not known how these paragraphs were chosen. If you drew the rows of a "
            "table at random, write `random: true` under it in prepare.sources; `paratopic label "
            "--random` draws a random sample"
        )
    kind = KINDS[sample["kind"]]
    line = f"labels: {sample['drawn']} of {n_labels} were drawn at random ({kind})"
    if "parts" in sample:
        return (
            f"{line}, all from {in_short(sample['parts'], MOST_NAMED)}, which leave out more than "
            f"{1 - LEAST_COVERED:.0%} of the paragraphs: shares are of these parts alone, and all "
            "other figures give labels the same weight. `paratopic label --random` draws from all "
            "paragraphs, and with --by COLUMN from each group"
        )
    if "groups" in sample:
        line += (
            f"; {sample['groups']} of these were drawn by group, and are weighted by each group's "
            "share of the corpus"
        )
    if "open" in sample:
        lacks = plural(sample["open"], "more was drawn and has", "more were drawn and have")
        line += (
            f"; {lacks} no label now, so the sample lacks them: `paratopic suggest` offers first "
            "what the codebook's changes opened, `paratopic review` lists ties"
        )
    if "earlier" in sample:
        n, then, now = sample["earlier"]
        line += (
            f"; {plural(n, 'was', 'were')} drawn when there were {then:,} paragraphs, and there "
            f"are {now:,}: none of those added since was drawn, so labels of the others correct "
            "their predictions, until `paratopic label --random` draws some of them"
        )
    return line


def _first_lines(text_of: Mapping[str, str], lines: Iterable[Label]) -> dict[str, Label]:
    """Text → the line that says how it was chosen, in the order in which they were labelled.

    It is the earliest line that says so, or the earliest one if none does: a paragraph that is
    labelled again is not drawn again, and `merge` may have put the second answer before the first.

    Parameters
    ----------
    text_of
        Id → text of the paragraphs with a hand label.
    lines
        All lines of labels.csv, in its order.
    """
    decided = [line for line in lines if line.is_decided and line.paragraph in text_of]
    first: dict[str, Label] = {}
    for line in sorted(decided, key=_rank):
        text = text_of[line.paragraph]
        if text not in first or (line.drawn and not first[text].drawn):
            first.pop(text, None)  # the place in the order is that of the line, too
            first[text] = line
    return first


def _rank(line: Label) -> tuple[datetime, float]:
    """When a line was written. Their order in the file does not tell: `merge` sorts by paragraph.

    Sheets have no times. Of those that are suggested in a mixed draw, the earlier ones have the
    higher chances, and those drawn at random weigh almost the same wherever they stand.
    """
    return line.time, -(line.chance or math.inf)


def _together(
    chance_of: Mapping[str, float | None],
    part_of: Mapping[str, str],
    frames: Mapping[str, Collection[str]],
) -> pd.DataFrame:
    """Weight and worth of M texts that were drawn from all or from parts.

    Draws from a part tell of its texts alone, and of these the draws from all tell too. So the
    weights of `_weights` in all and in each part are added, and divided by how many labels there
    are for each text in all and in these parts. In a part whose texts all have a label, each weighs
    1.

    Parameters
    ----------
    chance_of
        Text → `Label.chance`, in the order in which they were labelled.
    part_of
        Text → the part that it was drawn from, "" for all.
    frames
        Each part, and "" for all → its texts.

    Returns
    -------
    Columns weight and worth, with the texts as index.
    """
    sums = pd.DataFrame(0.0, list(chance_of), ["weight", "density"])
    for part, inside in frames.items():
        texts = [text for text in chance_of if text in inside]
        chances = [chance_of[text] if part_of.get(text, "") == part else None for text in texts]
        if part and _is_counted(inside, chance_of):
            weights = np.ones(len(texts))
        elif chances.count(None) < len(chances):
            weights = np.array(_weights(chances, len(inside)))
        else:
            continue
        sums.loc[texts, "weight"] += weights
        sums.loc[texts, "density"] += weights.sum() / len(inside)
    # Where all were drawn from all, mean and density are equal to the last bit.
    mean = sums["weight"].sum() / max(1, len(frames[""]))
    weight = (sums["weight"] * (mean / sums["density"])).fillna(0.0)
    return sums.assign(weight=weight, worth=sums["weight"].clip(upper=1.0))


def _weights(chances: Sequence[float | None], n_texts: int) -> list[float]:
    """Weights of M paragraphs that were labelled one after another.

    At step s, U paragraphs are left. If one of them is drawn with the probability chance / U, the
    total of any figure over the corpus is estimated without bias by its sum over the paragraphs
    labelled before, and U / chance times that of the one drawn. The estimates of all such steps are
    added up, each times a(s). So a paragraph weighs a(s) U / chance for its own step, if it was
    drawn, and a(t) for each later step t. The factors a(s) are such that this is 1 for each
    paragraph drawn, if all chances are 1. Steps of a mixed draw, in which fewer are drawn at
    random, count less in the same proportion, so that all that were drawn at random weigh alike.

    Parameters
    ----------
    chances
        `Label.chance` of each; None for one that was chosen in another way.
    n_texts
        Number of paragraphs that they were drawn from.
    """
    weights = []
    later = 0.0  # the sum of a(t)
    for step, chance in reversed(list(enumerate(chances))):
        if chance is None:
            weights.append(later)
        else:
            # Of a suggestion in a mixed draw only the chance is known, not its share at random.
            counts = max(later, chance if chance <= 1 else RANDOM_SHARE)
            weights.append(later + (counts - later) / chance)
            later += (counts - later) / (n_texts - step)
    return weights[::-1]
