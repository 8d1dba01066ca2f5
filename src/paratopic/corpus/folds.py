"""Deal labelled paragraphs to folds: the parts that are held out in turn.

Paragraphs that must not be on both sides of a fold form a group: those of one article, and
near-duplicates wherever they are. Paragraphs with none of the topics are dealt too, so that they
get out-of-fold scores. No model is trained here.
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

# In place of the number of a fold: the row is never held out.
ALWAYS_TRAIN = -1

# A rare topic reduces the number of folds to no less than this. With fewer, the training parts
# would be too small for the figures to say anything about the final model, which has every label.
LEAST_FOLDS = 4


class TooFewLabels(UserError):
    """There are too few labels to hold any out."""


@dataclass(frozen=True)
class Folds:
    """Folds, and how they were chosen.

    Parameters
    ----------
    table
        One row for each paragraph and repeat, with the columns id, group (number of the group,
        which is never divided), repeat, and fold (number of the fold in which the paragraph is
        held out). With a holdout, fold is 0 for paragraphs that are held out and -1 for the rest.
    split_unit
        What groups consist of: ``"article"``; ``"paragraph"`` where a topic occurs in one article
        only; ``"nothing"`` where nothing is held out.
    n_folds, n_repeats
        Numbers actually used, after any reduction.
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
    """Deal labelled paragraphs to repeated stratified folds.

    Parameters
    ----------
    rows
        Columns id, article, text and topic ("" for none of the topics, several separated by ";").
        Their order does not matter.
    n_folds
        Number of folds wanted. It is reduced to the number of groups that have the rarest topic,
        but not below `LEAST_FOLDS`.
    n_repeats
        How often all paragraphs are dealt anew.
    holdout
        Share of the paragraphs to hold out once, instead of folds; None for folds.
    seed
        Seed of the random draws.

    Raises
    ------
    TooFewLabels
        No paragraph has a topic, there is only one topic, or no topic has two paragraphs.
    """
    rows = rows.sort_values("id", ignore_index=True)
    has = rows["topic"].str.get_dummies(SEPARATOR).astype(bool).drop(columns="", errors="ignore")
    _refuse_too_few(has)
    split_unit, groups, messages = _choose_groups(rows, has)
    wanted = round(1 / holdout) if holdout else n_folds
    n_dealt, reduced = _number_of_folds(has, groups, split_unit, wanted)
    repeats = range(1 if holdout else n_repeats)
    dealt = [deal(has.to_numpy(), groups, n_dealt, seed + repeat) for repeat in repeats]
    if holdout:
        dealt = [np.where(fold == 0, 0, ALWAYS_TRAIN) for fold in dealt]
    tables = [
        pd.DataFrame({"id": rows["id"], "group": groups, "repeat": repeat, "fold": fold})
        for repeat, fold in zip(repeats, dealt, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    messages += reduced + _untrained_topics(table, has)
    return Folds(table, split_unit, 1 if holdout else n_dealt, len(repeats), tuple(messages))


def no_folds(rows: pd.DataFrame, why: str) -> Folds:
    """Hold nothing out, so that models are trained but not measured.

    Parameters
    ----------
    rows
        Labelled paragraphs, with a column id.
    why
        The reason, which begins the message.
    """
    table = {"id": rows["id"], "group": np.arange(len(rows)), "repeat": 0, "fold": ALWAYS_TRAIN}
    message = f"{why}; models know the topics by their descriptions, and nothing can be measured"
    return Folds(pd.DataFrame(table), "nothing", 0, 0, (message,))


def deal(
    targets: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64], n_folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """Deal rows to folds with similar shares of each topic, without dividing a group.

    Parameters
    ----------
    targets
        (n, k) which topics each row has.
    groups
        (n,) number of each row's group.
    n_folds
        Number of folds.
    seed
        Seed of the random draws.

    Returns
    -------
    (n,) number of the fold in which each row is held out.
    """
    if (targets.sum(axis=1) > 1).any():
        return _deal_iteratively(targets, groups, n_folds, np.random.default_rng(seed))
    # Numbered in order of appearance: renaming a topic must not change its paragraphs' folds.
    classes = pd.factorize(np.where(targets.any(axis=1), targets.argmax(axis=1), -2))[0]
    fold = np.full(len(classes), ALWAYS_TRAIN, dtype=np.int64)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        # scikit-learn warns about topics with few examples; make_folds has messages for that.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for number, (_, held_out) in enumerate(splitter.split(classes, classes, groups)):
            fold[held_out] = number
    return fold


def iterate_folds(
    table: pd.DataFrame, ids: Sequence[str]
) -> Iterator[tuple[int, int, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Walk over repeats and folds.

    Parameters
    ----------
    table
        Table of `Folds`.
    ids
        Ids of the paragraphs, in the order that positions refer to.

    Yields
    ------
    Numbers of the repeat and of the fold, then positions in `ids` of the training rows and of the
    rows held out.
    """
    for repeat, part in table.groupby("repeat"):
        fold = part.set_index("id")["fold"].reindex(list(ids)).to_numpy()
        for number in sorted(set(fold) - {ALWAYS_TRAIN}):
            yield (
                int(str(repeat)),
                int(number),
                np.flatnonzero(fold != number),
                np.flatnonzero(fold == number),
            )


def _refuse_too_few(has: pd.DataFrame) -> None:
    """Raise `TooFewLabels` unless two topics occur and one of them has two paragraphs."""
    if not len(has.columns):
        raise TooFewLabels(
            "no labelled paragraph at all: give paragraphs topics in the labels' file "
            "(prepare.labels), or headings that match the codebook"
        )
    if len(has.columns) < 2:
        raise TooFewLabels(
            f"only one topic is labelled ({has.columns[0]}): a classifier needs paragraphs of two"
        )
    if has.sum().max() < 2:
        raise TooFewLabels("no topic has two paragraphs: nothing can be held out, label some more")


def _choose_groups(
    rows: pd.DataFrame, has: pd.DataFrame
) -> tuple[str, npt.NDArray[np.int64], list[str]]:
    """Group by article, or by paragraph where a topic would otherwise be in one group only.

    Returns
    -------
    The split unit, (n,) numbers of the rows' groups, and messages.
    """
    duplicates = near_duplicates(list(rows["text"]))
    articles = _merge_groups(pd.factorize(rows["article"])[0], duplicates)
    rarest, count = _rarest_topic(has, articles)
    if count >= 2:
        return "article", articles, []
    if rows["article"].nunique() == 1:
        message = "one article: expect lower figures on new articles"
    else:
        message = (
            f"topic {rarest} is in one article only: the split is by paragraph, expect lower "
            "figures on new articles"
        )
    return "paragraph", duplicates, [message]


def _number_of_folds(
    has: pd.DataFrame, groups: npt.NDArray[np.int64], split_unit: str, wanted: int
) -> tuple[int, list[str]]:
    """Reduce the number of folds where the rarest topic is in fewer groups; say so in a message."""
    counts = _groups_per_topic(has, groups)
    rarest, count = _rarest_topic(has, groups)
    used = max(2, min(wanted, max(count, min(LEAST_FOLDS, max(counts.values())))))
    if used >= wanted:
        return used, []
    units = "articles" if split_unit == "article" else "distinct paragraphs"
    return used, [
        f"topic {rarest} has {count} {units}, fewer than the {wanted} folds: {used} folds"
    ]


def _deal_iteratively(
    targets: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
    n_folds: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Deal rows with several topics by iterative stratification, in whole groups.

    The method is that of Sechidis, Tsoumakas & Vlahavas 2011, "On the Stratification of Multi-Label
    Data", with groups in place of rows. The topic in the fewest groups that are left comes first.
    Its groups, largest first, each go to the fold that lacks most rows of this topic, then most
    rows at all. "None of the topics" is treated as a topic.
    """
    numbers, group_of = np.unique(groups, return_inverse=True)
    # Rows of each group: with each topic, with none of them, and in all.
    counts = np.zeros((len(numbers), targets.shape[1] + 2))
    np.add.at(
        counts,
        group_of,
        np.column_stack([targets, ~targets.any(axis=1), np.ones(len(targets))]),
    )
    lacking = np.tile(counts.sum(axis=0) / n_folds, (n_folds, 1))
    fold_of = np.full(len(numbers), ALWAYS_TRAIN, dtype=np.int64)
    left = np.ones(len(numbers), dtype=bool)
    while left.any():
        n_groups = (counts[left] > 0).sum(axis=0)
        topic = int(np.where(n_groups > 0, n_groups, len(numbers) + 1)[:-1].argmin())
        candidates = rng.permutation(np.flatnonzero(left & (counts[:, topic] > 0)))
        for group in candidates[np.argsort(-counts[candidates, -1], kind="stable")]:
            ties = rng.permutation(n_folds)
            # The last key of lexsort is the first to decide.
            fold = np.lexsort((ties, -lacking[:, -1], -lacking[:, topic]))[0]
            fold_of[group] = fold
            lacking[fold] -= counts[group]
            left[group] = False
    return fold_of[group_of]


def _merge_groups(
    one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Number rows so that those which share a number in either numbering share one.

    [0, 0, 1, 2], [5, 6, 6, 7] → [0, 0, 0, 1]
    """
    n = len(one)
    rows = np.arange(n)
    first_one = pd.Series(rows).groupby(one).transform("first").to_numpy()
    first_other = pd.Series(rows).groupby(other).transform("first").to_numpy()
    return components(np.concatenate([rows, rows]), np.concatenate([first_one, first_other]), n)


def _groups_per_topic(has: pd.DataFrame, groups: npt.NDArray[np.int64]) -> dict[str, int]:
    """Number of groups that each topic is in."""
    return {name: len(set(groups[has[name]])) for name in sorted(map(str, has))}


def _rarest_topic(has: pd.DataFrame, groups: npt.NDArray[np.int64]) -> tuple[str, int]:
    """The topic in the fewest groups, and the number of these groups."""
    counts = _groups_per_topic(has, groups)
    rarest = min(counts, key=counts.__getitem__)
    return rarest, counts[rarest]


def _untrained_topics(table: pd.DataFrame, has: pd.DataFrame) -> list[str]:
    """A message about the topics that some training part has no example of."""
    untrained: set[str] = set()
    for _, fold in table.groupby("repeat")["fold"]:
        numbers = fold.to_numpy()
        for number in set(numbers) - {ALWAYS_TRAIN}:
            trained = has[numbers != number].any()
            untrained |= set(trained.index[~trained].map(str))
    if not untrained:
        return []
    return [
        f"{', '.join(sorted(untrained))}: in some folds every example is held out, so that none is "
        "left to learn from and the topic cannot be predicted there"
    ]
