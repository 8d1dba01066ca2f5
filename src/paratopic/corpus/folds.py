"""Folds: which labelled paragraphs are held out together.

Paragraphs of one article, and near-duplicates wherever they stand, are never on both sides of a
split. Paragraphs with none of the topics are dealt out too, so that they get out-of-fold scores.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from paratopic.corpus.duplicates import components, near_duplicates
from paratopic.project.errors import UserError
from paratopic.project.topics import SEPARATOR

ALWAYS_TRAIN = -1

# Rare topics reduce the folds to no fewer: training parts would be too small to stand for the model
# that ships, of which all figures speak.
LEAST_FOLDS = 4


class TooFewLabels(UserError):
    """Nothing can be held out."""


@dataclass(frozen=True)
class Folds:
    """Folds and how they came about.

    Parameters
    ----------
    table
        Columns id, group (number of the unit that is never torn apart), repeat and fold; with a
        holdout, fold is 0 for what is held out and -1 for the rest.
    split_unit
        ``"article"``, or ``"paragraph"`` where there are too few articles to split by, or
        ``"nothing"`` where nothing is held out.
    n_folds, n_repeats
        As used, after any reduction.
    messages
        What a reader of the figures has to know.
    """

    table: pd.DataFrame
    split_unit: str
    n_folds: int
    n_repeats: int
    messages: tuple[str, ...]


def make_folds(
    rows: pd.DataFrame, n_folds: int, n_repeats: int, holdout: float | None, seed: int
) -> Folds:
    """Deal labelled paragraphs out to repeated stratified folds.

    Parameters
    ----------
    rows
        Columns id, article, text and topic ('' for none of the topics, more than one separated by
        ";"). Their order is immaterial.
    n_folds, n_repeats
        As wished; folds are reduced to the units of the rarest topic, but not below `LEAST_FOLDS`.
    holdout
        Share held out once instead, or None.
    seed
        Of the shuffles.

    Raises
    ------
    TooFewLabels
        No paragraph has a topic, fewer than two topics occur, or none of them twice.
    """
    rows = rows.sort_values("id", ignore_index=True)
    has = rows["topic"].str.get_dummies(SEPARATOR).astype(bool).drop(columns="", errors="ignore")
    present = sorted(map(str, has))
    if not present:
        raise TooFewLabels(
            "no labelled paragraph at all: give paragraphs topics in the labels' file "
            "(prepare.labels), or headings that match the codebook"
        )
    if len(present) < 2:
        raise TooFewLabels(
            f"only one topic is labelled ({present[0]}): a classifier needs paragraphs of two"
        )
    if has.sum().max() < 2:
        raise TooFewLabels("no topic has two paragraphs: nothing can be held out, label some more")

    messages = []
    duplicates = near_duplicates(list(rows["text"]))
    articles = _joined(pd.factorize(rows["article"])[0], duplicates)
    wished = round(1 / holdout) if holdout else n_folds
    rarest, count = _rarest(has, articles)
    if count >= 2:
        split_unit, groups = "article", articles
    else:
        split_unit, groups = "paragraph", duplicates
        n_articles = rows["article"].nunique()
        if n_articles == 1:
            messages.append("one article: expect lower figures on new articles")
        else:
            messages.append(
                f"topic {rarest} is in one article only: the split is by paragraph, expect lower "
                "figures on new articles"
            )
        rarest, count = _rarest(has, groups)
    most = max(len(set(groups[has[name]])) for name in present)
    used = max(2, min(wished, max(count, min(LEAST_FOLDS, most))))
    if used < wished:
        units = "articles" if split_unit == "article" else "distinct paragraphs"
        messages.append(
            f"topic {rarest} has {count} {units}, fewer than the {wished} folds: {used} folds"
        )

    tables = []
    for repeat in range(1 if holdout else n_repeats):
        fold = deal(has.to_numpy(), groups, used, seed + repeat)
        if holdout:
            fold = np.where(fold == 0, 0, ALWAYS_TRAIN)
        tables.append(
            pd.DataFrame({"id": rows["id"], "group": groups, "repeat": repeat, "fold": fold})
        )
    table = pd.concat(tables, ignore_index=True)
    missing = _untrained(table, has)
    if missing:
        messages.append(
            f"{', '.join(missing)}: in some folds every example is held out, so that none is left "
            "to learn from and the topic cannot be found there"
        )
    return Folds(table, split_unit, 1 if holdout else used, len(tables), tuple(messages))


def no_folds(rows: pd.DataFrame, why: str) -> Folds:
    """Nothing is held out: models are trained and cannot be measured, for the reason given."""
    every = {"id": rows["id"], "group": np.arange(len(rows)), "repeat": 0, "fold": ALWAYS_TRAIN}
    told = f"{why}; what models know of topics is their descriptions, and nothing can be measured"
    return Folds(pd.DataFrame(every), "nothing", 0, 0, (told,))


def deal(
    targets: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64], n_folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """Deal rows out to folds that are alike in topics; no group is torn apart.

    Parameters
    ----------
    targets
        (n, k) which topics each row has.
    groups
        (n,) numbers.
    n_folds, seed
        Of the folds, and of what is left to chance.

    Returns
    -------
    (n,) number of the fold that each row is held out in.
    """
    if (targets.sum(axis=1) > 1).any():
        return _deal_several(targets, groups, n_folds, np.random.default_rng(seed))
    # In order of appearance: a topic's name must not change how its paragraphs are dealt.
    classes = pd.factorize(np.where(targets.any(axis=1), targets.argmax(axis=1), -2))[0]
    fold = np.full(len(classes), ALWAYS_TRAIN, dtype=np.int64)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        # scikit-learn warns of topics with few examples; make_folds has its own words for that.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for number, (_, test) in enumerate(splitter.split(classes, classes, groups)):
            fold[test] = number
    return fold


def _deal_several(
    targets: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
    n_folds: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011), of groups instead of rows.

    The topic that is in the fewest groups not yet dealt out comes first; its groups, the largest
    first, each go where this topic lacks most rows, then where rows lack most. "None of the
    topics" is dealt out like a topic.
    """
    units, owner = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(units), targets.shape[1] + 2))
    every = np.column_stack([targets, ~targets.any(axis=1), np.ones(len(targets))])
    np.add.at(counts, owner, every)
    lacking = np.tile(counts.sum(axis=0) / n_folds, (n_folds, 1))
    fold = np.full(len(units), ALWAYS_TRAIN, dtype=np.int64)
    left = np.ones(len(units), dtype=bool)
    while left.any():
        of_topic = (counts[left] > 0).sum(axis=0)
        topic = int(np.where(of_topic > 0, of_topic, len(units) + 1)[:-1].argmin())
        mine = rng.permutation(np.flatnonzero(left & (counts[:, topic] > 0)))
        for unit in mine[np.argsort(-counts[mine, -1], kind="stable")]:
            chance = rng.permutation(n_folds)
            # The last key decides first.
            best = np.lexsort((chance, -lacking[:, -1], -lacking[:, topic]))[0]
            fold[unit] = best
            lacking[best] -= counts[unit]
            left[unit] = False
    return fold[owner]


