"""Labels as a sample of the corpus: weights that undo with what chances paragraphs were drawn.

This module does not draw paragraphs (`annotation.suggestion` does) or compute figures from labels.

Labels may be drawn from several frames: all paragraphs, groups and tables. A frame is what a draw
was made from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import LEAST_DRAWN
from paratopic.corpus.table import TABLE, has_hand_label
from paratopic.labels.log import ARTICLE, Label
from paratopic.project.errors import in_short, plural
from paratopic.project.reports import Report

# Chance that the next paragraph of a mixed draw is drawn at random, and is not a suggestion.
RANDOM_SHARE = 0.3


@dataclass(frozen=True)
class Draws:
    """How M texts with a label were chosen.

    Parameters
    ----------
    chance_of
        Text → `Label.chance`, in the order in which they were labelled.
    frame_of
        Text → the frame that it was drawn from: a group, a table, or "" for all paragraphs.
    frames
        Each of these → its texts.
    in_whole_articles
        Ids of the paragraphs whose whole article was drawn.
    """

    chance_of: Mapping[str, float | None]
    frame_of: Mapping[str, str]
    frames: Mapping[str, Collection[str]]
    in_whole_articles: Sequence[str]

    @property
    def drawn(self) -> list[str]:
        """The texts that were drawn one by one."""
        return [text for text, chance in self.chance_of.items() if chance is not None]

    def is_counted(self, frame: str) -> bool:
        """Whether all texts of a group or table have a label, however they were chosen."""
        texts = self.frames[frame]
        return bool(frame and texts) and all(text in self.chance_of for text in texts)

    def covering(self, drawn: Sequence[str]) -> list[str]:
        """Frames that labels stand for: those of texts that were drawn, or that are counted.

        Draws from all paragraphs beside others have to be at least `LEAST_DRAWN`.
        """
        n_drawn = Counter(self.frame_of[text] for text in drawn)
        if not any(n_drawn[part] for part in self.frames):
            return []
        parts = [part for part in self.frames if part and (n_drawn[part] or self.is_counted(part))]
        return [""] if not parts or n_drawn[""] >= LEAST_DRAWN else parts

    def frame(self, text: str, covering: Sequence[str]) -> str:
        """The frame that a text was drawn from, or the first of these that it is in."""
        own = self.frame_of[text]
        return own if own in covering else next(p for p in covering if text in self.frames[p])


def weights_of_articles(frame: pd.DataFrame, labelled: pd.DataFrame, draws: Draws) -> pd.DataFrame:
    """Weight and effective count of texts of articles that were drawn, if no text is there twice.

    A text that several of the articles have is labelled in one of them, and counts once. Articles
    weigh the more the fewer were drawn where they could be.
    """
    drawn = frame[frame["article"].isin(labelled["article"])]
    known = drawn[drawn["text"].isin(labelled["text"])]
    n_known = known.groupby("article")["id"].transform("size")
    each = known["article"].map(drawn["article"].value_counts()) / n_known
    weight = each.groupby(known["text"]).sum() / frame["text"].value_counts()
    weight = weight.loc[labelled["text"].unique()]
    own = labelled["text"].map(draws.frame_of)
    density = pd.Series(0.0, labelled["article"].unique())
    for part in own.unique():
        articles = frame["article"][frame["text"].isin(draws.frames[part])].unique()
        rate = labelled["article"][own == part].nunique() / len(articles)
        density[density.index.isin(articles)] += rate
    of_texts = labelled["article"].map(density.mean() / density).groupby(labelled["text"]).mean()
    return pd.DataFrame({"weight": weight * of_texts, "effective_count": weight.clip(upper=1.0)})


def weights_of_texts(draws: Draws) -> pd.DataFrame:
    """Weight and effective count of M texts that were drawn from all or from parts.

    Draws from a part tell of its texts alone, and of these the draws from all tell too. So the
    weights of `_weights` in all and in each part are added, and divided by how many labels there
    are for each text in all and in these parts. In a part whose texts all have a label, each weighs
    1.

    Returns
    -------
    Columns weight and effective_count, with the texts as index.
    """
    sums = pd.DataFrame(0.0, list(draws.chance_of), ["weight", "density"])
    for part, inside in draws.frames.items():
        chances = {
            text: chance if draws.frame_of[text] == part else None
            for text, chance in draws.chance_of.items()
            if text in inside
        }
        if draws.is_counted(part):
            weights = np.ones(len(chances))
        elif any(chance is not None for chance in chances.values()):
            weights = np.array(_weights(list(chances.values()), len(inside)))
        else:
            continue
        sums.loc[list(chances), "weight"] += weights
        sums.loc[list(chances), "density"] += weights.sum() / len(inside)
    # Where all were drawn from all, mean and density are equal to the last bit.
    mean = sums["weight"].sum() / max(1, len(draws.frames[""]))
    weight = (sums["weight"] * (mean / sums["density"])).fillna(0.0)
    return sums.assign(weight=weight, effective_count=sums["weight"].clip(upper=1.0))


def _weights(chances: Sequence[float | None], n_texts: int) -> list[float]:
    """Weights of M paragraphs that were labelled one after another.

    At step s, U paragraphs are left. If one of them is drawn with the probability chance / U, the
    total of any figure over the corpus is estimated without bias by its sum over the paragraphs
    labelled before, and U / chance times that of the one drawn. The estimates of all such steps are
    added up, each times a(s). So a paragraph weighs a(s) U / chance for its own step, if it was
    drawn, and a(t) for each later step t. The factors a(s) are such that this is 1 for each
    paragraph drawn, if all chances are 1. Steps of a mixed draw, in which fewer are drawn at
    random, count less in the same proportion, so that all that were drawn at random weigh alike.
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
