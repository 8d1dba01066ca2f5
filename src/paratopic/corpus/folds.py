"""Deal labelled paragraphs to folds: the parts that are held out in turn.

All paragraphs of a group are dealt to one fold. A group is an article with its copies or, if
articles are too few, a paragraph with its near-duplicates. A training part has no paragraph of a
group that is held out, and no near-duplicate of a paragraph that is. Only hand labels decide the
folds. Paragraphs with weak labels are held out too, so that they get scores, but they change no
fold of the others. A topic in a single group cannot be trained on and held out at once, so its
paragraphs are always in the training part.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from paratopic.corpus.duplicates import Booleans, Integers, article_groups, near_duplicates
from paratopic.corpus.labelled import DEALT_COLUMNS, Labelled
from paratopic.corpus.table import has_hand_label, targets_of
from paratopic.project.errors import MOST_NAMED, UserError, plural, shortened_list
from paratopic.project.reports import Report

if TYPE_CHECKING:
    from paratopic.project import params

# This fold number means that a row is never held out.
ALWAYS_TRAIN = -1

# A rare topic reduces the number of folds to no less than this. With fewer folds, the training
# parts would be too small for the figures to describe the final model, which is trained on all
# labels. For the same reason, a split by article needs at least this many articles.
LEAST_FOLDS = 4

# A share to hold out is rounded to a number of folds out of at most this many, because dealing
# takes time in proportion to their number. A share below 1/20 is one fold out of more.
FINEST_SHARE = 20
# With at least this many labelled paragraphs, `auto` holds out this share once.
HOLDOUT_FROM, HOLDOUT_SHARE = 2_000, 0.2
# Most distinct texts without a label that are dealt. These are enough to compare the final model's
# predictions with those of the folds' models.
MOST_TEXTS = 5_000


class TooFewLabels(UserError):
    """There are too few labels to hold any out."""


class Folds(NamedTuple):
    """Folds, with the unit by which they are split.

    Parameters
    ----------
    table
        One row for each paragraph and repeat, with the columns id, group (number of the group,
        which no fold divides), duplicates (number of the paragraph's set of near-duplicates),
        repeat, and fold (number of the fold in which the paragraph is held out, or `ALWAYS_TRAIN`).
        With a holdout, fold is 0 for paragraphs that are held out and `ALWAYS_TRAIN` for the rest.
    split_unit
        Unit of the groups: ``"article"``; ``"paragraph"`` if articles are too few; ``"nothing"`` if
        nothing is held out.
    messages
        Notes for readers of the figures.
    """

    table: pd.DataFrame
    split_unit: str
    n_folds: int
    n_repeats: int
    messages: tuple[str, ...]


class Split(Report):
    """Content of split.json: `Folds` without the table; `groups` is the number with labels."""

    split_unit: str
    n_folds: int
    n_repeats: int
    groups: int
    messages: tuple[str, ...]


def deal_labelled(data: Labelled, settings: params.Split, seed: int) -> Folds:
    """Deal labelled paragraphs to folds by the settings of a project; errors as `make_folds`."""
    n_by_hand, holdout = int(data.by_hand.sum()), settings.holdout
    if holdout == "auto":
        holdout = HOLDOUT_SHARE if n_by_hand >= HOLDOUT_FROM else None
    n_repeats = settings.repeats(n_by_hand)
    return make_folds(data.rows, settings.n_folds, n_repeats, holdout, seed)


def make_folds(
    rows: pd.DataFrame, n_folds: int, n_repeats: int, holdout: float | None, seed: int
) -> Folds:
    """Deal labelled paragraphs to repeated stratified folds, by article if there are enough.

    A hand-labelled paragraph is never held out if each of its topics is in one group or one text
    only. A paragraph with a weak label joins the hand labels of its group. Without any it joins a
    random fold or, with a holdout, is never held out.

    Parameters
    ----------
    rows
        Columns id, article, text, topic and, unless all labels are by hand, label_source, from
        `corpus.labelled.labelled_rows`. Their order does not matter.
    n_folds
        Number of folds wanted. It is reduced to the number of groups with the rarest topic that is
        in two groups or more, but not below `LEAST_FOLDS` unless every topic is in fewer groups.
    n_repeats
        Number of times that all paragraphs are dealt. With a holdout, it is unused, and the result
        has one repeat and one fold.
    holdout
        Share to hold out once of the paragraphs that can be held out, instead of folds; None for
        folds. The real share may differ, because groups are not divided and a rare topic allows
        fewer shares.

    Raises
    ------
    TooFewLabels
        Fewer than two topics of hand labels have two distinct paragraphs each.
    """
    rows = rows.sort_values("id", ignore_index=True)
    by_hand = has_hand_label(rows).to_numpy()
    names = sorted({name for label in rows["topic"][by_hand] for name in label})
    all_targets = pd.DataFrame(targets_of(rows["topic"], names), columns=names)
    targets = all_targets & by_hand[:, None]
    duplicates = near_duplicates(list(rows["text"]))
    _refuse_too_few(targets, duplicates)
    split_unit, groups, messages = _choose_groups(rows["article"], targets, duplicates)
    counts = _measurable(targets, groups, duplicates)
    messages += _not_measurable(targets.drop(columns=list(counts)), groups, split_unit)
    n_dealt, reduced = _choose_number(n_folds, holdout, counts, split_unit)
    dealt = by_hand & (targets[list(counts)].any(axis=1) | ~targets.any(axis=1)).to_numpy()
    n_used = n_dealt if holdout is None else 1
    units = pd.DataFrame({"id": rows["id"], "group": groups, "duplicates": duplicates})
    tables = []
    for repeat in range(n_repeats if holdout is None else 1):
        fold = np.full(len(rows), ALWAYS_TRAIN, dtype=np.int64)
        repeat_seed = int(np.random.SeedSequence((seed, repeat)).generate_state(1)[0])
        fold[dealt] = deal(targets.to_numpy()[dealt], groups[dealt], n_dealt, repeat_seed)
        if holdout is not None:
            fold = _hold_out_share(fold, n_dealt, holdout)
        fold = _deal_weak(fold, by_hand, groups, n_used, repeat_seed)
        tables.append(units.assign(repeat=repeat, fold=fold))
    table = pd.concat(tables, ignore_index=True)
    messages += reduced + _untrained_topics(table, all_targets)
    return Folds(table, split_unit, n_used, len(tables), tuple(messages))


def no_folds(rows: pd.DataFrame, reason: str) -> Folds:
    """Folds that hold nothing out, so that models are trained but not measured.

    Each of `rows`, with the columns id and, unless all labels are by hand, label_source, is a group
    of its own, with repeat 0 and fold `ALWAYS_TRAIN`; `n_folds` and `n_repeats` are 0. The only
    message begins with `reason`, which has no full stop at its end; nor has the message.
    """
    numbers = np.arange(len(rows))
    table = pd.DataFrame({"id": rows["id"], "group": numbers, "duplicates": numbers})
    sources = "by their definitions"
    if not has_hand_label(rows).all():
        sources += " and weak labels"
    message = f"{reason}; models know the topics only {sources}, and nothing is measured"
    return Folds(table.assign(repeat=0, fold=ALWAYS_TRAIN), "nothing", 0, 0, (message,))


def deal(targets: Booleans, groups: Integers, n_folds: int, seed: int) -> Integers:
    """Deal rows to folds with similar shares of each topic, without dividing a group.

    The result, (n,), is the number, from 0, of the fold that holds out each row. `targets`, (n, k),
    says which topics each row has, and `groups`, (n,), has the rows' group numbers. Some topic, or
    none of them, must be in at least `n_folds` groups. The method is `StratifiedGroupKFold` of
    scikit-learn, with none of the topics as a class, or iterative stratification if a row has
    several topics. The order of topics does not matter.
    """
    # The import is late because it is slow, and most stages only read folds.
    from sklearn.model_selection import StratifiedGroupKFold

    # Renaming a topic must not change its paragraphs' folds, so topics are sorted by their columns
    # of targets, or numbered in order of appearance.
    if (targets.sum(axis=1) > 1).any():
        order = sorted(range(targets.shape[1]), key=lambda topic: targets[:, topic].tobytes())
        return _deal_iteratively(targets[:, order], groups, n_folds, seed)
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
) -> Iterator[tuple[int, int, Integers, Integers]]:
    """Yield, in order, each fold of each repeat that holds out any of the paragraphs `ids`.

    `table` is that of `Folds` and has all of the ids. An item is the numbers of the repeat and of
    the fold, then the positions in `ids` of the training rows and of the held-out rows. A training
    part leaves out the rows of groups that are held out, and near-duplicates of rows that are.
    """
    for repeat, part in table.groupby("repeat"):
        columns = part.set_index("id").loc[list(ids), ["group", "duplicates", "fold"]]
        group, duplicates, fold = columns.to_numpy().T
        for number in sorted(set(fold.tolist()) - {ALWAYS_TRAIN}):
            held_out = fold == number
            near = np.isin(group, group[held_out]) | np.isin(duplicates, duplicates[held_out])
            yield int(str(repeat)), number, np.flatnonzero(~near), np.flatnonzero(held_out)


def _refuse_too_few(targets: pd.DataFrame, duplicates: Integers) -> None:
    """Raise `TooFewLabels` unless at least two topics have two distinct paragraphs each.

    `targets` has a boolean column for each topic of hand labels, maybe none; `duplicates`, (n,),
    are the numbers of near-duplicates, which count as one paragraph.
    """
    if targets.columns.empty:
        raise TooFewLabels(
            "no labelled paragraph has a topic: label more (`paratopic label --random`)"
        )
    if len(targets.columns) < 2:
        raise TooFewLabels(
            f"only one topic is labelled ({targets.columns[0]}): a classifier needs two topics"
        )
    # If only one topic is held out, a model that always predicts it makes no mistake.
    if len(_measurable(targets, duplicates, duplicates)) < 2:
        raise TooFewLabels(
            "fewer than two topics have two distinct paragraphs, so nothing can be held out: label "
            "more"
        )


def _choose_groups(
    article: pd.Series, targets: pd.DataFrame, duplicates: Integers
) -> tuple[str, Integers, list[str]]:
    """Group rows by article with its copies if there are enough articles, else by near-duplicates.

    `LEAST_FOLDS` articles, copies counted once, must have a topic in a paragraph that no other one
    has, so that examples are left, whichever articles are held out. Two topics must be measurable.
    Returns "article" or "paragraph", (n,) numbers of the rows' groups, and a list with a message
    why articles are too few, without a full stop at its end, or an empty list.
    """
    articles = article_groups(pd.factorize(article)[0], duplicates)
    in_one = pd.Series(articles).groupby(duplicates).transform("nunique") == 1
    n = len(set(articles[in_one.to_numpy() & targets.any(axis=1).to_numpy()]))
    if n >= LEAST_FOLDS and len(_measurable(targets, articles, duplicates)) >= 2:
        return "article", articles, []
    if articles.max() == 0:
        reason = "all labels are from one article"
    elif n < LEAST_FOLDS:
        few = plural(n, "distinct article has", "distinct articles have")
        reason = f"{few} labels with a topic, and a split by article needs {LEAST_FOLDS}"
    else:
        reason = "fewer than two topics are in two or more distinct articles"
    split = "so the labels are split by paragraph. Expect lower figures on new articles"
    return "paragraph", duplicates, [f"{reason}, {split}"]


def _groups_per_topic(targets: pd.DataFrame, groups: Integers) -> dict[str, int]:
    """Number of groups that each topic is in."""
    return {name: len(set(groups[targets[name]])) for name in sorted(map(str, targets))}


def _measurable(targets: pd.DataFrame, groups: Integers, duplicates: Integers) -> dict[str, int]:
    """Topics that can be trained on and held out at once, with the numbers of their groups.

    They are in two groups or more, and have two distinct texts or more.
    """
    distinct = _groups_per_topic(targets, duplicates)
    counts = _groups_per_topic(targets, groups)
    return {name: n for name, n in counts.items() if min(n, distinct[name]) >= 2}


def _not_measurable(targets: pd.DataFrame, groups: Integers, split_unit: str) -> list[str]:
    """Messages, at most two: on the topics in only one group, and on those in only one text.

    `targets` has only columns of topics that are not measurable. Both messages become one if groups
    are near-duplicates (`split_unit` is "paragraph").
    """
    names_by_unit: dict[str, list[str]] = {}
    for name, n in _groups_per_topic(targets, groups).items():
        names_by_unit.setdefault(split_unit if n == 1 else "paragraph", []).append(name)
    messages = []
    for unit, names in names_by_unit.items():
        message = f"topic {names[0]} is in only one {unit}, so it cannot be measured yet"
        if len(names) > 1:
            message = (
                f"topics {shortened_list(names, MOST_NAMED)} are in only one {unit} each, so they "
                "cannot be measured yet"
            )
        messages.append(message)
    return messages


def _choose_number(
    n_folds: int, holdout: float | None, counts: dict[str, int], split_unit: str
) -> tuple[int, list[str]]:
    """Number of folds to deal to, and a list with a message if a rare topic reduces it, else empty.

    The number is `n_folds` or, with a holdout, the denominator of its share: 5 for 0.2. `counts`
    are the numbers of groups of each measurable topic, of which there is at least one. The smallest
    count limits the number, but not to less than `LEAST_FOLDS` or, if less, the largest count.
    """
    rarest = min(counts, key=counts.__getitem__)
    most = max(counts[rarest], min(LEAST_FOLDS, max(counts.values())))
    unit = "article" if split_unit == "article" else "distinct paragraph"
    few = f"labels of topic {rarest} are in only {plural(counts[rarest], unit)}"
    if holdout is None:
        used = min(n_folds, most)
        message = f"{few}, so {used} folds instead of {n_folds}"
        n_without = used - counts[rarest]
        if n_without:
            message += f", and {n_without} of them cannot measure it"
        return used, [message] if used < n_folds else []
    finest = max(FINEST_SHARE, round(1 / holdout))
    share = _nearest_share(holdout, min(finest, most))
    message = f"{few}, so about {float(share):.0%} of all are held out instead of {holdout:.0%}"
    return share.denominator, [message] if share != _nearest_share(holdout, finest) else []


def _nearest_share(share: float, n_folds: int) -> Fraction:
    """The nearest share of one fold or more out of at most `n_folds`: .45, 5 → 2/5."""
    return max(Fraction(str(share)).limit_denominator(n_folds), Fraction(1, n_folds))


def _deal_weak(
    fold: Integers, by_hand: Booleans, groups: Integers, n_folds: int, seed: int
) -> Integers:
    """Assign rows with weak labels to the fold of their group's hand labels, else to a random one.

    Rows with hand labels keep their `fold`. Each group goes to one fold. With a holdout, which is
    one fold, groups without hand labels get `ALWAYS_TRAIN`.
    """
    numbers, group = np.unique(groups, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(numbers))
    group_fold = shuffled % n_folds if n_folds > 1 else np.full(len(numbers), ALWAYS_TRAIN)
    group_fold[group[by_hand]] = fold[by_hand]
    return np.where(by_hand, fold, group_fold[group])


def _hold_out_share(fold: Integers, n_folds: int, holdout: float) -> Integers:
    """Hold out the first folds together, as fold 0, whose rows come nearest to a share.

    Rows are counted and not folds, because folds of whole groups differ in size.
    """
    sizes = np.bincount(fold[fold != ALWAYS_TRAIN], minlength=n_folds)
    last = np.abs(sizes.cumsum()[:-1] / sizes.sum() - holdout).argmin()
    return np.where((fold != ALWAYS_TRAIN) & (fold <= last), 0, ALWAYS_TRAIN)


def _deal_iteratively(targets: Booleans, groups: Integers, n_folds: int, seed: int) -> Integers:
    """Numbers of folds, (n,), of rows with several topics, by iterative stratification of groups.

    The method is that of Sechidis, Tsoumakas & Vlahavas 2011, "On the Stratification of Multi-Label
    Data", applied to groups instead of rows. The topic in the fewest remaining groups comes first.
    Its groups, largest first, each go to the fold that lacks most rows of this topic, then most
    rows at all. "None of the topics" is treated as a topic. With few groups, a fold may get no row.
    """
    numbers, group_of = np.unique(groups, return_inverse=True)
    # The columns count the rows of each group: with each topic, with none of them, and all.
    indicators = np.column_stack([targets, ~targets.any(axis=1), np.ones(len(targets))])
    counts = pd.DataFrame(indicators).groupby(groups).sum().to_numpy()
    lacking = np.tile(counts.sum(axis=0) / n_folds, (n_folds, 1))
    fold_of = np.full(len(numbers), ALWAYS_TRAIN, dtype=np.int64)
    remaining = np.ones(len(numbers), dtype=bool)
    rng = np.random.default_rng(seed)
    while remaining.any():
        n_groups = (counts[remaining] > 0).sum(axis=0)
        topic = int(np.where(n_groups > 0, n_groups, len(numbers) + 1)[:-1].argmin())
        candidates = rng.permutation(np.flatnonzero(remaining & (counts[:, topic] > 0)))
        for group in candidates[np.argsort(-counts[candidates, -1], kind="stable")]:
            ties = rng.permutation(n_folds)
            # np.lexsort sorts by its last key first.
            fold = np.lexsort((ties, -lacking[:, -1], -lacking[:, topic]))[0]
            fold_of[group] = fold
            lacking[fold] -= counts[group]
            remaining[group] = False
    return fold_of[group_of]


def _untrained_topics(table: pd.DataFrame, targets: pd.DataFrame) -> list[str]:
    """A list with a message about topics that a fold holds out and cannot train on; else empty.

    `targets`, in the order of the table's first repeat, has topics of hand labels as columns. Weak
    labels with these topics count, too.
    """
    untrained: set[str] = set()
    for _, _, train, held_out in iterate_folds(table, list(table["id"][: len(targets)])):
        is_untrained = targets.iloc[held_out].any() & ~targets.iloc[train].any()
        untrained |= set(targets.columns[is_untrained])
    message = (
        f"{shortened_list(sorted(untrained), MOST_NAMED)}: some folds leave no example to learn "
        "from, so models cannot predict the topic there"
    )
    return [message] if untrained else []


def deal_unlabelled(
    paragraphs: pd.DataFrame, rows: pd.DataFrame, folds: Folds, seed: int
) -> pd.DataFrame:
    """Deal paragraphs without a label to the folds, in each repeat.

    A paragraph is dealt to the fold of its article. An article without labels goes to the fold that
    holds out a near-duplicate of one of its paragraphs, or else to a random one, in proportion to
    the hand labels that folds hold out.

    Parameters
    ----------
    paragraphs
        Paragraph table. Boilerplate, repetitions of a text and texts of `rows` are left out.
    rows
        Its labelled rows. Those with weak labels in no fold are dealt like those without a label.

    Returns
    -------
    A row for each paragraph, of which at most `MOST_TEXTS` are drawn, and repeat: id, article,
    repeat, fold (`ALWAYS_TRAIN` in an article that no fold holds out), and copy_of, the id of a
    labelled near-duplicate or "". There are no rows with a holdout or if the split unit is not the
    article, because out-of-fold models then do not predict all of the corpus.
    """
    if folds.split_unit != "article" or folds.n_folds < 2:
        return pd.DataFrame(columns=DEALT_COLUMNS)
    held_out = folds.table["id"][folds.table["fold"] != ALWAYS_TRAIN]
    scored = rows["text"][has_hand_label(rows) | rows["id"].isin(held_out)]
    others = paragraphs[~paragraphs["boilerplate"] & ~paragraphs["text"].isin(scored)]
    others = others.drop_duplicates("text")
    rng = np.random.default_rng([seed, len(others)])
    if len(others) > MOST_TEXTS:
        others = others.iloc[np.sort(rng.choice(len(others), MOST_TEXTS, replace=False))]
    duplicates = near_duplicates([*rows["text"], *others["text"]])
    first = rows["id"].groupby(duplicates[: len(rows)]).first()
    others = others.assign(copy_of=first.reindex(duplicates[len(rows) :]).fillna("").tolist())
    dealt = folds.table.merge(rows[["id", "article"]].assign(by_hand=has_hand_label(rows)), on="id")
    article_of = rows.set_index("id")["article"]
    copies = others[others["copy_of"] != ""].drop_duplicates("article").set_index("article")
    labelled_copy = article_of.loc[copies["copy_of"]].set_axis(copies.index)
    new = np.setdiff1d(others["article"], article_of)
    parts = []
    for repeat, part in dealt.groupby("repeat"):
        fold_of = part.groupby("article")["fold"].max()
        sizes = part["fold"][part["by_hand"] & (part["fold"] != ALWAYS_TRAIN)].value_counts()
        order = rng.permutation(len(new))
        new_fold = pd.Series(_in_proportion(sizes.sort_index(), order), new)
        copy_fold = fold_of.loc[labelled_copy].set_axis(labelled_copy.index)
        new_fold.update(copy_fold[copy_fold.index.isin(new)])
        fold = others["article"].map(pd.concat([fold_of, new_fold.astype(np.int64)]))
        parts.append(others.assign(repeat=repeat, fold=fold)[DEALT_COLUMNS])
    return pd.concat(parts, ignore_index=True)


def _in_proportion(sizes: pd.Series, order: Integers) -> Integers:
    """Fold of each of n articles, dealt in this order in proportion to the sizes of the folds."""
    ends = np.cumsum(sizes.to_numpy()) / sizes.sum()
    places = np.searchsorted(ends, (order + 0.5) / max(len(order), 1))
    return np.asarray(sizes.index.to_numpy()[places], dtype=np.int64)