def _rarest(has: pd.DataFrame, groups: npt.NDArray[np.int64]) -> tuple[str, int]:
    """The topic that is in the fewest groups, and in how many."""
    counts = {name: len(set(groups[has[name]])) for name in sorted(map(str, has))}
    rarest = min(counts, key=counts.__getitem__)
    return rarest, counts[rarest]


def _untrained(table: pd.DataFrame, has: pd.DataFrame) -> list[str]:
    """Topics that some training part lacks."""
    lacking: set[str] = set()
    for _, fold in table.groupby("repeat")["fold"]:
        dealt = fold.to_numpy()
        for number in set(dealt) - {ALWAYS_TRAIN}:
            seen = has[dealt != number].any()
            lacking |= set(seen.index[~seen].map(str))
    return sorted(lacking)


def iterate_folds(
    table: pd.DataFrame, ids: Sequence[str]
) -> Iterator[tuple[int, int, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Walk over (repeat, fold, training rows, held-out rows), as positions in `ids`."""
    for repeat, part in table.groupby("repeat"):
        fold = part.set_index("id")["fold"].reindex(list(ids)).to_numpy()
        for number in sorted(set(fold) - {ALWAYS_TRAIN}):
            yield (
                int(str(repeat)),
                int(number),
                np.flatnonzero(fold != number),
                np.flatnonzero(fold == number),
            )


def _joined(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The finest numbering in which rows that agree in either numbering agree."""
    n = len(one)
    rows = np.arange(n)
    first_one = pd.Series(rows).groupby(one).transform("first").to_numpy()
    first_other = pd.Series(rows).groupby(other).transform("first").to_numpy()
    return components(np.concatenate([rows, rows]), np.concatenate([first_one, first_other]), n)
