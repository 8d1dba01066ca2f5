"""Out-of-fold scores, and the final model that is fitted to all labels, for either kind of model.

How a model is fitted is for `baseline` and `transformer`; which fold a paragraph is in is for
`corpus.folds`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed

from paratopic.corpus.folds import groups_of, iterate_folds
from paratopic.corpus.pool import Pool
from paratopic.corpus.table import targets_of
from paratopic.inference.scores import Integers, Scores
from paratopic.training.examples import Advance, Examples, Fit, Fitted, silent

# With fewer rows, to start processes takes longer than they save.
FEW_ROWS = 500


def is_first_process() -> bool:
    """Whether this process writes files: the first of those that torchrun started, or the only."""
    return os.environ.get("RANK", "0") == "0"


def n_processes(n_rows: int) -> int:
    """Number of processes that finish fits on n labelled rows soonest, each on one thread.

    It is 1 in processes that torchrun started, which share every fit.
    """
    return 1 if n_rows < FEW_ROWS or "RANK" in os.environ else int(cpu_count())


def n_fits(folds: pd.DataFrame) -> int:
    """Number of fits that `cross_validate` needs: one for each fold of each repeat."""
    return len(folds[folds["fold"] >= 0][["repeat", "fold"]].drop_duplicates())


def cross_validate(
    rows: pd.DataFrame,
    names: Sequence[str],
    folds: pd.DataFrame,
    fit: Fit,
    seed: int,
    advance: Advance = silent,
    processes: int = 1,
    pool: Pool | None = None,
    share: float = 1.0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score each held-out paragraph with a model that was fitted without its fold.

    Parameters
    ----------
    rows
        Labelled paragraphs from `corpus.table.labelled_rows`.
    names
        Topic names in class order.
    folds
        Table of `corpus.folds.make_folds`.
    fit
        Fits one model to examples with a seed.
    seed
        Seed from which each fit gets a seed of its own.
    advance
        Called with the number of fits done so far; reports to nobody by default.
    processes
        Number of processes, each of which does one fit at a time; 1 stays in this process. The
        results do not depend on it.
    pool
        Paragraphs without a label, of which each fit gets those that tell nothing of its fold; none
        by default.
    share
        Share of the groups of each training part that is learnt from; 1, the default, is all of
        them. A smaller share is part of a larger one.

    Returns
    -------
    scores
        Columns id, repeat, fold and one of scores for each topic; no rows if nothing is held out.
    history
        Histories of all fits: columns repeat, fold and those of `Fitted.history`.
    """
    parts = [
        (repeat, fold, _part(train, rows, folds, share, (seed, repeat, fold)), test)
        for repeat, fold, train, test in iterate_folds(folds, list(rows["id"]))
    ]
    processes = max(1, min(processes, len(parts)))
    fits = Parallel(processes, return_as="generator")(
        delayed(_score)(
            fit,
            _examples(rows.iloc[train], names, folds, pool.beside(train, test) if pool else ()),
            list(rows["text"].iloc[test]),
            _seed(seed, done),
            partial(advance_from, done, advance) if processes == 1 else silent,
        )
        for done, (_, _, train, test) in enumerate(parts)
    )
    scores, history = [], []
    for done, ((repeat, fold, _, test), (probabilities, course)) in enumerate(
        zip(parts, fits, strict=True), 1
    ):
        if processes > 1:
            advance(done)
        where = {"repeat": repeat, "fold": fold}
        ids = pd.DataFrame({"id": rows["id"].to_numpy()[test]} | where)
        scores.append(ids.join(pd.DataFrame(probabilities, columns=list(names))))
        history.append(pd.DataFrame(where, index=course.index).join(course))
    if not scores:
        empty = pd.DataFrame(columns=["id", "repeat", "fold", *names])
        return empty, empty[["repeat", "fold"]]
    return pd.concat(scores, ignore_index=True), pd.concat(history, ignore_index=True)


def fit_all(
    rows: pd.DataFrame,
    names: Sequence[str],
    folds: pd.DataFrame,
    fit: Fit,
    seed: int,
    advance: Advance = silent,
    pool: Pool | None = None,
) -> Fitted:
    """Fit the final model to all labelled paragraphs; parameters as in `cross_validate`."""
    unlabelled = pool.texts if pool else ()
    return fit(_examples(rows, names, folds, unlabelled), _seed(seed, n_fits(folds)), advance)


def score_by_definitions(
    rows: pd.DataFrame, names: Sequence[str], fit: Fit, seed: int
) -> pd.DataFrame:
    """Score every labelled paragraph with a model that knows the topics' definitions alone.

    It has learnt nothing of the paragraphs' articles, so its scores tell about new articles.
    Parameters as in `cross_validate`.

    Returns
    -------
    Columns id, repeat (0) and one of scores for each topic.
    """
    k = len(names)
    none = np.zeros(0, dtype=np.int64)
    model = fit(Examples([], np.zeros((0, k), dtype=bool), none, none), seed, silent)
    scores = pd.DataFrame(model.predict_proba(list(rows["text"])), columns=list(names))
    return pd.DataFrame({"id": rows["id"].to_numpy(), "repeat": 0}).join(scores)


def _part(
    train: Integers, rows: pd.DataFrame, folds: pd.DataFrame, share: float, seed: tuple[int, ...]
) -> Integers:
    """The training rows of a share of their groups, in an order that the seed gives."""
    if share == 1:
        return train
    group = groups_of(folds, list(rows["id"]))
    groups = np.random.default_rng(seed).permutation(np.unique(group[train]))
    kept = groups[: max(1, round(share * len(groups)))]
    return train[np.isin(group[train], kept)]


def _score(
    fit: Fit, examples: Examples, held_out: Sequence[str], seed: int, advance: Advance
) -> tuple[Scores, pd.DataFrame]:
    """Probabilities of texts that are held out, and the history of the fit that gives them."""
    model = fit(examples, seed, advance)
    return model.predict_proba(held_out), model.history


def _examples(
    rows: pd.DataFrame, names: Sequence[str], folds: pd.DataFrame, unlabelled: Sequence[str]
) -> Examples:
    group = groups_of(folds, list(rows["id"]))
    article = pd.factorize(rows["article"])[0].astype(np.int64)
    targets = targets_of(rows, names)
    texts, trust = list(rows["text"]), rows["trust"].to_numpy(dtype=np.float64)
    return Examples(texts, targets, group, article, trust=trust, unlabelled=unlabelled)


def _seed(seed: int, number: int) -> int:
    """Seed of the fit with this number, whichever fits are done before it."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


def advance_from(done: int, advance: Advance, more: float) -> None:
    """Report work beyond what was done before, in fits."""
    advance(done + more)
