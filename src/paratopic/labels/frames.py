"""Weights of labels that were drawn from several frames: all paragraphs, groups and tables.

A frame is what a draw was made from. Which labels count, and what they are a sample of in words, is
for `sample`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import LEAST_DRAWN

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
