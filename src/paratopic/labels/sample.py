"""Labels as a sample of the corpus: weights that correct for the chances of the draws.

A frame is the set of paragraphs from which a draw was made. Labels may be drawn from several
frames: all paragraphs, groups and tables.
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
from paratopic.project.errors import plural, shortened_list
from paratopic.project.reports import Report

# Chance that a mixed draw takes its next paragraph at random instead of the next suggestion.
RANDOM_SHARE = 0.3

# Frame → its texts.
Frames = Mapping[str, Collection[str]]


@dataclass(frozen=True)
class Draws:
    """The draws of M texts with a label.

    Parameters
    ----------
    chance_of
        Text → `Label.chance`, in the order in which they were labelled.
    frame_of
        Text → the frame from which it was drawn: a group, a table, or "" for all paragraphs.
    in_whole_articles
        Ids of the paragraphs whose whole article was drawn.
    """

    chance_of: Mapping[str, float | None]
    frame_of: Mapping[str, str]
    frames: Frames
    in_whole_articles: Sequence[str]

    def is_fully_labelled(self, frame: str) -> bool:
        """Whether all texts of a group or table have a label, however they were chosen."""
        texts = self.frames[frame]
        return bool(frame and texts) and all(text in self.chance_of for text in texts)

    def covered_frames(self, drawn: Sequence[str]) -> list[str]:
        """Frames that labels represent: [""] for the whole corpus, or else groups and tables.

        Any groups and tables with drawn texts, or fully labelled, are the result if fewer than
        `LEAST_DRAWN` texts were drawn from all paragraphs. Without any draw, it is empty.
        """
        n_drawn = Counter(self.frame_of[text] for text in drawn)
        if not any(n_drawn[frame] for frame in self.frames):
            return []
        parts = [f for f in self.frames if f and (n_drawn[f] or self.is_fully_labelled(f))]
        return [""] if not parts or n_drawn[""] >= LEAST_DRAWN else parts

    def frame_among(self, text: str, frames: Sequence[str]) -> str:
        """The frame from which a text was drawn, or else the first of the frames that has it."""
        own = self.frame_of[text]
        return own if own in frames else next(f for f in frames if text in self.frames[f])


def article_weights(frame: pd.DataFrame, labelled: pd.DataFrame, draws: Draws) -> pd.DataFrame:
    """Columns weight and effective_count of each labelled text, the index, of whole drawn articles.

    An article shares the number of its paragraphs equally among those with a labelled text. The
    parts of a text are added, and divided by its copies in `frame`; this, at most 1, is the
    effective count. The weight is larger, the fewer articles were drawn from the frames of the
    text's articles. `frame` has no boilerplate; `labelled` has the labelled rows of the articles.
    """
    drawn = frame[frame["article"].isin(labelled["article"])]
    known = drawn[drawn["text"].isin(labelled["text"])]
    n_known = known.groupby("article")["id"].transform("size")
    article_share = known["article"].map(drawn["article"].value_counts()) / n_known
    weight = article_share.groupby(known["text"]).sum() / frame["text"].value_counts()
    weight = weight.loc[labelled["text"].unique()]
    own_frame = labelled["text"].map(draws.frame_of)
    density = pd.Series(0.0, labelled["article"].unique())
    for name in own_frame.unique():
        articles = frame["article"][frame["text"].isin(draws.frames[name])].unique()
        rate = labelled["article"][own_frame == name].nunique() / len(articles)
        density[density.index.isin(articles)] += rate
    factor = labelled["article"].map(density.mean() / density).groupby(labelled["text"]).mean()
    return pd.DataFrame({"weight": weight * factor, "effective_count": weight.clip(upper=1.0)})


def text_weights(draws: Draws) -> pd.DataFrame:
    """Columns weight and effective_count for each of the M texts of `draws`, the index.

    Draws from a part represent only its texts, which draws from all represent too. So the weights
    of `_weights` in all and in each part are added, and divided by the labels per text in all and
    in these parts together. In a fully labelled part, each text weighs 1. The effective count is
    the sum of the weights, at most 1. Both are 0 for a text that is only in parts without draws.
    """
    sums = pd.DataFrame(0.0, list(draws.chance_of), ["weight", "density"])
    for frame, texts in draws.frames.items():
        chances = {
            text: chance if draws.frame_of[text] == frame else None
            for text, chance in draws.chance_of.items()
            if text in texts
        }
        if draws.is_fully_labelled(frame):
            weights = np.ones(len(chances))
        elif any(chance is not None for chance in chances.values()):
            weights = np.array(_weights(list(chances.values()), len(texts)))
        else:
            continue
        # Of a list, pandas makes an array in which each text takes as much memory as the longest.
        rows = pd.Index(list(chances))
        sums.loc[rows, "weight"] += weights
        sums.loc[rows, "density"] += weights.sum() / len(texts)
    # If every draw was from all paragraphs, mean and density are equal to the last bit.
    mean = sums["weight"].sum() / max(1, len(draws.frames[""]))
    weight = (sums["weight"] * (mean / sums["density"])).fillna(0.0)
    return sums.assign(weight=weight, effective_count=sums["weight"].clip(upper=1.0))


def _weights(chances: Sequence[float | None], n_texts: int) -> list[float]:
    """Weights of M paragraphs labelled one after another; those with the chance None are not drawn.

    At step s, U paragraphs of `n_texts` remain, and one is drawn with the probability chance / U.
    An unbiased estimate of the total of any figure over the corpus is its sum over the paragraphs
    labelled before, plus U / chance times its value for the drawn one. The estimates of all such
    steps are added up, each times a(s). So a paragraph weighs a(s) U / chance for its own step, if
    it was drawn, and a(t) for each later step t with a draw: 0 if there is none. The factors a(s)
    make this 1 for each drawn paragraph if all chances are 1. Steps of a mixed draw, in which fewer
    are drawn at random, count less in proportion, so that all random draws weigh the same.
    """
    weights = []
    later = 0.0  # the sum of a(t)
    for step, chance in reversed(list(enumerate(chances))):
        if chance is None:
            weights.append(later)
        else:
            # A mixed draw records only the chance of a suggestion, not the share of random draws.
            target = max(later, chance if chance <= 1 else RANDOM_SHARE)
            weights.append(later + (target - later) / chance)
            later += (target - later) / (n_texts - step)
    return weights[::-1]


# Draws from groups represent the corpus if the groups cover this share of it. It is below 1, so
# that later files or a corrected date do not invalidate a sample.
LEAST_COVERED = 0.9
# Highest number of parts of the corpus that a message names.
MOST_NAMED = 5
# Unit of a draw, as in the paragraph table → words for it.
KINDS = {"paragraph": "paragraphs", ARTICLE: "whole articles"}


def weigh_sample(frame: pd.DataFrame, lines: Iterable[Label], members: Frames) -> pd.DataFrame:
    """Compute weights with which hand labels represent the corpus, or parts of it.

    For paragraphs that were drawn one by one, the weights are those of LURE (Farquhar, Gal &
    Rainforth 2021, https://arxiv.org/abs/2101.11665), extended to paragraphs that were chosen in
    another way between the draws. Draws from groups, from tables and from all paragraphs are
    combined as in surveys with several frames (Kalton & Anderson 1986, Journal of the Royal
    Statistical Society A 149, 65-82). If whole articles were drawn, each weighs its number of
    paragraphs, which its labelled ones share. If there are draws of both units, the unit with more
    labels gets the weights. Copies of a text are one paragraph: its labelled copies divide its
    weight and effective count. Boilerplate is not part of the corpus.

    Parameters
    ----------
    frame
        Paragraph table with the labels joined. Its column `draw` has the unit of the draw for rows
        of labelled tables, else "".
    lines
        Lines of people in labels.csv, in its order.
    members
        Part from which paragraphs were drawn (`Label.group`, or a table) → its texts. Draws from
        other groups count as chosen in another way.

    Returns
    -------
    The columns draw, frame, weight and effective_count for each row of `frame`. Draw is the unit
    that gets the weights, "" for rows that were not drawn so; frame is "" if labels represent the
    corpus. The effective count is the number of random draws that a label is worth, at most 1 for a
    text. It and the weight are 1 if all were drawn at random from all paragraphs, and NaN without a
    label or, if articles get the weights, in other articles. Weights are 0 outside of the parts
    that labels represent; all are NaN if labels are no sample.
    """
    all_rows = frame.index
    frame = frame[~frame["boilerplate"]]  # boilerplate is never drawn
    hand = frame[has_hand_label(frame)]
    draws = _draws(hand, lines, {"": {*frame["text"]}, **members})
    drawn = [text for text, chance in draws.chance_of.items() if chance is not None]
    rows, kind = hand, "paragraph"
    in_articles = hand[hand["id"].isin(draws.in_whole_articles)]
    if len(in_articles) and len(drawn) < len(in_articles):
        rows, kind, drawn = in_articles, ARTICLE, list(in_articles["text"])
        weights = article_weights(frame, rows, draws)
    else:
        weights = text_weights(draws)
    frames = draws.covered_frames(drawn)
    covered = {text for name in frames for text in draws.frames[name]}
    covers_corpus = len(covered) >= LEAST_COVERED * max(1, len(draws.frames[""]))
    usual = {"draw": "", "frame": "", "weight": np.nan, "effective_count": np.nan}
    sample = pd.DataFrame(usual, all_rows)
    n_copies = rows.groupby("text")["id"].transform("size")
    for column in ("weight", "effective_count"):
        sample.loc[rows.index, column] = rows["text"].map(weights[column]).astype(float) / n_copies
    if not covered:
        return sample.assign(weight=np.nan)
    if not covers_corpus:
        sample.loc[rows.index[~rows["text"].isin(covered)], "weight"] = 0.0
        rows = rows[rows["text"].isin(covered)]
    rows = rows[rows["text"].isin(drawn)]
    sample.loc[rows.index, "draw"] = kind
    if not covers_corpus:
        sample.loc[rows.index, "frame"] = [draws.frame_among(x, frames) for x in rows["text"]]
    return sample


def _draws(hand: pd.DataFrame, lines: Iterable[Label], frames: Frames) -> Draws:
    """The draws of the texts of `hand`, rows with a hand label; `frames`: frame → its texts.

    Drawn rows of tables, and rows without a line, come first, and then the draws of deciding lines.
    The chance is 1 for a row of a table drawn as a paragraph, else that of the deciding line; None
    for whole articles, groups that `frames` lacks, and unknown draws.
    """
    line_of = _deciding_lines(dict(zip(hand["id"], hand["text"], strict=True)), lines)
    # Drawn rows of tables, and labels without a line, come before the lines.
    table_rows = hand[(hand["draw"] != "") | ~hand["text"].isin(line_of)]
    tables = {name for name in frames if name.startswith(TABLE) and frames[name] != frames[""]}
    chance_of: dict[str, float | None] = {}
    frame_of: dict[str, str] = {}
    for text, id_, draw in table_rows[["text", "id", "draw"]].itertuples(index=False):
        chance_of[text] = 1.0 if draw == "paragraph" else None
        own_tables = (table for table in tables if id_.startswith(f"{table[len(TABLE) :]}:"))
        frame_of[text] = next(own_tables, "")
    for text, line in line_of.items():
        if text not in chance_of:
            chance_of[text] = line.chance if line.group in frames else None
            frame_of[text] = line.group
    in_articles = [line.paragraph for line in line_of.values() if line.draw == ARTICLE]
    in_articles += table_rows["id"][table_rows["draw"] == ARTICLE].tolist()
    return Draws(chance_of, frame_of, frames, in_articles)


def n_texts(frame: pd.DataFrame) -> int:
    """Number of paragraphs that can be drawn: without boilerplate, and with copies as one."""
    return int(frame["text"][~frame["boilerplate"]].nunique())


class Sample(Report):
    """A description of the hand labels as a sample.

    Parameters
    ----------
    kind
        Unit of the draws, "paragraph" or "article"; None where it is not known.
    drawn
        Number of labels that were drawn in this unit.
    frames
        The groups and tables that labels represent; none, the default, where they represent all
        paragraphs.
    open
        Number of drawn paragraphs without a label, because votes are tied or retired.
    groups
        Number of labels on paragraphs that were drawn from groups.
    earlier
        Three numbers if some votes are on paragraphs that were drawn before others were added: of
        these votes, of the paragraphs at the first of these draws, and of the paragraphs now. None,
        the default, otherwise.
    """

    kind: Literal["paragraph", "article"] | None
    drawn: int
    frames: tuple[str, ...] = ()
    open: int = 0
    groups: int = 0
    earlier: tuple[int, int, int] | None = None


def sample_of(frame: pd.DataFrame, sample: pd.DataFrame, people: Iterable[Label]) -> Sample:
    """Describe the hand labels as a sample: the unit of the draws, and how many labels were drawn.

    They are None and 0 without any draw. Further fields are the groups and tables that labels
    represent, none for the corpus; the numbers of drawn paragraphs without a label, and of labels
    from groups (0 for articles); and numbers on draws from before paragraphs were added, else None.
    `frame` is the paragraph table with labels and the columns of the sample, `sample` the table of
    the sample, and `people` are the latest votes of people.
    """
    drawn = frame[frame["draw"] != ""]
    kind = None if drawn.empty else str(drawn["draw"].iloc[0])
    frames = sorted({*drawn["frame"]} - {""})
    known = frame["text"].isin(frame["text"][has_hand_label(frame)]) | frame["boilerplate"]
    n_open = int(frame["id"][~known].isin(sample["paragraph"][sample["draw"] == kind]).sum())
    n_now = n_texts(frame)
    sizes = [line.drawn_from for line in people if line.drawn_from and line.drawn_from < n_now]
    labelled = {*frame["id"][has_hand_label(frame)]}
    n_from_groups = sum(bool(line.group) for line in people if line.paragraph in labelled)
    fields = {
        "frames": frames,
        "open": n_open,
        "groups": 0 if kind == ARTICLE else n_from_groups,
        "earlier": (len(sizes), min(sizes), n_now) if sizes else None,
    }
    filled = {name: value for name, value in fields.items() if value}
    return Sample.model_validate({"kind": kind, "drawn": len(drawn), **filled})


def describe_sample(sample: Sample, n_labels: int) -> str:
    """Describe the sample of `n_labels` hand labels in one line, without a full stop at its end.

    It names the parts that labels represent, or else draws from groups, draws without a label and
    earlier draws. Without any draw, it says how to draw.

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
            f"{line}, all from {shortened_list(sample.frames, MOST_NAMED)}, which leave out more "
            f"than {1 - LEAST_COVERED:.0%} of the paragraphs: shares are of these parts alone, and "
            "all other figures give labels the same weight. `paratopic label --random` draws from "
            "all paragraphs, and with --by COLUMN from each group"
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
        n_before, n_then, n_now = sample.earlier
        line += (
            f"; {plural(n_before, 'was', 'were')} drawn when there were {n_then:,} paragraphs, and "
            f"there are {n_now:,}: none of those added since was drawn, so labels of the others "
            "correct their predictions, until `paratopic label --random` draws some of them"
        )
    return line


def _deciding_lines(text_of: Mapping[str, str], lines: Iterable[Label]) -> dict[str, Label]:
    """Text → the line that records its draw, in the order in which texts were labelled.

    It is the earliest line with a draw, or the earliest line if none has one: a paragraph that is
    labelled again is not drawn again, and `merge` may have put the second vote before the first.
    Undecided lines do not count. `text_of` has the text of each id with a hand label.
    """
    decided = [line for line in lines if line.is_decided and line.paragraph in text_of]
    line_of: dict[str, Label] = {}
    # Lines of a sheet have the same time, or none. Earlier suggestions of a mixed draw have higher
    # chances. Random draws have almost the same weight at any place in the order.
    for line in sorted(decided, key=lambda line: (line.time, -(line.chance or math.inf))):
        text = text_of[line.paragraph]
        if text not in line_of or (line.drawn and not line_of[text].drawn):
            line_of.pop(text, None)  # so that the text takes the place of this line in the order
            line_of[text] = line
    return line_of
